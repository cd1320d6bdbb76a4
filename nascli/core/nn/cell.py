"""A cell of a derived network: what its genotype says, with weights.

Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019, Section 2.1; methods that derive such cells differ in how
they choose them only.
"""

import torch
from torch import Tensor, nn

from nascli.artifacts import genotype as artifact
from nascli.core.nn.drop_path import apply_path
from nascli.core.nn.operations import FactorizedReduction, ReluConvBn, build_operation


class Cell(nn.Module):
    """Two input states, nodes that each sum their picks, and the concatenation of some states as output.

    First [B, c_prev_prev, H', W'] and second [B, c_prev, H, W] -> [B, channels * len(concat), H / s, W / s], s = 2 in a
    reduction cell and 1 otherwise, sides rounded up. H' = 2H, rounded down to what halves to H, where
    `reduction_prev`; else H' = H.

    The parameters of `genotype.nodes[i][k]` are called `nodes.i.k.…`, those that map the inputs to `channels`
    channels `inputs.0.…` and `inputs.1.…`.
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
        first = FactorizedReduction(c_prev_prev, channels) if reduction_prev else ReluConvBn(c_prev_prev, channels)
        self.inputs = nn.ModuleList((first, ReluConvBn(c_prev, channels)))
        self.nodes = nn.ModuleList(
            nn.ModuleList(
                build_operation(pick.op, channels, stride=2 if reduction and pick.input < 2 else 1) for pick in picks
            )
            for picks in genotype.nodes
        )

    def droppable(self) -> list[tuple[int, int]]:
        """(node, pick) of the paths that drop-path may leave out, in the order of `forward`: all but identities."""
        return [
            (node, pick)
            for node, operations in enumerate(self.nodes)
            for pick, operation in enumerate(operations)
            if not isinstance(operation, nn.Identity)
        ]

    def forward(self, first: Tensor, second: Tensor, paths: Tensor | None = None) -> Tensor:
        """`paths`: [droppable paths, B] multipliers of the paths' outputs in the order of `droppable`, or None for 1."""
        multipliers = iter(()) if paths is None else iter(paths)
        states = [self.inputs[0](first), self.inputs[1](second)]
        for picks, operations in zip(self.genotype.nodes, self.nodes, strict=True):
            total = None
            for pick, operation in zip(picks, operations, strict=True):
                y = operation(states[pick.input])
                if paths is not None and not isinstance(operation, nn.Identity):
                    y = apply_path(y, next(multipliers))
                total = y if total is None else total + y
            states.append(total)
        return torch.cat([states[i] for i in self.genotype.concat], dim=1)
