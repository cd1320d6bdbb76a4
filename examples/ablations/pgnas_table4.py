"""PGNAS, Table 4: the prior l^2 and the size of what is found.

    python examples/ablations/pgnas_table4.py FOLDER [--small] [--data-dir DIR]

The caption names SupNet-EI; its sizes are those of SupNet-MI, `resnet-mb-inflated`, which is searched here.
"""

from ablation import Ablation, spread
from posterior import Posterior


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=1)
    posterior = Posterior(study)
    rows = []
    for prior in ("2", "5", "10", "20") if study.small else ("50", "150", "250", "500"):
        found = [posterior.found("resnet-mb-inflated", seed, "--weight-prior", prior) for seed in study.seeds]
        rows.append((prior, spread([one.error for one in found]), spread([one.parameters for one in found], 0)))
    study.table("PGNAS, Table 4", ("l^2", "test error (%)", "parameters"), rows)


if __name__ == "__main__":
    main()
