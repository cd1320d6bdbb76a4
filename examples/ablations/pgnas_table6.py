"""PGNAS, Table 6: the number of candidates, on SupNet-MI.

python examples/ablations/pgnas_table6.py FOLDER [--small] [--data-dir DIR]
"""

from ablation import Ablation, spread
from posterior import Posterior


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=1)
    posterior = Posterior(study)
    rows = []
    for count in (10, 50, 200) if study.small else (50, 500, 1500, 5000, 10_000, 20_000):
        found = [posterior.found("resnet-mb-inflated", seed, candidates=count) for seed in study.seeds]
        best = [100 * one.held_out for one in found]
        rows.append((f"{count:,}", spread([one.error for one in found]), spread(best)))
    head = ("candidates", "test error (%)", "accuracy on held-out images (%)")
    study.table("PGNAS, Table 6", head, rows)


if __name__ == "__main__":
    main()
