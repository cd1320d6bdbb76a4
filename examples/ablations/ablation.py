"""What the ablations share: their options, nascli's commands as kept steps, and tables in Markdown.

A step is a command. `--dry-run` prints them all and runs none. Every step resumes or keeps what is in the folder, so an
ablation that was killed is started again as it was. Searches are named by what they vary: ablations that have a search
in common share it if they share the folder.
"""

import argparse
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from operator import mul
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import load_artifact
from nascli.artifacts.truth import TruthTable, load_table
from nascli.cli.main import run

QUICK = ("--epochs", "1", "--limit-train", "40", "--batch-size", "8") if os.environ.get("NASCLI_QUICK") else ()
"""For tests: NASCLI_QUICK=1 makes everything tiny."""

BY_TABLE = (
    *("--space", "nas-bench-201", "--recipe", "proxy-nas-bench-201", "--limit-train", "6000"),
    *("--image-size", "8", "--layers", "3", "--channels", "8", "--epochs", "4"),
)
"""What `--small` tells a search in the space of NAS-Bench-201: 188 steps."""

ON_DIGITS = ("--dataset", "digits", "--limit-train", "600", "--layers", "3", "--channels", "8", "--epochs", "4")
"""What it tells a search where the table cannot be used: 20 steps, which show no more than that all of it works."""

TRAINED = ("--dataset", "digits", "--layers", "3", "--channels", "8", "--epochs", "6")
"""What it then tells a training."""


@dataclass(frozen=True)
class Found:
    """What one search found: the test error of its cell in per cent, and the seconds that the search took."""

    error: float
    seconds: float


class Ablation:
    """An ablation's options and the folder of its results. `seeds`: how many, unless the user says otherwise."""

    def __init__(self, text: str, *, seeds: int) -> None:
        parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("folder", type=Path, help="where results are kept")
        parser.add_argument("--small", action="store_true", help="minutes on two cores; default: the paper's settings")
        parser.add_argument("--dataset", default="cifar10", help="as nascli's; where --small is not on digits, too")
        parser.add_argument("--data-dir", default="data", help="where the images are")
        parser.add_argument("--seeds", type=int, default=seeds, metavar="N", help=f"default {seeds}")
        parser.add_argument("--dry-run", action="store_true", help="print the commands, run none")
        parser.add_argument(
            "--table",
            default=os.environ.get("NASCLI_TEST_TABLE"),
            help="true accuracies for --small, default $NASCLI_TEST_TABLE",
        )
        options = parser.parse_args()
        if options.seeds < 1:
            sys.exit(f"--seeds {options.seeds}: at least one search is needed")
        if options.folder.exists() and not options.folder.is_dir():
            sys.exit(f"{options.folder} is no folder: name one for the results")
        self.folder, self.small, self.dry_run = options.folder, options.small, options.dry_run
        self.dataset: str = options.dataset
        self.seeds = range(options.seeds)
        self._images = ("--dataset", options.dataset, "--data-dir", options.data_dir)
        self._table, self._listed = options.table, set[str]()

    def nascli(self, *words: object) -> str:
        """Run a command and return what it prints; leave with its exit code if it fails."""
        line = shlex.join(["nascli", *map(str, words)])
        if self.dry_run:
            if line not in self._listed:
                print(line)
                self._listed.add(line)
            return "{}"
        print(line, file=sys.stderr, flush=True)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sys.exit(f"{self.folder} cannot be made: {error.strerror}")
        with redirect_stdout(io.StringIO()) as printed:
            code = run([*map(str, words), "--quiet"])
        if code:
            sys.exit(code)
        return printed.getvalue()

    def named(self, *words: object, ending: str = "safetensors") -> Path:
        """The file of a step, by what it varies."""
        name = re.sub(r"[^\w.]+", "-", " ".join(map(str, words))).strip("-")
        return Path(self.folder, f"{name}.{ending}")

    def search(self, method: str, seed: int, *words: str, scale: Sequence[str] = ()) -> Path:
        """The distribution of a search, with the settings of `scale` where the ablation is small."""
        path = self.named(method, *words, f"seed{seed}")
        own = tuple(scale) if self.small else ()
        given = (*(() if "--dataset" in own else self._images), *own, *words, *QUICK)
        self.nascli("search", "--method", method, *given, "--seed", seed, "--resume", "-o", path)
        return path

    def cells(
        self, method: str, *words: str, by_table: bool = True, seeds: int = 0, small: str = "", trained: str = ""
    ) -> list[Found]:
        """What searches from `seeds` seeds (0: all) find.

        small: further words for a search where the ablation is small; trained: for the trainings where it is not.
        """
        if by_table and self.small and not self._table and not self.dry_run:
            sys.exit("--small looks up true accuracies: give --table FILE (examples/nas_bench_201_table.py writes it)")
        scale = (*(BY_TABLE if by_table else ON_DIGITS), *small.split())
        runs = {seed: self.search(method, seed, *words, scale=scale) for seed in self.seeds[: seeds or None]}
        return [self._found(seed, run_file, by_table, trained.split()) for seed, run_file in runs.items()]

    def _found(self, seed: int, run_file: Path, by_table: bool, trained: Sequence[str]) -> Found:
        cell = run_file.with_suffix(".json")
        if by_table and self.small:
            # As the papers do: `none` is no operation of a cell.
            self.nascli("derive", run_file, "--without-none", "--overwrite", "-o", cell)
            return Found(self._true_error(cell), self.seconds(run_file))
        self.nascli("derive", run_file, "--overwrite", "-o", cell)
        model = self.named(run_file.stem, "trained")
        self.train(cell, model, *(() if self.small else trained), "--seed", str(seed))
        return Found(self.test_error(model), self.seconds(run_file))

    def train(self, cell: Path, model: Path, *words: str) -> None:
        """A network of a cell, on the images of its search."""
        given = TRAINED if self.small else self._images
        self.nascli("train", cell, *given, *words, *QUICK, "--resume", "-o", model)

    def test_error(self, model: Path) -> float:
        """In per cent."""
        found = json.loads(self.nascli("eval", model, "--json"))
        return 0.0 if self.dry_run else 100 * (1 - found["top1"])

    @cached_property
    def _truth(self) -> TruthTable:
        return load_table(Path(self._table))

    def _true_error(self, cell: Path) -> float:
        """In per cent, of the network that NAS-Bench-201's authors trained."""
        if self.dry_run:
            return 0.0
        genotype = load_artifact(cell).holding(GenotypeFile).value.genotype
        return 100 - self._truth.worth(genotype, self._truth.column(None, "test")).accuracy

    def rows(self, run_file: Path) -> list[dict[str, Any]]:
        """The metrics of a search, epoch by epoch."""
        if self.dry_run:
            return []
        return [json.loads(line) for line in (run_file.with_suffix(".run") / "metrics.jsonl").read_text().splitlines()]

    def seconds(self, run_file: Path) -> float:
        """How long the epochs of a search took."""
        return sum(float(row.get("seconds", 0)) for row in self.rows(run_file))

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table in Markdown, unless nothing has run."""
        if not self.dry_run:
            lines = [head, ["---"] * len(head), *rows]
            print(f"\n**{title}**\n", *(f"| {' | '.join(map(str, line))} |" for line in lines), sep="\n", flush=True)


def errors(found: Sequence[Found]) -> list[float]:
    """The test errors of searches."""
    return [one.error for one in found]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and deviation."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def chance(values: Sequence[float], others: Sequence[float]) -> str:
    """How often means differ at least as much if the values are dealt out at random: exact, two-sided, as text."""
    if min(len(values), len(others)) < 2 or values == others:
        return ""
    both = [*values, *others]
    distance = abs(mean(values) - mean(others)) - 1e-9
    ways = list(combinations(range(len(both)), len(values)))
    total = sum(both)
    sums = [sum(both[place] for place in way) for way in ways]
    return f"{mean(abs(own / len(values) - (total - own) / len(others)) >= distance for own in sums):.2g}"


def paired(values: Sequence[float], others: Sequence[float]) -> str:
    """The mean difference of pairs, and how often it is as large if each difference had either sign: exact, as text."""
    differences = [one - other for one, other in zip(values, others, strict=True)]
    sums = [abs(sum(map(mul, differences, signs))) for signs in product((1, -1), repeat=len(differences))]
    as_large = mean(own >= abs(sum(differences)) - 1e-9 for own in sums)
    return f"{mean(differences):+.2f} ({len(differences)} pairs, chance {as_large:.2g})"
