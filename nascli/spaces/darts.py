"""`darts`: cells of two inputs and N nodes, each of which sums two operations on earlier states.

Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019. Published cells of this family are genotypes of it,
too; they may have further operations, nodes with any number of picks, and outputs that leave nodes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from nascli.errors import UsageError
from nascli.faults import Fault
from nascli.graphs.blocks import factorised_reduction
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, Concat, Crossed, MaxPool
from nascli.graphs.tower import TOWER_FORMS, Tower
from nascli.spaces import darts_text
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick, unknown_operations
from nascli.spaces.names import NONE
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import Decision, Edge, Strengths, all_at_once, assembled, edges_between
from nascli.spaces.stems import STRIDES, stem
from nascli.spaces.wiring import DERIVED, CellPlace, Wiring

MOST_NODES = 12
"""The most nodes of a cell that is searched."""

PICKS = 2
"""The picks of every node that is searched."""

STEM_MULTIPLE = 3
"""The stem's channels as a multiple of a cell's, on small images and in every search network."""


@dataclass(frozen=True)
class Darts:
    """See `nascli.spaces.protocol.CellSpace`. Raises UsageError for a number of nodes that its cells cannot have."""

    nodes: int = 4

    name: ClassVar[str] = "darts"
    cells: ClassVar[tuple[str, ...]] = ("normal", "reduce")
    titles: ClassVar[Mapping[str, str]] = MappingProxyType({"normal": "normal cell", "reduce": "reduction cell"})
    remarks: ClassVar[Mapping[str, str]] = MappingProxyType({"normal": "", "reduce": "stride 2 at both inputs"})
    input_names: ClassVar[tuple[str, ...]] = ("c(k-2)", "c(k-1)")
    inputs: ClassVar[int] = 2
    operations: ClassVar[tuple[str, ...]] = (
        NONE,
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    known_operations: ClassVar[tuple[str, ...]] = (*operations[1:], "sep_conv_7x7", "conv_7x1_1x7")
    weightless: ClassVar[frozenset[str]] = frozenset({"max_pool_3x3", "avg_pool_3x3"})
    keeps_none: ClassVar[bool] = False
    example: ClassVar[str] = darts_text.EXAMPLE

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= MOST_NODES:
            raise UsageError(f"cells of the space {self.name} have 1 to {MOST_NODES} nodes, not {self.nodes}")

    @cached_property
    def _node_states(self) -> tuple[int, ...]:
        """The states of the nodes, all of which a found cell concatenates."""
        return tuple(range(self.inputs, self.inputs + self.nodes))

    def edges(self) -> tuple[Edge, ...]:
        return edges_between(self.inputs, self.nodes)

    def decisions(self) -> tuple[Decision, ...]:
        """Two draws of an (input, operation) pair per node. `none` is not among them (PARSEC, Eq. 4 and 5)."""
        return self._decisions

    @cached_property
    def _decisions(self) -> tuple[Decision, ...]:
        return tuple(
            Decision(
                cell,
                str(node),
                node,
                tuple(Pick(op=op, input=source) for source in range(node) for op in self.operations if op != NONE),
                draws=PICKS,
            )
            for cell in self.cells
            for node in self._node_states
        )

    def genotype(self, choices: Sequence[int]) -> CellGenotype:
        return assembled(self, choices, self._node_states)

    def everything(self) -> CellGenotype:
        return all_at_once(self, self._node_states)

    def keep(self, strengths: Strengths) -> CellGenotype:
        """The two strongest edges of every node, each with its best operation other than `none`.

        Ties go to the first; picks are in the order of their inputs; every node is concatenated. PC-DARTS, Section 3.3,
        after DARTS, Section 2.4.
        """
        columns = [column for column, op in enumerate(self.operations) if op != NONE]
        cells = {}
        for cell in self.cells:
            rows = list(zip(self.edges(), strengths[cell], strict=True))
            nodes = []
            for node in self._node_states:
                best = [(max(columns, key=row.__getitem__), source, row) for (source, end), row in rows if end == node]
                kept = sorted(best, key=lambda entry: -entry[2][entry[0]])[:PICKS]
                picks = sorted((source, column) for column, source, _ in kept)
                nodes.append(tuple(Pick(op=self.operations[column], input=source) for source, column in picks))
            cells[cell] = Cell(nodes=tuple(nodes), concat=self._node_states)
        return CellGenotype(space=self.name, cells=cells)

    def faults(self, cell: Cell) -> Sequence[Fault]:
        return unknown_operations(cell, self.known_operations)

    def graph(self, genotype: CellGenotype, settings: NetworkSettings, wiring: Wiring = DERIVED) -> Graph:
        """Stem, cells, global average pooling, linear classifier (Liu et al., Appendix A).

        Cells at `reduction_cells(layers)` are reduction cells: they double the channels and halve the maps. An
        auxiliary tower hangs on the second one.
        """
        reductions = reduction_cells(settings.layers)
        stride = STRIDES[settings.stem][1] * 2 ** len(reductions)
        if settings.image_size < stride:
            raise UsageError(
                f"images of {settings.image_size}x{settings.image_size} are too small for the {settings.stem} stem and "
                f"{settings.layers} layers, which divide a side by {stride}"
            )
        wide = settings.stem == "cifar" or wiring.searching
        build = Builder(settings.image_channels, settings.image_size)
        states = stem(build, settings.stem, settings.channels * (STEM_MULTIPLE if wide else 1))
        types = ["reduce" if position in reductions else "normal" for position in range(settings.layers)]
        names = [f"cells.{position}" for position in range(settings.layers)]
        try:
            outputs = stacked(
                build,
                genotype,
                list(zip(names, types, strict=True)),
                states,
                settings.channels,
                wiring,
                halved=STRIDES[settings.stem][0] != STRIDES[settings.stem][1],
            )
        except ValueError as error:
            raise UsageError(f"{error}: give more --channels") from None
        build.classify(outputs[-1], settings.classes)
        tower = Tower(outputs[reductions[-1]], TOWER_FORMS[settings.stem], stride) if len(reductions) == 2 else None
        return build.graph(tower, check=wiring is DERIVED)

    def looks_like(self, text: str) -> bool:
        return "Genotype(" in text

    def parse(self, text: str, where: str) -> CellGenotype:
        return darts_text.parse(text, where)

    def format(self, genotype: CellGenotype) -> str:
        return darts_text.render(genotype)


def reduction_cells(layers: int) -> tuple[int, ...]:
    """The positions of the reduction cells among `layers` cells: L // 3 and 2L // 3, as in Liu et al., ICLR 2019.

    Short stacks follow the same rule, so that search networks and derived ones agree at any length: with one or two
    cells all are reduction cells, and with three the first, at position 0, is a normal cell.

    >>> reduction_cells(20), reduction_cells(14), reduction_cells(8)
    ((6, 13), (4, 9), (2, 5))
    >>> reduction_cells(1), reduction_cells(2), reduction_cells(3)
    ((0,), (0, 1), (1, 2))
    """
    return tuple(sorted({layers // 3, 2 * layers // 3}))


def stacked(
    build: Builder,
    genotype: CellGenotype,
    cells: Sequence[tuple[str, str]],
    states: tuple[str, str],
    channels: int,
    wiring: Wiring,
    *,
    halved: bool = False,
) -> list[str]:
    """A stack of cells, given by name and type, on two states. Returns the output of each.

    channels: those of the first cell, unless it is a reduction cell, which doubles them. halved: whether the second
    state has half the side of the first. Raises ValueError for too few channels.
    """
    first, second = states
    outputs = []
    for position, (name, type_) in enumerate(cells):
        channels *= 2 if type_ == "reduce" else 1
        place = _place(build, name, position, type_, wiring)
        output = _cell(build, genotype.cells[type_], place, (first, second), channels, wiring, halved=halved)
        first, second, halved = second, output, type_ == "reduce"
        outputs.append(output)
    return outputs


def _place(build: Builder, name: str, position: int, type_: str, wiring: Wiring) -> CellPlace:
    def stride(source: int) -> int:
        return 2 if type_ == "reduce" and source < Darts.inputs else 1

    def apply(name: str, op: str, x: str, source: int) -> str:
        return operation(build, name, op, x, stride(source), searching=wiring.searching)

    return CellPlace(name, position, type_, apply, stride, Darts.weightless)


def _cell(
    build: Builder,
    cell: Cell,
    place: CellPlace,
    inputs: tuple[str, str],
    channels: int,
    wiring: Wiring,
    *,
    halved: bool,
) -> str:
    """Both inputs mapped to `channels` channels, the nodes, and the concatenation of some of them.

    Nodes and inputs that the output does not depend on are left out: their parameters would count but never learn.
    """
    read = cell.read_states(Darts.inputs)
    states = []
    for number, state in enumerate(inputs):
        mapped = number in read
        halve = halved and number == 0
        states.append(_input(build, f"{place.name}.inputs.{number}", state, channels, halve, wiring) if mapped else "")
    for node, picks in enumerate(cell.nodes, start=Darts.inputs):
        states.append(wiring.node(build, place, node, picks, states) if node in read else "")
    return build.add(f"{place.name}.concat", Concat(), *(states[state] for state in cell.concat))


def _input(build: Builder, name: str, state: str, channels: int, halve: bool, wiring: Wiring) -> str:
    """ReLU, 1x1 convolution, BN; or a factorised reduction."""
    rectified, sources, affine = build.rectified(state), build.sources(state), not wiring.searching
    if halve:
        return factorised_reduction(build, name, rectified, channels, sources=sources, affine=affine)
    return build.norm(f"{name}.norm", build.conv(f"{name}.conv", rectified, channels, sources=sources), affine=affine)


def operation(build: Builder, name: str, op: str, x: str, stride: int, *, searching: bool) -> str:
    """What an edge of a cell computes (Liu et al., Section 3.1.1, and the cells compared there).

    In a search network a batch norm follows every pooling, and none has a scale and shift.
    """
    affine = not searching
    if op == "skip_connect":
        if stride == 1:
            return x
        return factorised_reduction(build, name, build.rectified(x), build.channels(x), affine=affine)
    if op in Darts.weightless:
        pool = MaxPool(3, stride, 1) if op == "max_pool_3x3" else AvgPool(3, stride, 1)
        pooled = build.add(f"{name}.pool", pool, x)
        return build.norm(f"{name}.norm", pooled, affine=False) if searching else pooled
    x = build.rectified(x)
    if op == "conv_7x1_1x7":
        return build.norm(f"{name}.norm", build.add(f"{name}.crossed", Crossed(7, stride), x), affine=affine)
    kind, _, window = op.split("_")
    kernel = int(window[0])
    if kind == "dil":
        return _depthwise_and_pointwise(build, name, x, kernel, stride, 2, affine)
    first = _depthwise_and_pointwise(build, f"{name}.first", x, kernel, stride, 1, affine)
    return _depthwise_and_pointwise(build, f"{name}.second", build.rectified(first), kernel, 1, 1, affine)


def _depthwise_and_pointwise(
    build: Builder, name: str, x: str, kernel: int, stride: int, dilation: int, affine: bool
) -> str:
    """Depthwise, 1x1, BN: a dilated convolution, or one half of a separable one. The mask is on the 1x1's input."""
    y = build.depthwise(f"{name}.depthwise", x, kernel, stride=stride, dilation=dilation)
    return build.norm(f"{name}.norm", build.conv(f"{name}.pointwise", y, build.channels(x)), affine=affine)
