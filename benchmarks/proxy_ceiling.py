"""How well can a cheap search tell good cells from bad? The upper limit of a proxy, without any search.

    python benchmarks/proxy_ceiling.py FOLDER --images CIFAR-10-AS-FILES --table TRUE-ACCURACIES
        [--proxies c8n1p16 …] [--limit-train 10000] [--cells 40] [--epochs 12] [--seed 0]

Random cells of NAS-Bench-201 are each trained alone in a small network on half of the images and scored on the other
half. The rank correlation (Spearman's rho) of these scores with the true accuracies is printed, over all cells and over
those above 90 %. No search with shared weights can be expected to do better in a network of that size. The proxy
c8n1p16 has 8 channels, 1 cell per stage and images of 16x16 pixels. All proxies train the same cells. Finished
trainings stay in FOLDER and are not repeated.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.artifacts.genotypes.genotype import as_text  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.cli.commands.env import machine  # noqa: E402
from nascli.config import TrainConfig  # noqa: E402
from nascli.core.engine.train import train  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402

GOOD = 90.0
PROXY = re.compile(r"c(?P<channels>\d+)n(?P<per_stage>\d+)p(?P<image_size>\d+)")


def config(proxy: str, options: argparse.Namespace) -> TrainConfig:
    """How a cell is trained alone: by the schedule of a search, for its share of the time."""
    found = PROXY.fullmatch(proxy)
    if found is None:
        sys.exit(f"{proxy} is not a proxy such as c8n1p16")
    size = {name: int(value) for name, value in found.groupdict().items()}
    return TrainConfig(
        dataset="folder",
        data_dir=options.images,
        space="nas-bench-201",
        image_size=size["image_size"],
        limit_train=options.limit_train,
        validation=0.5,
        layers=3 * size["per_stage"],
        channels=size["channels"],
        stem="cifar",
        epochs=options.epochs,
        batch_size=64,
        lr=0.1,
        lr_min=0.0,
        weight_decay=5e-4,
        force=True,  # one random cell in fifty is disconnected
    )


def trained(proxy: str, cells: list[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row per cell: its scores on the images that it was not trained on."""
    kept = options.folder / f"{proxy}-{options.limit_train}-{options.epochs}.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {row["architecture"] for row in rows}
    for text in cells:
        if text in known:
            continue
        start = time.perf_counter()
        metrics = train(text, config(proxy, options)).value.metrics
        seconds = time.perf_counter() - start
        scores = {name: metrics[f"validation_{name}"] for name in ("accuracy", "loss")}
        rows.append({"architecture": text, **scores, "seconds": round(seconds, 1)})
        with kept.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(f"{proxy}: {len(rows)} of {len(cells)}: {scores['accuracy']:.1%}, {seconds:.0f} s", file=sys.stderr)
    return [row for row in rows if row["architecture"] in cells]


def agreement(rows: list[dict[str, Any]], table: TruthTable, column: str) -> str:
    """Spearman's rho of accuracy and of log-likelihood with the truth, over all cells and over the good ones."""
    truth = np.array([table.accuracy(table.space.parse(row["architecture"], "a row"), column) for row in rows])
    scores = {"accuracy": [row["accuracy"] for row in rows], "log-likelihood": [-row["loss"] for row in rows]}
    parts = []
    for name, chosen in (("all", truth >= 0), (f"above {GOOD:g} %", truth > GOOD)):
        rhos = [f"{spearmanr(np.array(values)[chosen], truth[chosen]).statistic:.2f}" for values in scores.values()]
        parts.append(f"{name} ({chosen.sum()} cells): {' and '.join(rhos)}")
    return f"rho of {' and '.join(scores)} with {column}, {', '.join(parts)}"


def main() -> None:
    """Print a line per proxy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--proxies", nargs="+", default=["c8n1p16", "c16n1p16", "c16n2p16"])
    parser.add_argument("--limit-train", type=int, default=10_000)
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table = load_table(options.table)
    column = table.column(None, "test")
    uniform = CategoricalDistribution.uniform(cell_space("nas-bench-201"))
    cells = [as_text(uniform.sample(options.seed, number)) for number in range(options.cells)]
    print(f"{machine()}; {len(cells)} cells, {options.epochs} epochs of half of {options.limit_train:,} images")
    for proxy in options.proxies:
        rows = trained(proxy, cells, options)
        seconds = sum(row["seconds"] for row in rows) / len(rows)
        print(f"{proxy}: {agreement(rows, table, column)}; {seconds:.0f} s a cell", flush=True)


if __name__ == "__main__":
    main()
