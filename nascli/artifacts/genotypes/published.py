"""The published cells that come with nascli: `genotypes/*.json`, in a wheel inside the package, otherwise beside it."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from nascli.artifacts.genotypes.genotype import GenotypeFile, parse_genotype
from nascli.errors import UsageError, unknown

_FOLDER = "genotypes"


def _folder() -> Traversable:
    package = files("nascli")
    inside = package / _FOLDER
    return inside if inside.is_dir() else package / ".." / _FOLDER


@cache
def names() -> tuple[str, ...]:
    """The names of the cells, in alphabetical order."""
    return tuple(sorted(item.name.removesuffix(".json") for item in _folder().iterdir() if item.name.endswith(".json")))


def read(name: str) -> bytes:
    """The bytes of a published cell's file. Raises UsageError for a name that is not known."""
    if name not in names():
        raise UsageError(unknown("genotype", name, names()))
    return (_folder() / f"{name}.json").read_bytes()


def load(name: str) -> GenotypeFile:
    """A published cell; its source is in `provenance.note`. Raises UsageError for a name that is not known."""
    return parse_genotype(read(name), name)
