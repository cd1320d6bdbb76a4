"""Configurations on the command line: the options made from their fields, and the configuration made from the values.

The fields of `nascli.config` and `nascli.settings` declare name, type, choices and help once; a new field of either
becomes an option without a line here.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nascli import recipes
from nascli.cli.options.completion import among
from nascli.cli.options.shared import DATA_PANEL, MACHINE_PANEL, METHOD_PANEL, RECIPE_PANEL
from nascli.cli.session import parameter
from nascli.config import (
    Config,
    DeriveConfig,
    DetectConfig,
    EvalConfig,
    FinetuneConfig,
    PredictConfig,
    SearchConfig,
    TrainConfig,
    read_file,
)
from nascli.errors import UsageError, unknown
from nascli.fitted_config import AnyConfig, configure
from nascli.registry import DATASETS, METHODS, SCENES, SPACES_OF
from nascli.settings import settings_class
from nascli.settings.fields import START_ONLY, UNLISTED

INHERITED: Mapping[type[Config], frozenset[str]] = {
    FinetuneConfig: frozenset({"method", "space", "dataset", "data_dir"}),
    TrainConfig: frozenset({"method", "dataset", "data_dir"}),
    DeriveConfig: frozenset({"method", "dataset", "data_dir"}),
    EvalConfig: frozenset({"dataset", "data_dir"}),
}
"""Fields that a stage takes from the file that it starts from, unless they are given."""

_LOOK = frozenset({"flip", "fit", "background"})
UNUSED: Mapping[type[Config], frozenset[str]] = {
    TrainConfig: frozenset({"weights", "space"}),
    DetectConfig: frozenset({"task", "weights", "space"}),
    DeriveConfig: _LOOK | {"method", "image_size", "limit_train", "skip_corrupt", "compile", "cuda_graphs"},
    EvalConfig: _LOOK | {"limit_train", "seed", "cache", "cuda_graphs"},
    PredictConfig: _LOOK
    | {"dataset", "data_dir", "image_size", "download", "skip_corrupt"}
    | {"limit_train", "seed", "cache", "cuda_graphs"},
}
"""Fields that are not options: the stage has no use for them, or another option sets them."""

_MACHINE = {
    *("seed", "device", "precision", "compile", "cuda_graphs", "deterministic", "workers", "cache"),
    *("dist_timeout", "sync_batch_norm"),
}
_METAVARS = {int: "N", float: "X", bool: "", Path: "PATH"}
_ALSO_CALLED = {"space": ("--supernet",), "trials": ("--candidates",)}
"""Other names of an option: the space of PGNAS is a super-network, and the trials of random search are candidates."""

Owners = Mapping[str, FieldInfo]
"""The methods that have a setting, each with its own declaration of it."""


def options(model: type[Config]) -> list[inspect.Parameter]:
    """An option for every field that `model` uses and, for a search, every setting of every method."""
    by_recipe = _recipe_keys(model)
    found = [_field_option(name, field, model, by_recipe) for name, field in _fields(model).items()]
    for name, owners in _settings(model).items():
        if not (issubclass(model, FinetuneConfig) and all(_marked(field, START_ONLY) for field in owners.values())):
            found.append(_setting_option(name, owners))
    return found


def options_of(*models: type[Config]) -> list[inspect.Parameter]:
    """The options of a command with several configurations, each once: the first that has it declares it."""
    found = {option.name: option for model in reversed(models) for option in reversed(options(model))}
    return list(reversed(found.values()))


def resolve(
    model: type[AnyConfig],
    given: Mapping[str, Any],
    *,
    file: Path | None = None,
    stored: Mapping[str, Any] | None = None,
) -> AnyConfig:
    """The configuration: options beat the file, the file beats what was stored, and that beats the recipe.

    `stored` comes from the run that is resumed or the file that the stage starts from. Raises one UsageError for all
    faults.
    """
    values = {**(stored or {}), **(read_file(file) if file is not None else {}), **given}
    _check_choices(model, values)
    _check_settings(model, values)
    return configure(model, **values)


def flag(name: str) -> str:
    """The long option of a field or setting."""
    return "--" + name.replace("_", "-")


def _recipe_keys(model: type[Config]) -> set[str]:
    """The fields that some recipe of this stage sets, so that the default in the class does not count."""
    stage = getattr(model, "stage", None)
    if issubclass(model, DetectConfig):
        return {key for name in recipes.names_of_task("detect") for key in recipes.of_task("detect", name)}
    tables = (
        [recipes.load(stage, method, name) for method in METHODS for name in recipes.names(stage, method)]
        if stage
        else []
    )
    return {key for table in tables for key in table}


def _fields(model: type[Config]) -> dict[str, FieldInfo]:
    """The fields of `model` that are options. The `settings` of a search are not one: each of them is."""
    left_out = UNUSED.get(model, frozenset()) | {"settings"}
    return {name: field for name, field in model.model_fields.items() if name not in left_out}


def _settings(model: type[Config]) -> dict[str, dict[str, FieldInfo]]:
    """Every setting of every method that `model` takes, by name."""
    found: dict[str, dict[str, FieldInfo]] = {}
    if issubclass(model, SearchConfig):
        for method in METHODS:
            for name, field in settings_class(method).model_fields.items():
                found.setdefault(name, {})[method] = field
    return found


def _marked(field: FieldInfo, mark: JsonDict) -> bool:
    return isinstance(field.json_schema_extra, dict) and mark.items() <= field.json_schema_extra.items()


def _field_option(name: str, field: FieldInfo, model: type[Config], by_recipe: set[str]) -> inspect.Parameter:
    help_text = field.description or ""
    if name in INHERITED.get(model, ()):
        help_text += "; default from the given file"
    elif name in by_recipe:
        help_text += "; default from the recipe"
    elif field.default not in (None, PydanticUndefined) and _plain(field.annotation) is not bool:
        help_text += f"; default {field.default}"
    panel = MACHINE_PANEL if name in _MACHINE else DATA_PANEL if name in Config.model_fields else RECIPE_PANEL
    return _option(name, [field], help_text, panel, completed=_named_values(model).get(name, ()))


def _setting_option(name: str, owners: Owners) -> inspect.Parameter:
    fields = list(owners.values())
    only = "" if owners.keys() == METHODS.keys() else f" ({', '.join(owners)})"
    unlisted = all(_marked(field, UNLISTED) for field in fields)
    return _option(name, fields, f"{fields[0].description}{only}", METHOD_PANEL, hidden=unlisted)


def _option(
    name: str,
    fields: Sequence[FieldInfo],
    help_text: str,
    panel: str,
    *,
    completed: Iterable[str] = (),
    hidden: bool = False,
) -> inspect.Parameter:
    """An option that is None if it is not given; a shell completes its value to a choice or one of `completed`."""
    kind = _plain(fields[0].annotation)
    choices = tuple(dict.fromkeys(choice for field in fields for choice in _choices(field.annotation)))
    declaration = f"{flag(name)}/--no-{flag(name)[2:]}" if kind is bool else flag(name)
    info = typer.Option(
        declaration,
        *_ALSO_CALLED.get(name, ()),
        help=help_text,
        metavar="|".join(choices) or _METAVARS.get(kind, "NAME"),
        autocompletion=among(lambda: choices or completed) if choices or completed else None,
        rich_help_panel=panel,
        hidden=hidden,
    )
    return parameter(name, Annotated[kind | None, info], None)


def _named_values(model: type[Config]) -> dict[str, Iterable[str]]:
    """The values to complete for fields that name a row of a table."""
    stage = getattr(model, "stage", None)
    named: dict[str, Iterable[str]] = {
        "method": METHODS,
        "dataset": [*DATASETS, *SCENES],
        "space": [name for table in SPACES_OF.values() for name in table],
        "device": ("auto", "cpu", "cuda"),
    }
    if stage:
        named["recipe"] = sorted({name for method in METHODS for name in recipes.names(stage, method)})
    return named


def _plain(annotation: Any) -> Any:
    """The type to parse an option as: `int` for `int | None`, `str` for a Literal of strings."""
    if get_origin(annotation) is Literal:
        return str
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        (kind,) = (part for part in get_args(annotation) if part is not type(None))
        return _plain(kind)
    return annotation


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _check_choices(model: type[Config], values: Mapping[str, Any]) -> None:
    """Raise UsageError with a "did you mean" for a value that is none of the choices (of the method, for a setting)."""
    method = _method(model, values)
    own = {name: owners[method] for name, owners in _settings(model).items() if method in owners}
    for name, field in {**model.model_fields, **own}.items():
        choices = _choices(field.annotation)
        if choices and values.get(name) is not None and values[name] not in choices:
            raise UsageError(unknown(flag(name), values[name], choices))


def _check_settings(model: type[Config], values: Mapping[str, Any]) -> None:
    """Raise UsageError for a setting of another method, which is not a typo: say whose it is."""
    method = _method(model, values)
    for name, owners in _settings(model).items():
        if name in values and method in METHODS and method not in owners and name not in model.model_fields:
            spellings = (flag(name), *_ALSO_CALLED.get(name, ()))
            later = [one for one in map(flag, recipes.keys(DeriveConfig.stage, method)) if one in spellings]
            where = f"{method} has no such setting"
            if later:
                where = f"for {method}, {later[0]} is an option of 'nascli derive'"
            raise UsageError(f"{' or '.join(spellings)} is a setting of {', '.join(owners)}; {where}")


def _method(model: type[Config], values: Mapping[str, Any]) -> str:
    """The method that the values name, which may be unknown."""
    field = model.model_fields.get("method")
    return str(values.get("method") or (field.default if field else ""))
