"""The papers' settings as data: TOML files, one table per stage and kind of data, each of which names its `source`.

`pc-darts.toml` is a method's: it holds `[search.cifar10]`, `[finetune.cifar10]`, `[train.cifar10]` and so on. A
recipe's full name is "method/data", for example "pc-darts/cifar10". What a method searches in may have recipes of its
own, "pgnas/cifar10-enas", and so may training that starts from inherited weights. `nas-bench-201.toml` is a space's,
for several methods: `[search.darts.cifar10]` is the recipe "darts/cifar10-nas-bench-201", and the method "any" stands
for all that search such a space. A table that is `like` another of its stage and method differs from that in what it
says.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from nascli.errors import UsageError, unknown
from nascli.registry import METHODS, SPACES_OF

Table = dict[str, Any]

STAGES = ("search", "finetune", "train")
"""Those that every method has recipes for."""

RANKING = "derive"
"""Some methods have recipes for this stage, too: how many candidates are ranked."""

ANY = "any"


@cache
def _document(name: str) -> dict[str, Any]:
    resource = files(__name__) / f"{name}.toml"
    return tomllib.loads(resource.read_text(encoding="utf-8")) if resource.is_file() else {}


@cache
def _tables(stage: str, method: str) -> dict[str, Table]:
    """The recipes of a method for a stage, by name: its own, and those of the spaces that it searches."""
    tables: dict[str, Table] = dict(_document(method).get(stage, {}))
    for space in SPACES_OF[METHODS[method].searches] if method in METHODS else ():
        of_space = _document(space).get(stage, {})
        for data, table in {**of_space.get(ANY, {}), **of_space.get(method, {})}.items():
            named = {**table, "like": f"{table['like']}-{space}"} if "like" in table else table
            tables[f"{data}-{space}"] = named
    return tables


def names(stage: str, method: str) -> list[str]:
    """The recipes of a method for a stage ("search", "finetune" or "train"): `["cifar10", "digits", …]`."""
    return sorted(_tables(stage, method))


def keys(stage: str, method: str) -> set[str]:
    """What the recipes of a method for a stage set."""
    return {key for name in names(stage, method) for key in load(stage, method, name)}


def load(stage: str, method: str, name: str) -> dict[str, Any]:
    """The settings of one recipe, without its source. Raises UsageError for a recipe that does not exist."""
    tables = _tables(stage, method)
    if name not in tables:
        raise UsageError(unknown(f"{method} recipe for {stage}", name, tables))
    own = {key: value for key, value in tables[name].items() if key not in ("source", "like")}
    return load(stage, method, tables[name]["like"]) | own if "like" in tables[name] else own


def check_space(stage: str, method: str, name: str, space: str) -> None:
    """Raise UsageError for a recipe that is made for another space than this one."""
    others = (other for other in SPACES_OF[METHODS[method].searches] if other != space and _document(other))
    if other := next((other for other in others if name.endswith(f"-{other}")), None):
        raise UsageError(f"the {method} recipe {name!r} for {stage} is made for the space {other}, not for {space}")


def source(stage: str, method: str, name: str) -> str:
    """Where the numbers of a recipe come from."""
    return str(_tables(stage, method)[name].get("source", ""))
