"""What distributions made of logits share: the space in their files, the check of their arrays, and their mean."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nascli.errors import UsageError, unknown
from nascli.faults import shorten
from nascli.registry import SPACES
from nascli.spaces import cell_space
from nascli.spaces.protocol import CellSpace

Floats: TypeAlias = NDArray[np.floating[Any]]

LARGEST = 1e30
"""Sums and differences of larger logits could overflow float64; softmax is decided long before."""


def frozen(values: NDArray[Any], name: str, shape: tuple[int, ...]) -> Floats:
    """A read-only copy of logits. Raises ValueError where type, shape or values don't fit."""
    copy = np.array(values)
    if copy.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: is of type {copy.dtype}; float32 or float64 is needed")
    if copy.shape != shape:
        raise ValueError(f"{name}: has shape {list(copy.shape)}; {list(shape)} is needed")
    if not np.isfinite(copy).all():
        raise ValueError(f"{name}: has values that are not finite")
    if np.abs(copy).max() > LARGEST:
        raise ValueError(f"{name}: has values beyond {LARGEST:g}, which no search learns")
    copy.setflags(write=False)
    return copy


def mean_logits(several: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The mean of tensors with the same names and shapes, computed in float64 and returned in their own type.

    The mean of logits gives the normalised geometric mean of the probabilities.
    """
    return {
        name: np.mean([own[name] for own in several], axis=0, dtype=np.float64).astype(values.dtype)
        for name, values in several[0].items()
    }


def log_softmax(logits: Floats) -> Floats:
    """The logarithm of softmax over the last axis, in float64, always finite."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    values: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return values


def space_settings(space: CellSpace) -> dict[str, Any]:
    """The space of a file's tensors, as JSON."""
    return {"space": space.name, "nodes": space.nodes, "operations": list(space.operations)}


def space_of(settings: Mapping[str, Any], what: str) -> CellSpace:
    """The inverse of `space_settings`. Raises ValueError for anything else, and for operations of another version."""
    match settings:
        case {"space": str(name), "nodes": int(nodes), "operations": [*operations], **rest} if (
            not rest and not isinstance(nodes, bool) and all(isinstance(op, str) for op in operations)
        ):
            space = named_space(name, nodes)
            if tuple(operations) != space.operations:
                raise ValueError(
                    f"operations: {shorten(operations)} are not those of the space {name!r}, {[*space.operations]}"
                )
            return space
    raise ValueError(f'a {what} needs "space" (text), "nodes" (whole number), "operations" (list of text)')


def named_space(name: str, nodes: int) -> CellSpace:
    """The space called `name`. Raises ValueError for an unknown one, and for nodes that its cells cannot have."""
    if name not in SPACES:
        raise ValueError(f"space: {unknown('space', name[:60], SPACES)}")
    if nodes < 1:
        raise ValueError(f"nodes: {nodes} is less than 1")
    try:
        return cell_space(name, nodes)
    except UsageError as error:
        raise ValueError(f"nodes: {error}") from None
