"""Nested state as named tensors and a JSON document, and back again unchanged, without pickle.

In the document a JSON object is always a tag with one value: {"dict": [[key, value], …]} (any key that is a str or an
int, in order), {"tuple": […]}, {"tensor": name}, {"float": "nan"}. Everything else stands for itself.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from nascli.errors import ArtifactError
from nascli.faults import shorten

DEEPEST = 24
"""The most levels of dicts, lists and tuples. Each takes up to three in JSON, whose depth is bounded too."""

LONGEST_INT = 256
"""The most bits of a whole number; the state of random generators has 64 or 128."""


def pack(state: object) -> tuple[dict[str, torch.Tensor], Any]:
    """Take nested state apart: tensors under readable names ("network.cells.0.weight"), and the rest as JSON.

    Takes dict, list, tuple, str, int, float, bool, None and tensors; a subclass becomes its base. Raises TypeError with
    the place of anything else.
    """
    tensors: dict[str, torch.Tensor] = {}
    document = _pack(state, "", tensors, DEEPEST)
    return tensors, document


def unpack(tensors: Mapping[str, torch.Tensor], document: object, where: str) -> Any:
    """Put together what `pack` took apart. Raises ArtifactError unless every tensor has exactly one place."""
    remaining = dict(tensors)
    state = _unpack(document, remaining, where)
    if remaining:
        raise ArtifactError(f"{where}: the tensor {shorten(next(iter(remaining)))} has no place in the document")
    return state


def _pack(value: object, place: str, tensors: dict[str, torch.Tensor], levels: int) -> Any:
    if levels < 0:
        raise TypeError(f"{place[:60]}…: nested more than {DEEPEST} levels deep")

    def inside(key: object) -> str:
        return f"{place}.{key}" if place else str(key)

    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if value.bit_length() > LONGEST_INT:
            raise TypeError(f"{place or 'the state'}: a whole number of {value.bit_length()} bits")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, torch.Tensor):
        name = _free_name(place or "tensor", tensors)
        tensors[name] = value.detach()
        return {"tensor": name}
    if isinstance(value, Mapping):
        pairs = []
        for key, item in value.items():
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise TypeError(f"{place or 'the state'}: the key {key!r} is neither str nor int")
            pairs.append([key, _pack(item, inside(key), tensors, levels - 1)])
        return {"dict": pairs}
    if isinstance(value, (list, tuple)):
        items = [_pack(item, inside(index), tensors, levels - 1) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    raise TypeError(f"{place or 'the state'}: {type(value).__name__} cannot be kept in a checkpoint")


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """`name`, with a number if it is taken: {"a.b": …} and {"a": {"b": …}} give the same name."""
    number = 1
    free = name
    while free in taken or free == "__metadata__":
        number += 1
        free = f"{name}#{number}"
    return free


def _unpack(document: object, tensors: dict[str, torch.Tensor], where: str) -> Any:
    match document:
        case None | bool() | str() | int() | float():
            return document
        case list(items):
            return [_unpack(item, tensors, where) for item in items]
        case {"tuple": list(items), **rest} if not rest:
            return tuple(_unpack(item, tensors, where) for item in items)
        case {"float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
            return float(text)
        case {"tensor": str(name), **rest} if not rest and name in tensors:
            return tensors.pop(name)
        case {"dict": list(pairs), **rest} if not rest:
            return _unpack_dict(pairs, tensors, where)
    raise ArtifactError(f"{where}: the state has a part that is not understood: {shorten(document)}")


def _unpack_dict(pairs: list[Any], tensors: dict[str, torch.Tensor], where: str) -> dict[str | int, Any]:
    state: dict[str | int, Any] = {}
    for pair in pairs:
        match pair:
            case [(str() | int()) as key, item] if not isinstance(key, bool) and key not in state:
                state[key] = _unpack(item, tensors, where)
            case _:
                raise ArtifactError(f"{where}: the state has an entry that is not understood: {shorten(pair)}")
    return state
