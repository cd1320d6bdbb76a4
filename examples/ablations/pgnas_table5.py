"""PGNAS, Table 5: the temperature tau of the relaxed masks, 2/3 and 1/5.

    python examples/ablations/pgnas_table5.py FOLDER [--small] [--data-dir DIR]

On SupNet-EI and SupNet-M as found, and on SupNet-EI after training on. `--small` has SupNet-MI in place of EI.
"""

from ablation import Ablation, spread
from posterior import Posterior


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=1)
    posterior = Posterior(study)
    larger = "resnet-mb-inflated" if study.small else "enas-inflated"
    rows = []
    for name, tau in (("2/3", "0.6667"), ("1/5", "0.2")):
        inflated, plain = (
            [posterior.found(space, seed, "--temperature", tau) for seed in study.seeds]
            for space in (larger, "resnet-mb")
        )
        tuned = [posterior.tuned(one).error for one in inflated]
        rows.append(
            (name, *(spread(own) for own in ([one.error for one in inflated], [one.error for one in plain], tuned)))
        )
    study.table("PGNAS, Table 5: test error (%)", ("tau", larger, "resnet-mb", f"{larger}, trained on"), rows)


if __name__ == "__main__":
    main()
