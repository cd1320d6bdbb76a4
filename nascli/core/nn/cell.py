"""A cell of a derived network: what its genotype says, with weights.

Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019, Section 2.1. Methods that derive such cells differ
only in how they choose them.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from nascli.artifacts import genotype as artifact
from nascli.core.nn.concatenation import concatenate
from nascli.core.nn.drop_path import apply_path
from nascli.core.nn.operations import FactorizedReduction, Rectified, ReluConvBn, build_operation


def read_states(genotype: artifact.Cell) -> frozenset[int]:
    """The states that the cell's output depends on.

    >>> pick = lambda op, state: {"op": op, "input": state}
    >>> nodes = [[pick("skip_connect", 1)], [pick("skip_connect", 1)]]
    >>> sorted(read_states(artifact.Cell.model_validate({"nodes": nodes, "concat": [3]})))
    [1, 3]
    """
    read = set(genotype.concat)
    for state in range(len(genotype.nodes) + 1, 1, -1):
        if state in read:
            read |= {pick.input for pick in genotype.nodes[state - 2]}
    return frozenset(read)


class Cell(nn.Module):
    """Two input states, nodes that each sum their picks, and the concatenation of some states as output.

    First [B, c_prev_prev, H', W'] and second [B, c_prev, H, W] -> [B, channels * len(concat), H / s, W / s], s = 2 in a
    reduction cell and 1 otherwise, sides rounded up. H' = 2H, rounded down to what halves to H, where
    `reduction_prev`; else H' = H.

    The parameters of `genotype.nodes[i][k]` are called `nodes.i.k.…`, those that map the inputs to `channels`
    channels `inputs.0.…` and `inputs.1.…`. A node or an input that the output doesn't depend on is left out: its
    parameters would count, and never learn.
    """

    def __init__(
        self,
        genotype: artifact.Cell,
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        reduction: bool,
        reduction_prev: bool,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.out_channels = channels * len(genotype.concat)
        read = read_states(genotype)
        self.inputs = nn.ModuleDict()
        if 0 in read:
            mapping = FactorizedReduction if reduction_prev else ReluConvBn
            self.inputs["0"] = mapping(c_prev_prev, channels)
        if 1 in read:
            self.inputs["1"] = ReluConvBn(c_prev, channels)
        self.nodes = nn.ModuleDict()
        for node, picks in enumerate(genotype.nodes):
            if node + 2 in read:
                self.nodes[str(node)] = nn.ModuleList(
                    build_operation(pick.op, channels, stride=2 if reduction and pick.input < 2 else 1)
                    for pick in picks
                )

    def droppable(self) -> list[tuple[int, int]]:
        """(node, pick) of the paths that drop-path may leave out, in the order of `forward`: all but identities."""
        return [
            (int(node), pick)
            for node, operations in self.nodes.items()
            for pick, operation in enumerate(operations)
            if not isinstance(operation, nn.Identity)
        ]

    def forward(self, first: Tensor, second: Tensor, paths: Tensor | None = None) -> Tensor:
        """`paths`: [droppable paths, B] multipliers of the paths' outputs, in the order of `droppable`; None: all 1."""
        multipliers = iter(()) if paths is None else iter(paths)
        states = {int(name): mapping((first, second)[int(name)]) for name, mapping in self.inputs.items()}
        rectified: dict[int, Tensor] = {}
        for name, operations in self.nodes.items():
            outputs = []
            for pick, operation in zip(self.genotype.nodes[int(name)], operations, strict=True):
                if isinstance(operation, Rectified):
                    # One ReLU per state, not one per path: less time, and one map to keep for the backward pass.
                    if pick.input not in rectified:
                        rectified[pick.input] = F.relu(states[pick.input])
                    y = operation.after_relu(rectified[pick.input])
                else:
                    y = operation(states[pick.input])
                if paths is not None and not isinstance(operation, nn.Identity):
                    y = apply_path(y, next(multipliers))
                outputs.append(y)
            states[int(name) + 2] = sum(outputs[1:], outputs[0])
        return concatenate([states[state] for state in self.genotype.concat])
