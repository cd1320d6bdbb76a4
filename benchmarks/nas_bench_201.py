"""Searches in NAS-Bench-201, and the true accuracy of every cell that they derive.

    python benchmarks/nas_bench_201.py FOLDER --images CIFAR-10-AS-FILES --table TRUE-ACCURACIES
        [--settings darts pc-darts …] [--seeds 0 1 2] [--tuned-on 0] [--csv benchmarks/nas_bench_201.csv]
        [--no-candidates]

Searches run one after the other, each on one thread, and resume where they were stopped; finished ones stay in FOLDER
and are not repeated. The CSV file is written anew after each search. It has a row for every search and rule to derive
by, and for what several searches of a setting derive together, in the order of their seeds. `seconds` is the time of
the search and, if candidates are ranked, of the ranking; `score` is the accuracy on held-out images by which a cell was
chosen, if it was. `--tuned-on` names the seeds on which anything was chosen by true accuracies: their rows are marked,
and statistics leave them out. `--no-candidates` omits the rankings of methods that don't need one. Two of these
processes may run at once on different settings, each on its own core.
"""

import argparse
import csv
import io
import json
import re
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.distributions.distribution import DistributionFile  # noqa: E402
from nascli.artifacts.distributions.limits import CellLimits  # noqa: E402
from nascli.artifacts.files.disk import write_atomically  # noqa: E402
from nascli.artifacts.genotypes.genotype import CellGenotype, as_text  # noqa: E402
from nascli.artifacts.load import LoadedDistribution, load_artifact  # noqa: E402
from nascli.artifacts.runs.rundir import RunDir  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.config import PLACE, DeriveConfig, SearchConfig  # noqa: E402
from nascli.core.engine.destination import Destination  # noqa: E402
from nascli.core.engine.ranking.rank import rank  # noqa: E402
from nascli.core.engine.search import search  # noqa: E402
from nascli.core.engine.several import mean_distribution  # noqa: E402

COLUMNS = (
    "method", "setting", "seed", "tuned_on", "seconds", "threads", "device", "candidates", "score", "architecture",
    "cifar10_test", "rank",
)  # fmt: skip
AVERAGE = 5
MEANS = (2, 5, 10)
"""How many searches are averaged."""
TUNED_ON = (0, 1, 2, 3, 4, 100)
"""Seeds whose true accuracies were seen before the recipes were what they are."""
FEW_SKIPS = CellLimits(without_none=True, max_skips=2)
FEW_SKIPS_RULE = "without none, at most 2 skips"
SEEN_BEFORE_RULE = range(36)
"""Seeds whose true accuracies were seen before this rule was added, except those of the longest searches. The limit of
two skips is the field's usual one (`CellLimits`)."""


@dataclass(frozen=True)
class Setting:
    """A method, and what differs from its recipe `proxy-nas-bench-201`.

    candidates: the number to rank, the best twentieth of them on all images; 0: no ranking.
    """

    method: str
    changes: Mapping[str, Any]
    candidates: int = 0


SETTINGS: Mapping[str, Setting] = {
    "darts": Setting("darts", {}, candidates=300),
    "pc-darts": Setting("pc-darts", {}, candidates=300),
    # The same number of steps, on a fifth of the images.
    "darts-10k": Setting("darts", {"epochs": 40, "limit_train": 10_000}),
    "pc-darts-10k": Setting("pc-darts", {"epochs": 40, "arch_warmup_epochs": 25, "limit_train": 10_000}),
    # And half of the steps, at twice the rate.
    "darts-10k-short": Setting("darts", {"epochs": 20, "limit_train": 10_000, "arch_lr": 0.02}),
    "pc-darts-10k-short": Setting("pc-darts", {"epochs": 20, "limit_train": 10_000, "arch_lr": 0.02}),
    # Ten times as long, the architecture at a tenth of the rate, so that it moves as far.
    "darts-long": Setting("darts", {"epochs": 80, "arch_lr": 1e-3}),
    "pc-darts-long": Setting("pc-darts", {"epochs": 80, "arch_warmup_epochs": 50, "arch_lr": 3e-3}),
    "parsec": Setting("parsec", {}, candidates=300),
    "parsec-centred": Setting("parsec", {"centred_weights": True}, candidates=300),
    "spos": Setting("spos", {}, candidates=1000),
    "spos-long": Setting("spos", {"epochs": 300}, candidates=1000),
    "random": Setting("random", {}),
    # The same cells, each trained four times as long: 8 epochs.
    "random-long": Setting("random", {"epochs": 160}),
}


def search_config(setting: Setting, seed: int, images: Path) -> SearchConfig:
    """A search of CIFAR-10 as a folder of images. Raises UsageError for impossible settings."""
    return SearchConfig(
        method=setting.method,
        space="nas-bench-201",
        recipe="proxy-nas-bench-201",
        dataset="folder",
        data_dir=images,
        seed=seed,
        device="cpu",
        **setting.changes,
    )


@dataclass(frozen=True)
class Found:
    """A cell that a search, or several, derive by a rule."""

    rule: str
    architecture: str
    seconds: float
    candidates: int = 0
    score: float | None = None


def chosen(setting: Setting, start: LoadedDistribution, seconds: float) -> Iterator[Found]:
    """The cells by every rule of the distribution that needs no images. seconds: the time of the search."""
    distribution: Any = start.distribution
    if setting.method == "random":
        best = distribution.done[0]
        yield Found("best of all", as_text(best.genotype), seconds, len(distribution.done), best.accuracy)
    elif setting.method != "spos":
        yield Found("mode", as_text(distribution.mode()), seconds)
    if start.value.course is not None:
        mean: Any = start.value.averaged(min(AVERAGE, len(next(iter(start.value.course.values())))))
        yield Found(f"average {AVERAGE}", as_text(mean.mode()), seconds)
        yield from without_none("", distribution, seconds)
        yield Found(f"average {AVERAGE}, without none", as_text(mean.mode_within(CellLimits(True))), seconds)


def without_none(name: str, distribution: Any, seconds: float) -> Iterator[Found]:
    """The cells by the two rules without `none`. name: a prefix of the names of the rules."""
    yield Found(f"{name}without none", as_text(distribution.mode_within(CellLimits(True))), seconds)
    yield Found(f"{name}{FEW_SKIPS_RULE}", as_text(distribution.mode_within(FEW_SKIPS)), seconds)


def best_of(setting: Setting, start: LoadedDistribution, seconds: float, images: Path) -> Found:
    """The best of the ranked candidates; the ranking is never resumed, so that its time is complete."""
    config = DeriveConfig(
        method=setting.method,
        dataset="folder",
        data_dir=images,
        candidates=setting.candidates,
        shortlist=setting.candidates // 20,
        uniform=False,
    )
    began = time.perf_counter()
    (best,) = rank(start, config).genotypes
    took = seconds + time.perf_counter() - began
    cell, score = best.value.genotype, best.provenance.config["held_out_accuracy"]
    assert isinstance(cell, CellGenotype)
    assert isinstance(score, float)
    return Found(f"best of {setting.candidates}", as_text(cell), took, setting.candidates, score)


def run(name: str, seed: int, options: argparse.Namespace) -> None:
    """Run one search and its derivations and keep them; a finished search only derives by rules added since."""
    config, output = search_config(SETTINGS[name], seed, options.images), options.folder / f"{name}-{seed}.safetensors"
    kept = output.with_suffix(".found.json")
    mine = config.model_dump(mode="json", exclude=set(PLACE))
    if kept.exists():
        known = json.loads(kept.read_text())
        if known["config"] != mine:
            sys.exit(f"{kept} is of another configuration, such as that of an older recipe: give another folder")
        start = load_artifact(output).holding(DistributionFile)
        found, threads = known["found"], known["threads"]
        seconds = found[0]["seconds"]
    else:
        start, found, threads = search(config, Destination(output, resume=True)), [], torch.get_num_threads()
        seconds = sum(row.get("seconds", 0.0) for row in RunDir(output.with_suffix(".run")).read_metrics())
    before, rules = len(found), {one["rule"] for one in found}
    found += [asdict(one) for one in chosen(SETTINGS[name], start, seconds) if one.rule not in rules]
    ranks = SETTINGS[name].candidates and (options.candidates or name == "spos")
    if ranks and not any(one["candidates"] for one in found):
        found.append(asdict(best_of(SETTINGS[name], start, seconds, options.images)))
    if len(found) > before:
        write_atomically(kept, json.dumps({"config": mine, "threads": threads, "found": found}).encode())


def done(folder: Path, name: str) -> dict[int, dict[str, Any]]:
    """The kept results of the searches of a setting, by seed."""
    pattern = re.compile(rf"{re.escape(name)}-(\d+)\.found\.json")
    named = ((pattern.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): json.loads(path.read_text()) for match, path in sorted(named, key=str) if match}


def rows(folder: Path, table: TruthTable, tuned_on: Collection[int]) -> Iterator[dict[str, Any]]:
    """Every derived cell of the folder with its true accuracy; then what several searches derive together."""
    column = table.column(None, "test")
    for name, setting in SETTINGS.items():
        kept = done(folder, name)
        for seeds, threads, one in (*alone(kept), *together(folder, name, kept, tuned_on)):
            worth = table.worth(table.space.parse(one.architecture, "a cell"), column)
            device = device_of(folder / f"{name}-{seeds[0]}.safetensors")
            score = "" if one.score is None else f"{one.score:.4f}"
            values = (
                setting.method, f"{name}, {one.rule}", " ".join(map(str, seeds)),
                tuned(name, one.rule, seeds, tuned_on), round(one.seconds), threads, device, one.candidates, score,
                one.architecture, f"{worth.accuracy:.2f}", worth.rank,
            )  # fmt: skip
            yield dict(zip(COLUMNS, values, strict=True))


def device_of(path: Path) -> str:
    """The device that a search ran on. Old searches, which don't record it, ran on machines without a GPU."""
    return "cuda" if str(load_artifact(path).provenance.config.get("device")).startswith("cuda") else "cpu"


def tuned(name: str, rule: str, seeds: Collection[int], tuned_on: Collection[int]) -> bool:
    """Whether anything was chosen by the true accuracies of one of these seeds."""
    late = FEW_SKIPS_RULE in rule and not name.endswith("-long")
    return not {*tuned_on, *(SEEN_BEFORE_RULE if late else ())}.isdisjoint(seeds)


def alone(kept: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[list[int], int, Found]]:
    """Seed, threads and cell of every search by every rule."""
    for seed, own in sorted(kept.items()):
        yield from (([seed], own["threads"], Found(**one)) for one in own["found"])


def together(
    folder: Path, name: str, kept: Mapping[int, Mapping[str, Any]], tuned_on: Collection[int]
) -> Iterator[tuple[list[int], int, Found]]:
    """The same for means of as many fresh searches as MEANS says, in the order of seeds; no two of a size overlap."""
    fresh = [seed for seed in sorted(kept) if seed not in tuned_on]
    files = {seed: load_artifact(folder / f"{name}-{seed}.safetensors").holding(DistributionFile) for seed in fresh}
    if not all(map(has_course, files.values())):
        return
    for size in MEANS:
        for number in range(len(fresh) // size):
            own = fresh[number * size : (number + 1) * size]
            mean: Any = mean_distribution([files[seed] for seed in own])
            seconds = sum(kept[seed]["found"][0]["seconds"] for seed in own)
            threads = kept[own[0]]["threads"]
            yield own, threads, Found(f"mean of {size}", as_text(mean.mode()), seconds)
            for one in without_none(f"mean of {size}, ", mean, seconds):
                yield own, threads, one


def has_course(file: LoadedDistribution) -> bool:
    """Whether the file has the course of learnt logits, so that it can be averaged."""
    return file.value.course is not None


def write(path: Path, found: Iterable[Mapping[str, Any]]) -> None:
    """Replace the CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(found, key=lambda row: (row["method"], row["setting"], int(row["seed"].split()[0]))))
    write_atomically(path, text.getvalue().encode())


def main() -> None:
    """Print a line per derived cell, and write the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[11, 12, 13, 14, 15])
    parser.add_argument("--tuned-on", nargs="*", type=int, default=TUNED_ON)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--no-candidates", dest="candidates", action="store_false")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    table = load_table(options.table)
    for seed, name in product(options.seeds, options.settings):
        run(name, seed, options)
        print(f"{name}, seed {seed}: done", file=sys.stderr, flush=True)
        if options.csv is not None:
            write(options.csv, rows(options.folder, table, options.tuned_on))
    for row in rows(options.folder, table, options.tuned_on):
        print(f"{row['setting']}, seed {row['seed']}: {row['cifar10_test']} %, rank {row['rank']:,}")
    if options.csv is not None:
        write(options.csv, rows(options.folder, table, options.tuned_on))


if __name__ == "__main__":
    main()
