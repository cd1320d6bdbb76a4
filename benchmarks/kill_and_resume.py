"""Kill runs of every method and stage at random moments, resume each, and compare with uninterrupted runs.

    python benchmarks/kill_and_resume.py [--kills 10] [--seed 0] [--runs search pgnas pgnas-derive …]

Results are compared byte by byte; exits with 1 if any differ. The moments are uniform over the time of the
uninterrupted run, its start-up included, and `kill -9` leaves no chance to clean up.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = ["--epochs", "4", "--limit-train", "512"]
ENAS = ["--space", "enas", "--width", "4"]
BENCHMARK = ["--space", "nas-bench-201"]
CELL = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_1x1~2|"
RUNS = {
    "search": ["search", *SMALL, "--arch-warmup-epochs", "1"],
    "parsec": ["search", "--method", "parsec", *SMALL, "--layers", "3", "--adaptive-samples"],
    "random": ["search", "--method", "random", *SMALL, "--trials", "4"],
    "order-2": ["search", "--method", "darts", "--order", "2", *SMALL, "--layers", "3", "--channels", "4"],
    "nas-bench-201": ["search", *BENCHMARK, *SMALL, "--arch-warmup-epochs", "1", "--channel-sampling", "random"],
    "nas-bench-201-darts": ["search", "--method", "darts", *BENCHMARK, *SMALL],
    "nas-bench-201-parsec": ["search", "--method", "parsec", *BENCHMARK, *SMALL, "--adaptive-samples"],
    "parsec-warmup": ["search", "--method", "parsec", *SMALL, "--arch-warmup-epochs", "1", "--centred-weights"],
    "spos": ["search", "--method", "spos", *BENCHMARK, *SMALL],
    "cells-derive": ["derive", "{cells}", "--candidates", "600"],
    "nas-bench-201-random": ["search", "--method", "random", *BENCHMARK, *SMALL, "--trials", "4"],
    "nas-bench-201-train": ["train", CELL, *SMALL],
    "train": ["train", "pc-darts-cifar10", *SMALL, "--channels", "8", "--drop-path", "0.2"],
    "pgnas": ["search", "--method", "pgnas", *SMALL, "--epochs", "8"],
    "pgnas-enas": ["search", "--method", "pgnas", *SMALL, *ENAS, "--drop-path", "0.2"],
    "pgnas-finetune": ["finetune", "{posterior}", "--epochs", "8"],
    "pgnas-derive": ["derive", "{posterior}", "--candidates", "1500", "--shortlist", "300"],
    "pgnas-train": ["train", "{cell}", "--from", "{posterior}", "--epochs", "8"],
}
PREPARED = {
    "posterior": ["search", "--method", "pgnas", *SMALL],
    "cells": ["search", "--method", "darts", *BENCHMARK, *SMALL],
    "cell": ["derive", "{posterior}", "--candidates", "20"],
}
"""The files that some of the runs start from, made once."""


def start(arguments: list[str], output: Path, *more: str) -> subprocess.Popen[bytes]:
    """Run nascli in a process of its own."""
    command = [sys.executable, "-m", "nascli", *arguments, "-q", "-o", str(output), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def prepared(arguments: list[str], folder: Path) -> list[str]:
    """The arguments, with each name in braces replaced by the path of that file, which is made if it is missing."""
    made = {}
    for name, command in PREPARED.items():
        path = folder / f"{name}.{'json' if command[0] == 'derive' else 'safetensors'}"
        if f"{{{name}}}" in arguments and not path.exists():
            assert start(prepared(command, folder), path).wait() == 0
        made[name] = path
    return [argument.format(**made) for argument in arguments]


def compare(name: str, arguments: list[str], kills: int, draw: random.Random, folder: Path) -> int:
    """Returns the number of results that differ from the uninterrupted one."""
    arguments = prepared(arguments, folder)
    ending = "json" if arguments[0] == "derive" else "safetensors"
    whole = folder / f"{name}-whole.{ending}"
    began = time.monotonic()
    assert start(arguments, whole).wait() == 0
    seconds = time.monotonic() - began
    wrong = 0
    for number in range(kills):
        output = folder / f"{name}-{number}.{ending}"
        moment = draw.uniform(0, seconds)
        process = start(arguments, output)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        code = start(arguments, output, "--resume").wait()
        same = code == 0 and digest(output) == digest(whole)
        wrong += not same
        state = "killed" if killed else "had ended"
        outcome = "same bytes" if same else f"DIFFERENT (exit {code})"
        moment_of = f"{moment:.1f} s of {seconds:.1f} s"
        print(f"{name} {number + 1}/{kills}: {state} at {moment_of}, resumed: {outcome}", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wrong = sum(compare(name, RUNS[name], asked.kills, draw, folder) for name in asked.runs)
    total = len(asked.runs) * asked.kills
    print(f"{total - wrong} of {total} resumed runs ended in the same bytes as the uninterrupted one")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
