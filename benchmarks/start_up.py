"""How long `nascli --help` takes, including the interpreter's start: the median of several processes.

Exits with 1 above 0.35 s.

    python benchmarks/start_up.py
"""

import statistics
import subprocess
import sys
import time

from nascli.cli.commands.env import machine

RUNS, PROMISED = 9, 0.35


def main() -> int:
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "nascli", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    spread = f"median of {RUNS}, {min(seconds):.2f} to {max(seconds):.2f}"
    print(machine())
    print(f"nascli --help: {median:.2f} s ({spread}; promised: {PROMISED} s)")
    return 0 if median < PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
