"""Kill a random rank of a random job under torchrun at a random moment, resume, and compare with an undisturbed run.

    python benchmarks/kill_ranks.py [--kills 20] [--seed 0] [--jobs search parsec …]

Results are compared byte by byte with those of as many processes; exits with 1 if any differ. The moments are uniform
over the time of the undisturbed job from the start of its ranks, and `kill -9` leaves no chance to clean up. The time
to the end counts from the kill, and the message is what nascli writes to standard error beside torchrun's own report.
Needs Linux.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.kill_and_resume import CELL, digest

SMALL = ["--epochs", "3", "--limit-train", "100"]
CELLS = ["--layers", "3", "--channels", "4"]
JOBS = {
    "search": (2, ["search", *SMALL, *CELLS, "--arch-warmup-epochs", "1"]),
    "parsec": (2, ["search", "--method", "parsec", *SMALL, *CELLS, "--samples", "4"]),
    "pgnas": (2, ["search", "--method", "pgnas", "--space", "enas", "--width", "4", "--depth", "1", *SMALL]),
    "train": (3, ["train", CELL, *SMALL, "--channels", "4"]),
    "derive": (3, ["derive", "{posterior}", "--candidates", "600"]),
}
"""For each job, by name, how many ranks it has and what they do."""

POSTERIOR = ["search", "--method", "pgnas", *SMALL]


@dataclass(frozen=True)
class Kill:
    """What became of a job after a kill. moment: seconds after the start of its ranks; ended: after the kill.

    complete: whether the result was there already, so that there was nothing left to say.
    """

    rank: int
    moment: float
    came: bool
    complete: bool
    ended: float
    messages: list[str]


def start(count: int, arguments: list[str], output: Path, *more: str) -> subprocess.Popen[str]:
    """Start nascli in so many processes, or in one without torchrun."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"] if count > 1 else []
    command = [sys.executable, "-m", *torchrun, "nascli", *arguments, "-q", "-o", str(output), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def ranks_of(process: subprocess.Popen[str], count: int) -> list[int]:
    """The process numbers of all ranks, once they have started; fewer where the job has ended before."""
    while True:
        ps = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
        found = sorted(map(int, subprocess.run(ps, check=False, capture_output=True, text=True).stdout.split()))
        if len(found) == count or process.poll() is not None:
            return found
        time.sleep(0.05)


def killed(process: subprocess.Popen[str], output: Path, count: int, rank: int, moment: float) -> Kill:
    """Kill a rank of a job and wait for the end of the others."""
    found = ranks_of(process, count)
    time.sleep(moment)
    came = process.poll() is None and len(found) == count
    if came:
        try:
            os.kill(found[rank], signal.SIGKILL)
        except ProcessLookupError:
            came = False
    complete = output.exists()
    began = time.monotonic()
    _, errors = process.communicate()
    messages = [line for line in errors.splitlines() if line.startswith("nascli: ")]
    return Kill(rank, moment, came, complete, time.monotonic() - began, messages)


def undisturbed(name: str, folder: Path) -> tuple[Path, float]:
    """The result of a job and the seconds that it takes from the start of its ranks; done once."""
    count, arguments = JOBS[name]
    whole = folder / f"{name}-whole.{'json' if arguments[0] == 'derive' else 'safetensors'}"
    process = start(count, arguments_of(name, folder), whole)
    ranks_of(process, count)
    began = time.monotonic()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert not errors, f"{name} writes to standard error: {errors}"
    return whole, time.monotonic() - began


def arguments_of(name: str, folder: Path) -> list[str]:
    """The arguments of a job; a file that it needs is made once."""
    _, arguments = JOBS[name]
    posterior = folder / "posterior.safetensors"
    if "{posterior}" in arguments and not posterior.exists():
        assert start(1, POSTERIOR, posterior).wait() == 0
    return [argument.format(posterior=posterior) for argument in arguments]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    asked = parser.parse_args()
    draw, lost = random.Random(asked.seed), 0
    whole: dict[str, tuple[Path, float]] = {}
    print(
        "| job | rank | killed at | the others end after | message | resumed |\n|---|---|---|---|---|---|", flush=True
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(asked.kills):
            name = draw.choice(asked.jobs)
            count, _ = JOBS[name]
            if name not in whole:
                whole[name] = undisturbed(name, folder)
            result, seconds = whole[name]
            output = result.with_stem(f"{name}-{number}")
            process = start(count, arguments_of(name, folder), output)
            kill = killed(process, output, count, draw.randrange(count), draw.uniform(0, seconds))
            again = start(count, arguments_of(name, folder), output, "--resume")
            _, errors = again.communicate()
            same = again.returncode == 0 and digest(output) == digest(result)
            lost += not same
            told = " / ".join(kill.messages).removeprefix("nascli: ").split(":")[0]
            told = told or ("none: the result was there" if kill.complete else "none")
            after = f"{kill.ended:.1f} s" if kill.came else "had ended"
            print(
                f"| {name} | {kill.rank} of {count} | {kill.moment:.1f} of {seconds:.1f} s | {after} | {told} "
                f"| {'same bytes' if same else f'DIFFERENT {errors}'} |",
                flush=True,
            )
    print(f"{asked.kills - lost} of {asked.kills} resumed jobs ended in the same bytes as the undisturbed one")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
