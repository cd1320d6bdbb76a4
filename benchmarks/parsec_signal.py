"""How much of PARSEC's concentration is signal? Searches in NAS-Bench-201 with true labels, and with shuffled labels.

    python benchmarks/parsec_signal.py FOLDER --images CIFAR-10-AS-FILES --table TRUE-ACCURACIES
        [--setting parsec] [--seeds 11 12 13]

With shuffled labels nothing can be learnt about unseen images, so that the distribution only moves because of the
sampling. Prints for each search its entropy and that of the drift, the true accuracy of the mode, the mean accuracy
under the distribution (exact, over all cells) and that of uniform cells; then for each pair of seeds the correlation of
their probabilities and the share of the picks that their modes have in common. Searches are kept in FOLDER; those that
`nas_bench_201.py` left there are used.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.nas_bench_201 import SETTINGS, search_config  # noqa: E402
from benchmarks.parsec_control import shared_picks  # noqa: E402
from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.artifacts.load import load_artifact  # noqa: E402
from nascli.artifacts.runs.rundir import RunDir  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.core.engine.destination import Destination  # noqa: E402
from nascli.core.engine.search import search  # noqa: E402
from nascli.metrics import DRIFT  # noqa: E402


def dealt_out(images: Path, folder: Path) -> Path:
    """Links to the same pictures, with the labels of each part shuffled; each class keeps its number of pictures."""
    if folder.exists():
        return folder
    unfinished = folder.with_name(folder.name + ".unfinished")
    for part in ("train", "test"):
        files = sorted((images / part).glob("*/*"))
        labels = np.random.default_rng(0).permutation([file.parent.name for file in files])
        for number, (file, label) in enumerate(zip(files, labels, strict=True)):
            link = unfinished / part / label / f"{number}{file.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(file.resolve())
    return unfinished.rename(folder)


def found(name: str, seed: int, images: Path, output: Path) -> CategoricalDistribution:
    """The distribution of a search, which is run if it is missing."""
    if not output.exists():
        search(search_config(SETTINGS[name], seed, images), Destination(output, resume=True))
    distribution = load_artifact(output).distribution
    assert isinstance(distribution, CategoricalDistribution)
    return distribution


def flat(distribution: CategoricalDistribution) -> np.ndarray:
    """All probabilities of all decisions in one row."""
    cells = distribution.space.cells
    return np.concatenate([np.ravel(values) for cell in cells for values in distribution.probabilities(cell)])


def expected(distribution: CategoricalDistribution, table: TruthTable, column: str) -> float:
    """The mean true accuracy under the distribution."""
    return table.expected([np.exp(distribution.log_probability(cell)) for cell in table.genotypes], column)


def main() -> None:
    """Print a line per search and per pair of seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--setting", default="parsec")
    parser.add_argument("--seeds", nargs="+", type=int, default=[11, 12, 13])
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    table = load_table(options.table)
    column = table.column(None, "test")
    shuffled = dealt_out(options.images, options.folder / "labels-dealt-out")
    for labels, images, suffix in (("true", options.images, ""), ("dealt out", shuffled, ".dealt-out")):
        distributions = []
        for seed in options.seeds:
            output = options.folder / f"{options.setting}-{seed}{suffix}.safetensors"
            one = found(options.setting, seed, images, output)
            drift = RunDir(output.with_suffix(".run")).read_metrics()[-1][DRIFT]
            mode = table.worth(one.mode(), column)
            uniform = expected(CategoricalDistribution.uniform(one.space), table, column)
            print(
                f"{labels} labels, seed {seed}: entropy {one.total_entropy():.2f}, drift's {drift:.2f} nats, mode "
                f"{mode.accuracy:.2f} % (rank {mode.rank:,}), mean {expected(one, table, column):.2f} %, of uniform "
                f"cells {uniform:.2f} %",
                flush=True,
            )
            distributions.append(one)
        for first, second in itertools.combinations(distributions, 2):
            agreement = np.corrcoef(flat(first), flat(second))[0, 1]
            print(f"  two seeds: correlation {agreement:.2f}, picks in common {shared_picks(first, second):.0%}")


if __name__ == "__main__":
    main()
