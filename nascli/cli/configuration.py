"""Configurations on the command line: options made from their fields, and the values put together.

The fields of `nascli.config` and the settings of `nascli.registry` declare name, type, choices and help once; a new
field or a new method's setting is an option without a line here.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nascli import recipes
from nascli.cli.completion import among
from nascli.cli.options import DATA_PANEL, MACHINE_PANEL, METHOD_PANEL, RECIPE_PANEL
from nascli.cli.session import parameter
from nascli.config import Config, DeriveConfig, FinetuneConfig, SearchConfig, read_file
from nascli.configuration import AnyConfig, configure
from nascli.errors import UsageError, unknown
from nascli.registry import DATASETS, METHODS, SPACES_OF, Setting

_MACHINE = {"seed", "device", "precision", "compile", "deterministic", "workers"}
_METAVARS = {int: "N", float: "X", bool: "", Path: "PATH"}
_NO_OPTION = {"settings"}
"""The method's own settings, whose options come from the registry."""

_ALSO_CALLED = {"space": ("--supernet",)}
"""Other names of an option: a super-network is the space of PGNAS."""


def options(model: type[Config]) -> list[inspect.Parameter]:
    """An option for every field that `model` uses and, where it takes them, every setting of every method."""
    fields = {name: field for name, field in model.model_fields.items() if name not in _NO_OPTION | model.unused}
    by_recipe = _recipe_keys(model)
    made = [_field_option(name, field, model, by_recipe) for name, field in fields.items()]
    if issubclass(model, SearchConfig):
        made += [
            _setting_option(name, rows)
            for name, rows in _settings().items()
            if name not in fields and not (issubclass(model, FinetuneConfig) and all(row.start_only for _, row in rows))
        ]
    return made


def resolve(
    model: type[AnyConfig],
    given: Mapping[str, Any],
    *,
    file: Path | None = None,
    stored: Mapping[str, Any] | None = None,
) -> AnyConfig:
    """The configuration: options beat the file, the file beats what was stored, and that beats the recipe.

    `stored` comes from the run that is resumed or the file that the stage starts from. All faults are one UsageError.
    """
    values = {**(stored or {}), **(read_file(file) if file is not None else {}), **given}
    _check_choices(model, values)
    if issubclass(model, SearchConfig):
        _check_settings(model, values)
    return configure(model, **values)


def flag(name: str) -> str:
    """The long option of a field or setting."""
    return "--" + name.replace("_", "-")


def _recipe_keys(model: type[Config]) -> set[str]:
    """The fields that some recipe of this stage sets, whose default in the class is therefore not what a run gets."""
    stage = getattr(model, "stage", None)
    tables = (
        [recipes.load(stage, method, name) for method in METHODS for name in recipes.names(stage, method)]
        if stage
        else []
    )
    return {key for table in tables for key in table}


def _settings() -> dict[str, list[tuple[str, Setting]]]:
    """Every setting of every method, by name: the methods that have it, each with its row."""
    table: dict[str, list[tuple[str, Setting]]] = {}
    for method, row in METHODS.items():
        for setting in row.settings:
            table.setdefault(setting.name, []).append((method, setting))
    return table


def _field_option(name: str, field: FieldInfo, model: type[Config], by_recipe: set[str]) -> inspect.Parameter:
    kind = _plain(field.annotation)
    help_text = field.description or ""
    if name in model.inherits:
        help_text += "; default that of the file given"
    elif name in by_recipe:
        help_text += "; by recipe"
    elif field.default is not None and field.default is not PydanticUndefined and kind is not bool:
        help_text += f"; default {field.default}"
    panel = MACHINE_PANEL if name in _MACHINE else DATA_PANEL if name in Config.model_fields else RECIPE_PANEL
    choices = _choices(field.annotation)
    return _option(name, kind, help_text, panel, choices, completed=choices or _named_values(model).get(name, ()))


def _setting_option(name: str, rows: list[tuple[str, Setting]]) -> inspect.Parameter:
    first = rows[0][1]
    only = "" if len(rows) == len(METHODS) else f" ({', '.join(method for method, _ in rows)})"
    choices = first.choices
    return _option(name, first.type, first.help + only, METHOD_PANEL, choices, completed=choices, hidden=first.hidden)


def _option(
    name: str,
    kind: Any,
    help_text: str,
    panel: str,
    choices: tuple[str, ...],
    *,
    completed: Iterable[str],
    hidden: bool = False,
) -> inspect.Parameter:
    """An option that is None where it is not given; a shell completes its value to one of `completed`."""
    declaration = f"{flag(name)}/--no-{flag(name)[2:]}" if kind is bool else flag(name)
    info = typer.Option(
        declaration,
        *_ALSO_CALLED.get(name, ()),
        help=help_text,
        metavar="|".join(choices) or _METAVARS.get(kind, "NAME"),
        autocompletion=among(lambda: completed) if completed else None,
        rich_help_panel=panel,
        hidden=hidden,
    )
    return parameter(name, Annotated[kind | None, info], None)


def _named_values(model: type[Config]) -> dict[str, Iterable[str]]:
    """The values to complete to, for fields that name a row of a table."""
    stage = getattr(model, "stage", None)
    named: dict[str, Iterable[str]] = {
        "method": METHODS,
        "dataset": DATASETS,
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


def _all_choices(model: type[Config]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, field in model.model_fields.items():
        yield name, _choices(field.annotation)
    if issubclass(model, SearchConfig):
        for name, rows in _settings().items():
            yield name, rows[0][1].choices


def _check_choices(model: type[Config], values: Mapping[str, Any]) -> None:
    for name, choices in _all_choices(model):
        if choices and values.get(name) is not None and values[name] not in choices:
            raise UsageError(unknown(flag(name), values[name], choices))


def _check_settings(model: type[Config], values: Mapping[str, Any]) -> None:
    """A setting of another method is not a typo: say whose it is."""
    method = values.get("method", model.model_fields["method"].default)
    for name, rows in _settings().items():
        owners = [owner for owner, _ in rows]
        if name in values and method in METHODS and method not in owners and name not in model.model_fields:
            later = name in recipes.keys(DeriveConfig.stage, method)
            where = f"of {method} it is an option of 'nascli derive'" if later else f"{method} has no such setting"
            raise UsageError(f"{flag(name)} is a setting of {', '.join(owners)}; {where}")
