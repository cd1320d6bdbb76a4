"""Faults of a file's content, as one line that names the file and the place in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from nascli.errors import ArtifactError, unknown

Place = tuple[int | str, ...]
Fault = tuple[Place, str]

SHOWN = 5
"""The number of faults in one message; a file with thousands of them still gives a readable line."""

_LONGEST_VALUE = 60


def custom_error(faults: Sequence[Fault]) -> PydanticCustomError:
    """The error that a validator raises for several faults at once, each at its own place below the validated value."""
    message = "; ".join(f"{place_name(place)}: {text}" for place, text in faults[:SHOWN])
    return PydanticCustomError("faults", "{message}", {"message": message, "faults": tuple(faults)})


def place_name(place: Iterable[int | str]) -> str:
    """("cells", "normal", "nodes", 1, 0, "op") as `cells.normal.nodes[1][0].op`."""
    name = ""
    for part in place:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part.isidentifier() and len(part) <= _LONGEST_VALUE:
            name += f".{part}"
        else:
            name += f"[{shorten(part)}]"
    return name.removeprefix(".")


def shorten(value: object) -> str:
    """A value from a file, as one line of bounded length."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 2] + "…" + text[-1]


def shorten_name(name: str) -> str:
    """A name from a file for a message: the name itself if it is short and printable, else a shortened form."""
    if not name.isprintable():
        return shorten(name)
    return name if len(name) <= _LONGEST_VALUE else f"{name[: _LONGEST_VALUE - 1]}…"


def artifact_error(where: str, faults: Sequence[Fault]) -> ArtifactError:
    """`cell.json: cells.normal.concat: is empty; cells.normal.nodes[0][1].op: unknown op …; and 3 more`."""
    lines = [f"{place_name(place)}: {text}" if place else text for place, text in faults[:SHOWN]]
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return ArtifactError(f"{where}: {'; '.join(lines + more)}")


def faults_of(error: ValidationError) -> list[Fault]:
    """Every fault that pydantic found, in nascli's own words for the usual ones."""
    faults: list[Fault] = []
    details = error.errors(include_url=False)
    for detail in details:
        place: Place = detail["loc"]
        if detail["type"] == "too_short" and any(
            other["loc"][: len(place)] == place != other["loc"] for other in details
        ):
            continue  # pydantic doesn't count items that are wrong themselves
        context: dict[str, Any] = detail.get("ctx", {})
        if detail["type"] == "faults":
            faults += [(place + below, text) for below, text in context["faults"]]
        elif detail["type"].startswith("union_tag_"):
            faults.append(_tag_fault(place, context))
        else:
            faults.append((place, _message(detail["type"], detail["msg"], context, detail["input"])))
    return faults


def _tag_fault(place: Place, context: Mapping[str, Any]) -> Fault:
    """The fault in the entry that says which member of a union a value is."""
    name = context["discriminator"].strip("'")
    if "tag" not in context:
        return (*place, name), "is missing"
    known = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
    return (*place, name), unknown(name, context["tag"][:_LONGEST_VALUE], known)


def _message(kind: str, message: str, context: dict[str, Any], value: object) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "too_long":
        return f"has more than {context['max_length']} items"
    if kind == "too_short":
        return "is empty" if context["min_length"] == 1 else f"has fewer than {context['min_length']} items"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    words = message.replace("Input should be", "must be", 1)
    return f"{words}, not {shorten(value)}" if isinstance(value, (str, int, float, bool, type(None))) else words
