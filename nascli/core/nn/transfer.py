"""The weights of a trained network for another network: of other classes, channels of the images, or cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nascli.core.nn import auxiliary
from nascli.core.nn.graph_network import GraphModules, GraphNetwork

SHOWN = 4
"""New tensors that a message names."""


@dataclass(frozen=True)
class Transfer:
    """What a network has taken from another: `taken` of its `total` tensors.

    `new`: those that stayed as they were though the other network has them, and why. `missing` and `unused`: how many
    only this network has, and how many only the other. `reordered`: the classes had to be put in another order.
    """

    taken: int
    total: int
    new: tuple[str, ...]
    missing: int
    unused: int
    reordered: bool

    def __str__(self) -> str:
        new = list(self.new[:SHOWN])
        if len(self.new) > SHOWN:
            new.append(f"{len(self.new) - SHOWN} more")
        if self.missing:
            new.append(f"{self.missing} of layers that are not there")
        parts = [f"{self.taken} of {self.total} tensors", *([f"new: {', '.join(new)}"] if new else [])]
        if self.unused:
            parts.append(f"{self.unused} have no place here")
        if self.reordered:
            parts.append("the classes are in another order here, and the classifier's rows with them")
        return "; ".join(parts)


def transfer(network: GraphNetwork, weights: Mapping[str, np.ndarray], rows: Sequence[int] | None) -> Transfer:
    """Give the network those weights and running statistics whose names and shapes are its own; the others stay.

    A layer takes all of its tensors or none. The auxiliary tower, which no model has, takes none. rows: for each class
    of the network, its row in the classifier of `weights`; None: the classes are others, and the classifier stays.
    """
    return _transfer(network, weights, network.graph.nodes[-1].name, rows)


def transfer_to_backbone(backbone: GraphModules, weights: Mapping[str, np.ndarray]) -> Transfer:
    """The same for a part of a network that has no classifier."""
    return _transfer(backbone, weights, "", None)


def _transfer(
    network: GraphModules, weights: Mapping[str, np.ndarray], classifier: str, rows: Sequence[int] | None
) -> Transfer:
    """`classifier`: the name of the layer that answers with the classes; empty: there is none."""
    own = {name: value for name, value in network.state_dict().items() if not name.startswith(auxiliary.PREFIX)}
    strange = {_layer(name) for name, value in own.items() if name not in weights or not _alike(value, weights[name])}
    if rows is None:
        strange.add(classifier)
    taken = [name for name in own if _layer(name) not in strange]
    for name in taken:
        value = torch.from_numpy(np.array(weights[name]))
        own[name].copy_(value[list(rows)] if rows is not None and _layer(name) == classifier else value)
    kept = [name for name in own if _layer(name) in strange and name in weights]
    return Transfer(
        taken=len(taken),
        total=len(own),
        new=tuple(f"{name} {_reason(own[name], weights[name], name, classifier)}" for name in kept),
        missing=len(own) - len(taken) - len(kept),
        unused=sum(name not in own for name in weights),
        reordered=rows is not None and classifier not in strange and list(rows) != sorted(rows),
    )


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _alike(own: Tensor, other: np.ndarray) -> bool:
    return tuple(own.shape) == other.shape


def _reason(own: Tensor, other: np.ndarray, name: str, classifier: str) -> str:
    if not _alike(own, other):
        return f"{list(other.shape)} -> {list(own.shape)}"
    return "(other classes)" if _layer(name) == classifier else "(as its layer)"
