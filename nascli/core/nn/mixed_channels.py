"""Which channels of a state go through the operations, and where the results belong in a node (PC-DARTS, Eq. 1)."""

from typing import Protocol

import torch
from torch import Tensor

from nascli.core.nn.aten import channels_last, maps_like, rows


class Channels(Protocol):
    """The P of C channels that each of the T edges from a state mixes.

    copies: 1 if all edges mix the same channels, which are then taken once, otherwise T.
    """

    @property
    def copies(self) -> int: ...

    def take(self, state: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, copies·P, H, W], packed."""

    def add_taken(self, d_state: Tensor, d_taken: Tensor) -> None:
        """Add the gradient of what was taken, [n, copies·P], to that of the state, [n, C]."""

    def put(self, total: Tensor, mixed: Tensor) -> None:
        """Add the mixtures [n, T·P] to the nodes [n, T·C]."""

    def put_gradient(self, d_total: Tensor, times: int) -> Tensor:
        """[n, T·C] -> [n, times·T·P], the same so many times."""


class FirstChannels:
    """The first P = C/K channels of every state; in the node, channels are shuffled in K groups (Section 4).

    So channel p of an edge becomes channel p·K of the node: those of all nodes are every K-th.
    """

    copies = 1

    def __init__(self, mixed: int, partial: int) -> None:
        self._mixed, self._partial = mixed, partial

    def take(self, state: Tensor) -> Tensor:
        return channels_last(state[:, : self._mixed])

    def add_taken(self, d_state: Tensor, d_taken: Tensor) -> None:
        d_state[:, : self._mixed].add_(d_taken)

    def put(self, total: Tensor, mixed: Tensor) -> None:
        total[:, :: self._partial].add_(mixed)

    def put_gradient(self, d_total: Tensor, times: int) -> Tensor:
        return d_total[:, :: self._partial].repeat(1, times)


class DrawnChannels:
    """Channels [T, P] of each edge, which keep their places in the node: the mask S of Eq. 1."""

    def __init__(self, drawn: Tensor, channels: int) -> None:
        self.copies = len(drawn)
        self._from = drawn.flatten()
        self._to = (drawn + channels * torch.arange(self.copies, device=drawn.device)[:, None]).flatten()

    def take(self, state: Tensor) -> Tensor:
        return channels_last(maps_like(rows(state).index_select(1, self._from), state))

    def add_taken(self, d_state: Tensor, d_taken: Tensor) -> None:
        d_state.index_add_(1, self._from, d_taken)

    def put(self, total: Tensor, mixed: Tensor) -> None:
        total.index_add_(1, self._to, mixed)

    def put_gradient(self, d_total: Tensor, times: int) -> Tensor:
        return d_total.index_select(1, self._to.repeat(times))
