"""A cell that holds every operation of the space and runs those of one child."""

import torch.nn.functional as F
from torch import Tensor, nn

from nascli.artifacts.cell_genotype import CELL_INPUTS, Cell
from nascli.core.nn.concatenation import concatenate
from nascli.core.nn.operations import FactorizedReduction, Rectified, ReluConvBn, build_operation

POOLINGS = frozenset({"max_pool_3x3", "avg_pool_3x3"})


class SampledCell(nn.Module):
    """Two input states and a genotype -> the concatenation of all nodes; see `cell.Cell` for shapes and strides.

    The operation `op` on the edge from state i to state j is `edges.i-j.op`. What has no weights is the same on all
    edges that leave a state, and computed once.
    """

    def __init__(
        self,
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        *,
        nodes: int,
        operations: tuple[str, ...],
        reduction: bool,
        reduction_prev: bool,
        as_derived: bool,
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.out_channels = nodes * channels
        mapping = FactorizedReduction if reduction_prev else ReluConvBn
        self.inputs = nn.ModuleList(
            (mapping(c_prev_prev, channels, affine=as_derived), ReluConvBn(c_prev, channels, affine=as_derived))
        )
        self.edges = nn.ModuleDict()
        for node in range(CELL_INPUTS, CELL_INPUTS + nodes):
            for source in range(node):
                stride = 2 if reduction and source < CELL_INPUTS else 1
                choices = {}
                for name in operations:
                    operation = build_operation(name, channels, stride, affine=as_derived)
                    if name in POOLINGS and not as_derived:
                        operation = nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
                    choices[name] = operation
                self.edges[f"{source}-{node}"] = nn.ModuleDict(choices)

    def forward(self, first: Tensor, second: Tensor, child: Cell) -> Tensor:
        read = {pick.input for node in child.nodes for pick in node}
        states = {
            source: mapping(state)
            for source, (mapping, state) in enumerate(zip(self.inputs, (first, second), strict=True))
            if source in read
        }
        rectified: dict[int, Tensor] = {}
        weightless: dict[tuple[int, str], Tensor] = {}

        def apply(op: str, source: int, node: int) -> Tensor:
            operation = self.edges[f"{source}-{node}"][op]
            if isinstance(operation, Rectified):
                if source not in rectified:
                    rectified[source] = F.relu(states[source])
                return operation.after_relu(rectified[source])
            if (source, op) not in weightless:
                weightless[source, op] = operation(states[source])
            return weightless[source, op]

        for node, picks in enumerate(child.nodes, start=CELL_INPUTS):
            outputs = {pick: apply(pick.op, pick.input, node) for pick in dict.fromkeys(picks)}
            total = outputs[picks[0]]
            for pick in picks[1:]:
                total = total + outputs[pick]
            states[node] = total
        return concatenate([states[node] for node in range(CELL_INPUTS, CELL_INPUTS + len(child.nodes))])
