"""How long a step takes with several processes on this machine, and what synchronised batch norms cost.

    OMP_NUM_THREADS=1 python benchmarks/processes.py [--rounds 3] [--processes 1,2] [--only train]

Every round runs each command of RUNS once with each number of processes, as `torchrun --standalone` starts them (gloo),
and with several also with `--no-sync-batch-norm`. A step's seconds are those of an epoch of `metrics.jsonl`, the first
left out, divided by its steps. What is printed are medians over the rounds of the seconds, and of the ratios within a
round. Processes on CPUs gain only from cores that nobody else uses.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.cli.commands.env import machine  # noqa: E402

DATA = "--dataset digits --image-size 32 --epochs 3 --seed 0"
RUNS = {
    "pc-darts": f"search --method pc-darts {DATA} --limit-train 512 --batch-size 64 --layers 5 --channels 16 "
    "--arch-warmup-epochs 0",
    "parsec": f"search --method parsec {DATA} --limit-train 192 --batch-size 32 --layers 4 --channels 8 --samples 8 "
    "--arch-warmup-epochs 0",
    "train": f"train darts-v1 {DATA} --limit-train 512 --batch-size 64 --layers 5 --channels 16",
}
"""Commands of nascli, small enough for a few seconds an epoch."""

UNSYNCHRONISED = "--no-sync-batch-norm"


def seconds_per_step(command: str, processes: int, folder: Path) -> float:
    """The median over the epochs but the first."""
    run = folder / "run"
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    given = ["-m", "nascli", *command.split(), "-q", "--run-dir", str(run), "-o", str(folder / "out.safetensors")]
    subprocess.run([*start, *given], check=True, capture_output=True, cwd=ROOT)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["epoch"]]
    steps = rows[-1]["step"] - rows[-2]["step"]
    return statistics.median(row["seconds"] / steps for row in rows[1:])


def measured(command: str, ways: Sequence[tuple[int, str]], rounds: int) -> Iterator[list[float]]:
    """The seconds of each way, round after round."""
    for _ in range(rounds):
        found = []
        for processes, more in ways:
            with tempfile.TemporaryDirectory() as folder:
                found.append(seconds_per_step(f"{command} {more}", processes, Path(folder)))
        yield found


def main() -> None:
    """Print a line for every way of every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run")
    parser.add_argument("--processes", default="1,2", help="how many processes; the first number is compared with")
    parser.add_argument("--only", default="", help="only what has this in its name")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.processes.split(",")]
    print(f"{machine()}; OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}; {arguments.rounds} rounds")
    for name, command in RUNS.items():
        if arguments.only not in name:
            continue
        ways = [(count, more) for count in counts for more in ("", UNSYNCHRONISED) if count > 1 or not more]
        rounds = list(measured(command, ways, arguments.rounds))
        for place, (processes, more) in enumerate(ways):
            seconds = [found[place] for found in rounds]
            ratios = [found[0] / found[place] for found in rounds]
            print(
                f"{name:10}{processes} process{'es' if processes > 1 else '  '} {more:21}"
                f"{statistics.median(seconds):8.3f} s a step, {statistics.median(ratios):.2f} times as fast "
                f"(from {min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
