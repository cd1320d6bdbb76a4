"""nascli, whose rank 1 is killed in a step, once: `killed_once.py MARK ARGUMENTS…`, with a file that says so."""

import os
import sys
from pathlib import Path

from nascli.cli.main import run
from nascli.distributed import torchrun
from tests.distributed import faults

if __name__ == "__main__":
    torchrun.SILENCE_SECONDS, torchrun.FIRST_SECONDS = 1.2, 0.6
    mark, *arguments = sys.argv[1:]
    if os.environ["RANK"] == "1" and not Path(mark).exists():
        Path(mark).touch()
        faults.killed_in_a_step()
    sys.exit(run(arguments))
