"""PGNAS, Table 7: the shares of dropped channels and of dropped operations, convolutions without any channel left.

    python examples/ablations/pgnas_table7.py FOLDER [--small] [--data-dir DIR]

The paper's MI is the best of 10,000 candidates, the others of 1,500.
"""

from ablation import Ablation, spread
from posterior import Posterior

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.load import load_artifact


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=1)
    posterior = Posterior(study)
    rows = []
    for name, space in posterior.spaces.items():
        count = 10_000 if space == "resnet-mb-inflated" and not study.small else None
        found = [posterior.found(space, seed, candidates=count) for seed in study.seeds]
        if not study.dry_run:
            cells = [load_artifact(one.cell).value.genotype for one in found]  # type: ignore[union-attr]
            shares = [dropped(cell) for cell in cells if isinstance(cell, ChannelsGenotype)]
            rows.append((name, *(spread(part) for part in zip(*shares, strict=True))))
    study.table("PGNAS, Table 7", ("super-network", "channels dropped", "operations dropped"), rows)


def dropped(cell: ChannelsGenotype) -> tuple[float, float]:
    """The shares of input channels, and of convolutions without one."""
    return 1 - cell.kept_share, sum(not kept for kept in cell.channels.values()) / len(cell.channels)


if __name__ == "__main__":
    main()
