"""PGNAS, Table 3: the full super-network, the best of random networks, with and without training on, and PGNAS's.

    python examples/ablations/pgnas_table3.py FOLDER [--small] [--data-dir DIR]

"Random" is uniform dropout at PGNAS's mean size, fixed from the first epoch on, as in Bender et al.
"""

from pathlib import Path

from ablation import Ablation, spread
from posterior import Posterior

from nascli.artifacts.files.disk import write_atomically
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import load_artifact
from nascli.registry import SUPERNETS
from nascli.supernets import supernet


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=1)
    posterior = Posterior(study)
    rows = []
    for name, space in posterior.spaces.items():
        for seed in study.seeds:
            guided = posterior.found(space, seed)
            fixed = ("--initial-dropout", f"{guided.probability:.4f}", "--arch-lr-scale", "0")
            random = posterior.found(space, seed, *fixed)
            full = posterior.trained(whole(study, guided.cell), seed)
            own = {"full": full, "random": random, "random, trained on": posterior.tuned(random), "PGNAS": guided}
            rows += [(name, seed, what, f"{one.error:.2f}", f"{one.parameters:,}") for what, one in own.items()]
    study.table("PGNAS, Table 3", ("super-network", "seed", "network", "test error (%)", "parameters"), rows)
    for what in ("full", "random", "random, trained on", "PGNAS"):
        for name in posterior.spaces:
            values = [float(row[3]) for row in rows if row[0] == name and row[2] == what]
            if not study.dry_run and len(values) > 1:
                print(f"{what}, {name}: {spread(values)}")


def whole(study: Ablation, cell: Path) -> Path:
    """The genotype that keeps every channel of a genotype's super-network."""
    path = cell.with_name(f"{cell.stem}-whole.json")
    if study.dry_run:
        return path
    file = load_artifact(cell).holding(GenotypeFile).value
    found = file.genotype
    assert isinstance(found, ChannelsGenotype)
    side = SUPERNETS[found.supernet].stride
    graph = supernet(found.supernet, found.width, found.stages, classes=1, image_channels=1, image_size=side)
    kept = {name: range(sum(conv.sources)) for name, conv in graph.masked.items()}
    full = ChannelsGenotype.of(found.supernet, found.width, found.stages, kept)
    write_atomically(path, genotype_bytes(file.model_copy(update={"genotype": full})))
    return path


if __name__ == "__main__":
    main()
