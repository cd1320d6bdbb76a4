"""Write the table of true accuracies that `--table` takes, from the files of NAS-Bench-201.

    pip install nats_bench
    python examples/nas_bench_201_table.py NATS-tss-v1_0-3ffb9-simple nas-bench-201.csv

The benchmark's authors publish its results with an interface, the package `nats_bench`, which this asks: the first
argument is the folder of the files that they call NATS-tss "simple". It reads pickles, which can run code: get them
from the authors. The second is the table, which nascli then reads once, to check it.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nascli.artifacts.truth import ARCHITECTURE, load_table
from nascli.errors import ArtifactError

COLUMNS = {
    "cifar10_test": ("cifar10", "200", "test-accuracy"),
    "cifar100_test": ("cifar100", "200", "test-accuracy"),
    "imagenet16_120_test": ("ImageNet16-120", "200", "test-accuracy"),
    "cifar10_test_12_epochs": ("cifar10", "12", "test-accuracy"),
    "cifar10_valid_12_epochs": ("cifar10-valid", "12", "valid-accuracy"),
    "cifar10_valid": ("cifar10-valid", "200", "valid-accuracy"),
}
"""The benchmark's name of the data, its epochs of training, and its name of the accuracy. Of the columns with "test" in
their names the first is what nascli tells, of those with "valid" the first is what random search chooses by: what a
short training says of unseen images."""


def rows(api: Any) -> Iterator[list[str]]:
    """A header, and a row per architecture; accuracies are means over the seeds that the benchmark has."""
    yield [ARCHITECTURE, *COLUMNS]
    for number, architecture in enumerate(api):
        found = (
            api.get_more_info(number, data, hp=epochs, is_random=False)[accuracy]
            for data, epochs, accuracy in COLUMNS.values()
        )
        yield [architecture, *(f"{value:.6g}" for value in found)]
        if number % 1000 == 0:
            print(f"{number:,} of {len(api):,}", file=sys.stderr)


def main() -> int:
    """Write the table and check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path, help="the folder of NATS-tss")
    parser.add_argument("table", type=Path, help="what is written")
    arguments = parser.parse_args()
    try:
        from nats_bench import create
    except ImportError:
        parser.error("the package nats_bench is missing: pip install nats_bench")
    if arguments.table.exists():
        parser.error(f"{arguments.table} exists")
    api = create(str(arguments.benchmark), "tss", fast_mode=True, verbose=False)
    with arguments.table.open("x", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows(api))
    try:
        table = load_table(arguments.table)
    except ArtifactError as error:
        print(f"not a whole table: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.table}: {len(table):,} cells of {table.space.name}, {', '.join(table.columns)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
