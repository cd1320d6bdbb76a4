"""What distributions made of logits have in common: the check of what they choose from, and of the arrays."""

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.cell_genotype import CELL_NAMES, MOST_NODES
from nascli.errors import unknown
from nascli.registry import SPACES

Floats: TypeAlias = NDArray[np.floating[Any]]

NONE = "none"
LARGEST = 1e30
"""Beyond, differences and sums of logits could leave float64; softmax is decided long before."""


def check_space(space: str, nodes: int) -> None:
    """Raise ValueError for an unknown space or a number of nodes that no cell has."""
    if space not in SPACES:
        raise ValueError(unknown("space", space, SPACES))
    if not 1 <= nodes <= MOST_NODES:
        raise ValueError(f"nodes: {nodes} is not from 1 to {MOST_NODES}")


def check_operations(operations: tuple[str, ...], known: Collection[str]) -> None:
    """Raise ValueError unless `operations` are known ones, each once, and at least one of them computes something."""
    for position, op in enumerate(operations):
        if op not in known:
            raise ValueError(f"operations[{position}]: {unknown('op', op, known)}")
        if op in operations[:position]:
            raise ValueError(f"operations[{position}]: {op} is there twice")
    if not set(operations) - {NONE}:
        raise ValueError("operations: there is none but 'none'")


def check_cells(values: Mapping[str, object], name: str) -> None:
    """Raise ValueError unless `values` are for the normal and the reduction cell."""
    if values.keys() != set(CELL_NAMES):
        raise ValueError(f"{name}: is for {sorted(values)}; {list(CELL_NAMES)} are needed")


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


def settings_of(settings: Mapping[str, Any], what: str) -> tuple[str, int, tuple[str, ...]]:
    """The space, the nodes and the operations in a file's settings. Raises ValueError for anything else there."""
    match settings:
        case {"space": str(space), "nodes": int(nodes), "operations": [*names], **rest} if (
            not rest and not isinstance(nodes, bool) and all(isinstance(name, str) for name in names)
        ):
            return space, nodes, tuple(names)
    raise ValueError(f'a {what} needs "space" (text), "nodes" (whole number), "operations" (list of text)')
