"""`python -m nascli`: the same as the `nascli` program."""

import sys

from nascli.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
