"""Write the table of true accuracies that `--table` takes, from the files of NAS-Bench-201.

    pip install nats_bench
    python examples/nas_bench_201_table.py NATS-tss-v1_0-3ffb9-simple nas-bench-201.csv

The first argument is the folder with the results that the benchmark's authors publish as NATS-tss "simple", which their
package `nats_bench` reads. They are pickles, which can run code: get them from the authors. The second argument is the
table to write; nascli reads it once to check it.
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
"""For each column the benchmark's name of the data, its epochs of training, and its name of the accuracy.

nascli reports the first column with "test" in its name. Random search chooses by the first with "valid" in its name,
which is the accuracy on unseen images after a short training.
"""


def rows(api: Any) -> Iterator[list[str]]:
    """A header, and a row per architecture; accuracies are means over the benchmark's seeds."""
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
    parser.add_argument("table", type=Path, help="the CSV file to write")
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
        print(f"the table is not complete: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.table}: {len(table):,} cells of {table.space.name}, {', '.join(table.columns)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
