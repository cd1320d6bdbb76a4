"""Kill a search and a training at random moments, resume each, and compare the results byte by byte with unbroken runs.

    python benchmarks/kill_and_resume.py [--kills 10] [--seed 0]

Exits 1 if any result differs. Moments are uniform over the time of the unbroken run, its start-up included, and
`kill -9` leaves no chance to tidy up.
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

SEARCH = ["search", "--epochs", "4", "--arch-warmup-epochs", "1", "--limit-train", "512"]
TRAIN = ["train", "pc-darts-cifar10", "--epochs", "4", "--channels", "8", "--drop-path", "0.2", "--limit-train", "512"]


def start(arguments: list[str], output: Path, *more: str) -> subprocess.Popen[bytes]:
    """Run nascli in a process of its own."""
    command = [sys.executable, "-m", "nascli", *arguments, "-q", "-o", str(output), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compare(name: str, arguments: list[str], kills: int, draw: random.Random, folder: Path) -> int:
    """Returns the number of results that differ from the unbroken one."""
    whole = folder / f"{name}-whole.safetensors"
    began = time.monotonic()
    assert start(arguments, whole).wait() == 0
    seconds = time.monotonic() - began
    wrong = 0
    for number in range(kills):
        output = folder / f"{name}-{number}.safetensors"
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
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = compare("search", SEARCH, asked.kills, draw, folder) + compare(
            "train", TRAIN, asked.kills, draw, folder
        )
    print(f"{2 * asked.kills - wrong} of {2 * asked.kills} resumed runs ended in the bytes of the unbroken one")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
