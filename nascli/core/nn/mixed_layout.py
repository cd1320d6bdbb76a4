"""Where the weights and statistics of a mixed cell lie in its vectors, and under which names they are saved.

The weights of a cell are one vector, so that an optimiser has one tensor to update, and every kernel is a view or comes
out of one gather. In a state dict they have the names that a module per edge and operation would give them, such as
`edges.0-2.sep_conv_3x3.first.depthwise.weight`.

The maps that leave a state are ordered by operation, then by target: channel (o·T + t)·P + p is channel p of the o-th
operation on the edge to the t-th of T targets. In the last maps before they are summed, each such channel is a slot.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascli.spaces.darts import Darts
from nascli.spaces.names import SKIP

SEPARABLE, DILATED = ("sep_conv_3x3", "sep_conv_5x5"), ("dil_conv_3x3", "dil_conv_5x5")
MAX_POOLING, AVERAGE_POOLING = "max_pool_3x3", "avg_pool_3x3"

SIDE = 5
"""Of all depthwise kernels: those of 3x3 have zeros around them, so that one convolution serves both."""

NOWHERE = slice(0, 0)
"""The range of what is not there."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class CellSize:
    """What a mixed cell consists of. reduced: the cell before it is a reduction, so its first input is larger."""

    space: Darts
    in_channels: tuple[int, int]
    channels: int
    partial_channels: int
    reduction: bool
    reduced: bool

    @property
    def mixed_channels(self) -> int:
        """P = C/K: the channels of a state that go through the operations."""
        return self.channels // self.partial_channels

    def having(self, *names: str) -> list[str]:
        """Those of these operations that are mixed here."""
        return [name for name in names if name in self.space.operations]


@dataclass(frozen=True)
class Source:
    """A state that edges leave, and its ranges in what the cell holds for all states.

    operations: those that have slots, in order. separable, dilated: pointwise kernels of first halves and of dilated
    convolutions; second: those of second halves; skip: gathered kernels of strided skips. hidden, slots: statistics of
    first halves and of slots; scales: weights of slots. past: the matrix for what goes past the operations, empty where
    nothing does. mixed_channels: P. widths: how many slots the separable and the dilated convolutions have, the strided
    skips, the maxima and the means.
    """

    index: int
    targets: tuple[int, ...]
    stride: int
    operations: tuple[str, ...]
    separable: slice
    dilated: slice
    second: slice
    skip: slice
    hidden: slice
    slots: slice
    scales: slice
    past: slice
    mixed_channels: int
    widths: tuple[int, ...]

    @property
    def first_column(self) -> int:
        """The number of its first target among the nodes; the others are all that follow."""
        return max(0, self.index - 1)


class CellLayout:
    """The vectors of a cell.

    weights: the range and the shape of every weight, by name; statistics: the range of every batch norm's. plain, first
    and second are ranges of weights that are used as they lie: 1x1 convolutions of the input states, and pointwise
    kernels of first and second halves. What is behind them, from `gathered` on, is gathered: `gather` holds, for every
    entry of a kernel, its place in the weights, counted from 1, or 0 where there is none, and `ungather` the entry of
    every weight. first_depthwise, second_depthwise and reduction are ranges of what was gathered.

    The other tables are about the weights of the mixture, a vector [0, operations of all edges, edges], in the scales
    of all slots and the matrices of all sources for what goes past the operations, one after the other. whole_index:
    which weight each of these is, 0 for one that is 0, where the first channels are mixed and shuffled after the node.
    shuffled: the places of those that are not 0, and entry_index: which weights they are. unmoved: their places where
    random channels are mixed and keep their places. past_edges: the edges of the matrices, ordered by source, as rows
    of alpha; skip_index, edge_index [edges]: the weights there of a channel that is mixed and of one that is not.
    """

    def __init__(self, size: CellSize) -> None:
        self.size = size
        self.weights: dict[str, tuple[slice, tuple[int, ...]]] = {}
        self.statistics: dict[str, slice] = {}
        self._ends: dict[str, int] = {}
        self._entries: list[Indices] = []
        space, mixed = size.space, size.mixed_channels
        states = space.inputs + space.nodes
        targets = {source: tuple(range(max(source + 1, space.inputs), states)) for source in range(states - 1)}
        separable, dilated = size.having(*SEPARABLE), size.having(*DILATED)

        def kernels(operations: Iterable[str], half: str) -> list[tuple[str, int]]:
            return [
                (f"edges.{source}-{target}.{op}.{half if op in SEPARABLE else ''}", int(op[-1]))
                for source in targets
                for op in operations
                for target in targets[source]
            ]

        first, second = kernels((*separable, *dilated), "first."), kernels(separable, "second.")
        inputs = [number for number in range(space.inputs) if not (number == 0 and size.reduced)]
        self.plain = [self._weight(f"inputs.{k}.conv.", size.channels, size.in_channels[k], 1, 1) for k in inputs]
        self.first = _whole(self._weight(f"{name}pointwise.", mixed, mixed, 1, 1) for name, _ in first)
        self.second = _whole(self._weight(f"{name}pointwise.", mixed, mixed, 1, 1) for name, _ in second)
        self.gathered = self._ends["weights"]
        self.first_depthwise = _whole(self._depthwise(name, side) for name, side in first)
        self.second_depthwise = _whole(self._depthwise(name, side) for name, side in second)
        self.mapped = [self._take("statistics", size.channels) for _ in range(space.inputs)]
        self.statistics |= {f"inputs.{number}.norm": place for number, place in enumerate(self.mapped)}
        self.sources = tuple(self._source(index, targets[index], separable, dilated) for index in targets)
        self.reduction = NOWHERE
        if size.reduced:
            self.reduction = self._strided("inputs.0.", size.in_channels[0], size.channels)
        self.gather = np.concatenate(self._entries) if self._entries else np.zeros(0, np.int64)
        self.ungather = np.zeros(self._ends["weights"] - self.gathered, np.int64)
        self.ungather[self.gather[self.gather > 0] - self.gathered - 1] = np.flatnonzero(self.gather)
        self._index_the_mixture()

    @property
    def weight_count(self) -> int:
        """How many weights the cell has."""
        return self._ends["weights"]

    @property
    def statistics_count(self) -> int:
        """How many channels have means and variances."""
        return self._ends["statistics"]

    @property
    def scale_count(self) -> int:
        """How many slots have weights."""
        return self._ends.get("scales", 0)

    def tables(self) -> dict[str, NDArray[Any]]:
        """What a pass reads from the device's memory, by name."""
        names = ("gather", "ungather", "whole_index", "entry_index", "shuffled", "unmoved")
        return {name: getattr(self, name) for name in (*names, "past_edges", "edge_index", "skip_index")}

    def bounds(self) -> NDArray[np.float32]:
        """Of every weight's uniform distribution at the start, as torch initialises a convolution."""
        fan_in = [np.full(part.stop - part.start, np.prod(shape[1:])) for part, shape in self.weights.values()]
        bounds: NDArray[np.float32] = (1 / np.sqrt(np.concatenate(fan_in))).astype(np.float32)
        return bounds

    def _take(self, vector: str, count: int) -> slice:
        """The next `count` places of a vector."""
        start = self._ends.get(vector, 0)
        if not count:
            return NOWHERE
        self._ends[vector] = start + count
        return slice(start, start + count)

    def _weight(self, name: str, *shape: int) -> slice:
        place = self._take("weights", int(np.prod(shape)))
        self.weights[name + "weight"] = (place, shape)
        return place

    def _gather(self, kernel: Indices) -> slice:
        self._entries.append(kernel.ravel())
        return self._take("entries", kernel.size)

    def _depthwise(self, name: str, side: int) -> slice:
        """A depthwise kernel with zeros around it: [P, SIDE, SIDE] of what is gathered."""
        place = self._weight(f"{name}depthwise.", self.size.mixed_channels, 1, side, side)
        border = (SIDE - side) // 2
        return self._gather(np.pad(_numbered(place).reshape(-1, side, side), ((0, 0), (border,) * 2, (border,) * 2)))

    def _strided(self, name: str, cin: int, cout: int) -> slice:
        """A factorised reduction as one convolution with stride 2, which sees two of four pixels: [cout, cin, 2, 2]."""
        kernel = np.zeros((cout, cin, 2, 2), np.int64)
        half = cout // 2
        kernel[:half, :, 0, 0] = _numbered(self._weight(f"{name}conv.", half, cin, 1, 1)).reshape(half, cin)
        shifted = self._weight(f"{name}shifted_conv.", cout - half, cin, 1, 1)
        kernel[half:, :, 1, 1] = _numbered(shifted).reshape(cout - half, cin)
        return self._gather(kernel)

    def _source(self, index: int, targets: tuple[int, ...], separable: list[str], dilated: list[str]) -> Source:
        size, mixed, count = self.size, self.size.mixed_channels, len(targets)
        stride = 2 if size.reduction and index < size.space.inputs else 1
        skips = size.having(SKIP) if stride == 2 else []
        strided = [
            self._strided(f"edges.{index}-{t}.{op}.", *[size.mixed_channels] * 2) for op in skips for t in targets
        ]
        parts = separable, dilated, skips, size.having(MAX_POOLING), size.having(AVERAGE_POOLING)
        slots = [op for part in parts for op in part]

        def norms(operations: Sequence[str], half: str) -> slice:
            start = self._ends["statistics"]
            for op in operations:
                for target in targets:
                    name = f"edges.{index}-{target}.{op}.{half if op in SEPARABLE else ''}norm"
                    self.statistics[name] = self._take("statistics", size.mixed_channels)
            return slice(start, self._ends["statistics"]) if operations else NOWHERE

        goes_past = stride == 1 or size.partial_channels > 1
        return Source(
            index,
            targets,
            stride,
            tuple(slots),
            separable=self._take("first", len(separable) * count),
            dilated=self._take("first", len(dilated) * count),
            second=self._take("second", len(separable) * count),
            skip=_whole(strided),
            hidden=norms(separable, "first."),
            slots=norms(slots, "second."),
            scales=self._take("scales", len(slots) * count * size.mixed_channels),
            past=self._take("past", size.channels**2 * count if goes_past else 0),
            mixed_channels=mixed,
            widths=tuple(len(part) * count * mixed for part in parts),
        )

    def _index_the_mixture(self) -> None:
        size, mixed = self.size, self.size.mixed_channels
        channels, k, operations = size.channels, size.partial_channels, size.space.operations
        rows = {edge: row for row, edge in enumerate(size.space.edges())}
        column = {op: 1 + place for place, op in enumerate(operations)}
        channel = np.arange(channels)
        shuffle = channel % mixed * k + channel // mixed
        scales: list[int] = []
        past: list[tuple[int, int, int]] = []
        shuffled: list[Indices] = []
        unmoved: list[Indices] = []
        for source in self.sources:
            of_edge = [rows[source.index, target] for target in source.targets]
            scales += [column[op] + row * len(operations) for op in source.operations for row in of_edge]
            if source.past == NOWHERE:
                continue
            for number, row in enumerate(of_edge):
                skips = source.stride == 1 and SKIP in operations
                skip = column[SKIP] + row * len(operations) if skips else 0
                past.append((row, skip, 1 + len(rows) * len(operations) + row))
                line = source.past.start + channel * len(of_edge) * channels + number * channels
                shuffled.append(line + shuffle)
                unmoved.append(line + channel)
        self.past_edges, self.skip_index, self.edge_index = np.array(past, np.int64).reshape(-1, 3).T.copy()
        past_index = np.where(channel < mixed, self.skip_index[:, None], self.edge_index[:, None])
        self.entry_index = np.concatenate((np.repeat(np.array(scales, np.int64), mixed), past_index.ravel()))
        slots, first = np.arange(self.scale_count), [channel[:0]]
        self.shuffled = np.concatenate((slots, self.scale_count + np.concatenate(first + shuffled)))
        self.unmoved = np.concatenate((slots, self.scale_count + np.concatenate(first + unmoved)))
        self.whole_index = np.zeros(self.scale_count + self._ends.get("past", 0), np.int64)
        self.whole_index[self.shuffled] = self.entry_index


def _numbered(place: slice) -> Indices:
    """The places in a range of weights, counted from 1."""
    return np.arange(place.start + 1, place.stop + 1)


def _whole(parts: Iterable[slice]) -> slice:
    """The range of adjacent ranges."""
    known = list(parts)
    return slice(known[0].start, known[-1].stop) if known else NOWHERE
