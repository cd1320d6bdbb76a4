"""The papers' settings as data: TOML files, one table per stage and kind of data, each with its `source`.

`pc-darts.toml` belongs to a method: it holds `[search.cifar10]`, `[finetune.cifar10]`, `[train.cifar10]` and so on. A
recipe's full name is "method/data", for example "pc-darts/cifar10". A super-network may have its own recipes, such as
"pgnas/cifar10-enas", and so may training that starts from inherited weights.

`cells.toml` belongs to all methods that search cells: a recipe there is theirs, too, unless they have one of that name.
`nas-bench-201.toml` belongs to a space: `[search.darts.cifar10]` is the recipe "darts/cifar10-nas-bench-201", and
`[train.cells.cifar10]` is "cells/cifar10-nas-bench-201".

A table with `like` takes the settings and the source of another table, except for those that it gives itself.
`like = "cifar10"` names a table of the same stage and file, `like = "parsec/cifar10"` one of the same stage of another
method ("cells" for all that search cells), and `like = "search.cifar10"` or `like = "parsec/search.cifar10"` one of
another stage. In the file of a space, all of these are tables of that space.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from nascli.errors import UsageError, unknown
from nascli.registry import METHODS, SPACES_OF, lookup

Table = dict[str, Any]

STAGES = ("search", "finetune", "train")
"""The stages for which every method has recipes."""

RANKING = "derive"
"""A stage for which some methods have recipes, too: how many candidates are ranked."""


class TableName(NamedTuple):
    """The place of a table. `owner` is a method, or a kind of space for all methods that search it: "cells"."""

    stage: str
    owner: str
    data: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.stage}.{self.data}"


@cache
def _document(name: str) -> dict[str, Any]:
    resource = files(__name__) / f"{name}.toml"
    return tomllib.loads(resource.read_text(encoding="utf-8")) if resource.is_file() else {}


@cache
def _written_tables(stage: str, owner: str) -> dict[str, Table]:
    """The tables of a method or a kind of space as they are written, in its own file and in the files of spaces."""
    kind = METHODS[owner].searches if owner in METHODS else owner
    tables: dict[str, Table] = dict(_document(owner).get(stage, {})) if kind in SPACES_OF else {}
    for space in SPACES_OF.get(kind, ()):
        for data, table in _document(space).get(stage, {}).get(owner, {}).items():
            named = {**table, "like": f"{table['like']}-{space}"} if "like" in table else table
            tables[f"{data}-{space}"] = named
    return tables


@cache
def _tables(stage: str, owner: str) -> dict[str, TableName]:
    """The table of every recipe for a stage: the owner's own, and for a method those of its kind of space."""
    kind = METHODS[owner].searches if owner in METHODS else owner
    return {data: TableName(stage, home, data) for home in (kind, owner) for data in _written_tables(stage, home)}


def _recipes(stage: str, method: str) -> dict[str, TableName]:
    return _tables(stage, method) if method in METHODS else {}


def _like(like: str, name: TableName) -> TableName:
    """The table that the table `name` is `like`: "data", "stage.data", "method/data" or "method/stage.data"."""
    owner, _, rest = like.rpartition("/")
    stage, _, data = rest.rpartition(".")
    return TableName(stage or name.stage, owner or name.owner, data)


def _completed(name: TableName, *path: TableName) -> Table:
    """A table, completed by the one that it is like, and so on. `path`: the tables that led here.

    Raises ValueError if a table is like one that does not exist, or like itself.
    """
    tables = _tables(name.stage, name.owner)
    name = tables.get(name.data, name)
    chain = " is like ".join(map(str, (*path, name)))
    if name.data not in tables:
        raise ValueError(f"{chain}: {unknown(f'{name.owner} recipe for {name.stage}', name.data, tables)}")
    if name in path:
        raise ValueError(f"recipes in a circle: {chain}")
    table = _written_tables(name.stage, name.owner)[name.data]
    own = {key: value for key, value in table.items() if key != "like"}
    return _completed(_like(table["like"], name), *path, name) | own if "like" in table else own


def names(stage: str, method: str) -> list[str]:
    """The recipes of a method for a stage ("search", "finetune" or "train"): `["cifar10", "digits", …]`."""
    return sorted(_recipes(stage, method))


def keys(stage: str, method: str) -> set[str]:
    """The settings that the recipes of a method for a stage give."""
    return {key for name in names(stage, method) for key in load(stage, method, name)}


def load(stage: str, method: str, name: str) -> dict[str, Any]:
    """The settings of one recipe, without its source. Raises UsageError for a recipe that does not exist."""
    recipes = _recipes(stage, method)
    if name not in recipes:
        raise UsageError(unknown(f"{method} recipe for {stage}", name, recipes))
    return {key: value for key, value in _completed(recipes[name]).items() if key != "source"}


def of_task(task: str, name: str, space: str | None = None) -> dict[str, Any]:
    """The settings of a recipe of another task than classification, with the sizes that its table gives for a space.

    Raises UsageError for a recipe that does not exist.
    """
    table = lookup(_document(task), f"recipe for --task {task}", name)
    sizes = table.get("sizes", {}).get(space, {})
    return {**{key: value for key, value in table.items() if key not in ("source", "sizes")}, **sizes}


def names_of_task(task: str) -> list[str]:
    """The recipes of a task other than classification."""
    return sorted(_document(task))


def source_of_task(task: str, name: str) -> str:
    """Where the numbers of such a recipe come from."""
    return str(_document(task)[name]["source"])


def check_space(stage: str, method: str, name: str, space: str) -> None:
    """Raise UsageError for a recipe that is made for another space than this one."""
    others = (
        other for other in SPACES_OF[lookup(METHODS, "method", method).searches] if other != space and _document(other)
    )
    if other := next((other for other in others if name.endswith(f"-{other}")), None):
        raise UsageError(f"the {method} recipe {name!r} for {stage} is made for the space {other}, not for {space}")


def source(stage: str, method: str, name: str) -> str:
    """Where the numbers of a recipe come from."""
    return str(_completed(_recipes(stage, method)[name])["source"])
