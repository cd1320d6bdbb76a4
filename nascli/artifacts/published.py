"""The published cells that come with nascli: `nascli/genotypes/*.json`."""

from functools import cache
from importlib.resources import files

from nascli.artifacts.genotype import GenotypeFile, parse_genotype
from nascli.errors import UsageError, unknown

_FOLDER = "genotypes"


@cache
def names() -> tuple[str, ...]:
    """The names of the cells, in alphabetical order."""
    folder = files("nascli") / _FOLDER
    return tuple(sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json")))


def read(name: str) -> bytes:
    """The bytes of a published cell's file. Raises UsageError for a name that is not known."""
    if name not in names():
        raise UsageError(unknown("genotype", name, names()))
    return (files("nascli") / _FOLDER / f"{name}.json").read_bytes()


def load(name: str) -> GenotypeFile:
    """A published cell; its source is in `provenance.note`. Raises UsageError for a name that is not known."""
    return parse_genotype(read(name), name)
