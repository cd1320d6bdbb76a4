"""The papers' settings as data: one TOML file per method, one table per stage and kind of data.

`pc-darts.toml` holds `[search.cifar10]`, `[finetune.cifar10]`, `[train.cifar10]` and so on. A recipe's full name is
"method/data", for example "pc-darts/cifar10". Each table names its `source`. What a method searches in may have
recipes of its own, "pgnas/cifar10-enas", and so may training that starts from inherited weights. A table that is
`like` another of its stage differs from that in what it says.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from nascli.errors import UsageError, unknown

STAGES = ("search", "finetune", "train")
"""Those that every method has recipes for."""

RANKING = "derive"
"""Some methods have recipes for this stage, too: how many candidates are ranked."""


@cache
def _document(method: str) -> dict[str, dict[str, dict[str, Any]]]:
    resource = files(__name__) / f"{method}.toml"
    return tomllib.loads(resource.read_text(encoding="utf-8")) if resource.is_file() else {}


def names(stage: str, method: str) -> list[str]:
    """The recipes of a method for a stage ("search", "finetune" or "train"): `["cifar10", "digits", …]`."""
    return sorted(_document(method).get(stage, {}))


def keys(stage: str, method: str) -> set[str]:
    """What the recipes of a method for a stage set."""
    return {key for name in names(stage, method) for key in load(stage, method, name)}


def load(stage: str, method: str, name: str) -> dict[str, Any]:
    """The settings of one recipe, without its source. Raises UsageError for a recipe that does not exist."""
    tables = _document(method).get(stage, {})
    if name not in tables:
        raise UsageError(unknown(f"{method} recipe for {stage}", name, tables))
    own = {key: value for key, value in tables[name].items() if key not in ("source", "like")}
    return load(stage, method, tables[name]["like"]) | own if "like" in tables[name] else own


def source(stage: str, method: str, name: str) -> str:
    """Where the numbers of a recipe come from."""
    return str(_document(method)[stage][name].get("source", ""))
