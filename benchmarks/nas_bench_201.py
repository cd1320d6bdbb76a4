"""Searches in NAS-Bench-201, and the true accuracy of every cell that they derive.

    python benchmarks/nas_bench_201.py FOLDER --images CIFAR-10-AS-FILES --table TRUE-ACCURACIES
        [--settings darts pc-darts …] [--seeds 0 1 2] [--tuned-on 0] [--csv benchmarks/nas_bench_201.csv]

One search after the other, each on one thread, resumed where it was stopped; what is done stays in FOLDER and is not
done again. Every rule to derive by is a row of the CSV file, which has all that is done and is written anew after each
search; so is what several searches of a setting derive together, in the order of their seeds. `--tuned-on` names the
seeds on which anything was chosen with the truth in sight: their rows say so, and count for nothing. Two of these may
run side by side on different settings, each on a core of its own.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.distribution import DistributionFile  # noqa: E402
from nascli.artifacts.genotype import as_text  # noqa: E402
from nascli.artifacts.load import LoadedArtifact, load_artifact  # noqa: E402
from nascli.artifacts.rundir import RunDir  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.config import DeriveConfig, SearchConfig  # noqa: E402
from nascli.core.engine.candidates import rank  # noqa: E402
from nascli.core.engine.search import search  # noqa: E402
from nascli.core.engine.session import Destination  # noqa: E402
from nascli.core.engine.several import mean_distribution  # noqa: E402
from nascli.spaces.cell_genotype import CellGenotype  # noqa: E402

COLUMNS = (
    "method", "setting", "seed", "tuned_on", "seconds", "threads", "candidates", "architecture", "cifar10_test", "rank",
)  # fmt: skip
AVERAGE = 5
MEANS = (2, 5, 10)
"""How many searches are taken together."""


@dataclass(frozen=True)
class Setting:
    """A method, and what differs from its recipe `proxy-nas-bench-201`.

    candidates: of a ranking, the best twentieth of them on all images; 0: none.
    """

    method: str
    changes: Mapping[str, Any]
    candidates: int = 0


SETTINGS: Mapping[str, Setting] = {
    "darts": Setting("darts", {}),
    "pc-darts": Setting("pc-darts", {}),
    # As many steps on a fifth of the images.
    "darts-10k": Setting("darts", {"epochs": 40, "limit_train": 10_000}),
    "pc-darts-10k": Setting("pc-darts", {"epochs": 40, "arch_warmup_epochs": 25, "limit_train": 10_000}),
    # And half of the steps, at twice the rate.
    "darts-10k-short": Setting("darts", {"epochs": 20, "limit_train": 10_000, "arch_lr": 0.02}),
    "pc-darts-10k-short": Setting("pc-darts", {"epochs": 20, "limit_train": 10_000, "arch_lr": 0.02}),
    "parsec": Setting("parsec", {}, candidates=300),
    "parsec-centred": Setting("parsec", {"centred_weights": True}, candidates=300),
    "spos": Setting("spos", {}, candidates=1000),
    "spos-long": Setting("spos", {"epochs": 300}, candidates=1000),
    "random": Setting("random", {}),
}


def search_config(setting: Setting, seed: int, images: Path) -> SearchConfig:
    """A search of CIFAR-10 as a folder of images."""
    return SearchConfig(
        method=setting.method,
        space="nas-bench-201",
        recipe="proxy-nas-bench-201",
        dataset="folder",
        data_dir=images,
        seed=seed,
        **setting.changes,
    )


def derived(setting: Setting, found: LoadedArtifact, options: argparse.Namespace) -> Iterator[tuple[str, CellGenotype]]:
    """Every rule that the distribution offers, and its cell."""
    assert isinstance(found.value, DistributionFile)
    distribution: Any = found.distribution
    if setting.method != "spos":
        yield "mode", distribution.mode()
    if found.value.course is not None:
        mean: Any = found.value.averaged(min(AVERAGE, len(next(iter(found.value.course.values())))))
        yield f"average {AVERAGE}", mean.mode()
        yield "without none", distribution.mode_without_none()
        yield f"average {AVERAGE}, without none", mean.mode_without_none()
    if setting.candidates:
        config = DeriveConfig(
            method=setting.method,
            dataset="folder",
            data_dir=options.images,
            candidates=setting.candidates,
            shortlist=setting.candidates // 20,
            uniform=False,
        )
        target = Destination(Path(found.where).with_suffix(".json"), resume=True)
        (best,) = rank(found, config, target).genotypes
        genotype = best.value.genotype  # type: ignore[union-attr]
        assert isinstance(genotype, CellGenotype)
        yield f"best of {setting.candidates}", genotype


def run(name: str, seed: int, table: TruthTable, options: argparse.Namespace) -> None:
    """One search, and a row for every rule; nothing where it is done already."""
    setting, output = SETTINGS[name], options.folder / f"{name}-{seed}.safetensors"
    kept = output.with_suffix(".rows.json")
    if kept.exists():
        return
    found = search(search_config(setting, seed, options.images), Destination(output, resume=True))
    epochs = RunDir(output.with_suffix(".run")).read_metrics()
    seconds = sum(row.get("seconds", 0.0) for row in epochs)
    column, rows = table.column(None, "test"), []
    for rule, genotype in derived(setting, found, options):
        worth = table.worth(genotype, column)
        values = (
            setting.method, f"{name}, {rule}", seed, seed in options.tuned_on, round(seconds), torch.get_num_threads(),
            setting.candidates if rule.startswith("best of") else 0, as_text(genotype), f"{worth.accuracy:.2f}",
            worth.rank,
        )  # fmt: skip
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        print(f"{name}, seed {seed}, {rule}: {worth.accuracy:.2f} %, rank {worth.rank:,}", flush=True)
    kept.write_text(json.dumps(rows))


def means(folder: Path, table: TruthTable, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of what the searches of a setting derive together, `MEANS` at a time, no search twice in a size."""
    column = table.column(None, "test")
    for name, setting in SETTINGS.items():
        done = {
            int(path.name.removeprefix(f"{name}-").split(".")[0]): json.loads(path.read_text())[0]
            for path in folder.glob(f"{name}-[0-9]*.rows.json")
        }
        seeds = sorted(seed for seed in done if seed not in options.tuned_on)
        files = {seed: load_artifact(folder / f"{name}-{seed}.safetensors") for seed in seeds}
        if not files or next(iter(files.values())).value.course is None:  # type: ignore[union-attr]
            continue
        for size in MEANS:
            for start in range(0, len(seeds) - size + 1, size):
                own = seeds[start : start + size]
                mean: Any = mean_distribution([files[seed] for seed in own])
                for rule, genotype in (("mode", mean.mode()), ("without none", mean.mode_without_none())):
                    worth = table.worth(genotype, column)
                    values = (
                        setting.method, f"{name}, mean of {size}, {rule}", f"{own[0]}-{own[-1]}", False,
                        sum(done[seed]["seconds"] for seed in own), 1, 0, as_text(genotype), f"{worth.accuracy:.2f}",
                        worth.rank,
                    )  # fmt: skip
                    yield dict(zip(COLUMNS, values, strict=True))


def write(folder: Path, path: Path, table: TruthTable, options: argparse.Namespace) -> None:
    """The rows of all searches that are done, by method, setting and seed."""
    rows = [row for kept in folder.glob("*.rows.json") for row in json.loads(kept.read_text())]
    rows += means(folder, table, options)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["method"], row["setting"], first(row))))


def first(row: Mapping[str, Any]) -> int:
    """The seed of a row, or the first of several."""
    return int(str(row["seed"]).split("-")[0])


def main() -> None:
    """A line per derived cell, and the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--tuned-on", nargs="*", type=int, default=[0])
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    table = load_table(options.table)
    for seed in options.seeds:
        for name in options.settings:
            run(name, seed, table, options)
            if options.csv is not None:
                write(options.folder, options.csv, table, options)


if __name__ == "__main__":
    main()
