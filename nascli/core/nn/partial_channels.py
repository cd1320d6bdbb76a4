"""Which channels of a state go through the operations, and where all channels end up: PC-DARTS's Eq. 1 and 2 as
matrices.

With the states as rows of pixels x_i [n, C], the mixture f_ij over the operations and the edge weights beta,

    x_j = Σ_i  beta_ij · f_ij(x_i D_ij) U_ij  +  beta_ij · x_i R_ij,

where D_ij [C, P] draws the P = C/K channels that are mixed, U_ij [P, C] puts them into the node and R_ij [C, C] lets
the rest past. All three hold zeros and ones, so that nothing is rounded; products with them are the fastest way to
move channels about in channels-last layout.

Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nascli.core.nn.batch_norm import add_product


@dataclass(frozen=True)
class PartialChannels:
    """D `draw` [E, C, P], U `put` [E, P, C] and R `rest` [E, C, C] for the edges in the order of alpha's rows.

    E = 1 where all edges treat channels alike.
    """

    draw: Tensor
    put: Tensor
    rest: Tensor

    @property
    def shared(self) -> bool:
        """Whether all edges treat channels alike."""
        return self.draw.shape[0] == 1

    def of_edges(self, matrices: Tensor, rows: list[int]) -> list[Tensor]:
        """The matrices of the edges in these rows of alpha: one and the same object for all where they are shared."""
        return [matrices[0]] * len(rows) if self.shared else [matrices[row] for row in rows]


def first_channels(channels: int, partial_channels: int, like: Tensor) -> PartialChannels:
    """Mixes the first C/K channels and shuffles those of the node in K groups, as in the paper's experiments."""
    mixed = channels // partial_channels
    identity = torch.eye(channels, dtype=like.dtype, device=like.device)
    # Channel k·P + q of the concatenation becomes channel q·K + k of the node.
    shuffle = identity.view(mixed, partial_channels, channels).transpose(0, 1).reshape(channels, channels)
    rest = shuffle.index_fill(0, torch.arange(mixed, device=like.device), 0.0)
    return PartialChannels(identity[None, :, :mixed], shuffle[None, :mixed], rest[None])


def drawn_channels(channels: int, drawn: Tensor, like: Tensor) -> PartialChannels:
    """Mixes the channels `drawn` [E, P] of each edge and puts them back where they were: the mask S of Eq. 1."""
    put = F.one_hot(drawn, channels).to(like.dtype)
    rest = torch.diag_embed(1 - put.sum(dim=1))
    return PartialChannels(put.transpose(1, 2), put, rest)


def node_sum(
    edge_weights: Tensor, put: list[Tensor], rest: list[Tensor], mixed: list[Tensor], states: list[Tensor]
) -> Tensor:
    """A node from the mixtures [n, P], already weighted, and the states [n, C] of its inputs: [n, C].

    edge_weights: [inputs]; put, rest: the matrices [P, C] and [C, C] of each input. Without states, no channels go
    past the operations.
    """
    total: Tensor = _NodeSum.apply(edge_weights, put, rest, len(mixed), *mixed, *states)
    return total


class _NodeSum(torch.autograd.Function):
    """`node_sum`, which keeps nothing but the states."""

    @staticmethod
    def forward(
        ctx: Any, edge_weights: Tensor, put: list[Tensor], rest: list[Tensor], inputs: int, *maps: Tensor
    ) -> Tensor:
        mixed, states = maps[:inputs], maps[inputs:]
        kind = maps[0].dtype
        with torch.autocast(maps[0].device.type, enabled=False):
            total = mixed[0] @ put[0].to(kind)
            for x, matrix in zip(mixed[1:], put[1:], strict=True):
                total = add_product(total, x, matrix.to(kind))
            for x, matrix, weight in zip(states, rest, edge_weights, strict=False):
                total = add_product(total, x.to(kind), (matrix * weight).to(kind))
        ctx.save_for_backward(edge_weights, *states)
        ctx.put, ctx.rest, ctx.kind = put, rest, kind
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        edge_weights, *states = ctx.saved_tensors
        exact = torch.promote_types(gradient.dtype, torch.float32)
        with torch.autocast(gradient.device.type, enabled=False):
            d_mixed = _products(gradient, ctx.put)
            d_states: list[Tensor] = []
            d_weights: list[Tensor] = []
            for x, d_rest, weight in zip(states, _products(gradient, ctx.rest), edge_weights, strict=False):
                d_weights.append(torch.dot(x.to(exact).flatten(), d_rest.to(exact).flatten()))
                d_states.append((d_rest * weight).to(x.dtype))
            d_edges = torch.stack(d_weights).to(edge_weights.dtype) if d_weights else torch.zeros_like(edge_weights)
        return d_edges, None, None, None, *d_mixed, *d_states


def _products(gradient: Tensor, matrices: list[Tensor]) -> list[Tensor]:
    """The gradient times each matrix transposed; a matrix that repeats the one before it is not multiplied again."""
    products: list[Tensor] = []
    for k, matrix in enumerate(matrices):
        again = k > 0 and matrix is matrices[k - 1]
        products.append(products[-1] if again else gradient @ matrix.t().to(gradient.dtype))
    return products
