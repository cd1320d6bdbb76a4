"""`nas-bench-201`: one cell of four states, whose edges are one of five operations each. True accuracies are known.

Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from nascli.errors import ArtifactError, UsageError, unknown
from nascli.faults import Fault
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, Sum
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick, unknown_operations
from nascli.spaces.names import NONE
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import Decision, Edge, Strengths, all_at_once, assembled, edges_between
from nascli.spaces.stems import STRIDES, stem
from nascli.spaces.wiring import DERIVED, CellPlace, Wiring

STAGES = 3


_FORM = re.compile(r"(?<![\w~+|])\|(?:[^|+~\s]+~\d+\|)+(?:\+\|(?:[^|+~\s]+~\d+\|)+)+(?![\w+|])")
"""A genotype within other text."""


@dataclass(frozen=True)
class NasBench201:
    """See `nascli.spaces.protocol.CellSpace`. Raises UsageError for another number of nodes than 3."""

    nodes: int = 3

    name: ClassVar[str] = "nas-bench-201"
    cells: ClassVar[tuple[str, ...]] = ("cell",)
    titles: ClassVar[Mapping[str, str]] = MappingProxyType({"cell": "cell"})
    remarks: ClassVar[Mapping[str, str]] = MappingProxyType({"cell": ""})
    input_names: ClassVar[tuple[str, ...]] = ("c(k-1)",)
    inputs: ClassVar[int] = 1
    operations: ClassVar[tuple[str, ...]] = (NONE, "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    known_operations: ClassVar[tuple[str, ...]] = operations
    keeps_none: ClassVar[bool] = True
    weightless: ClassVar[frozenset[str]] = frozenset({"avg_pool_3x3"})
    example: ClassVar[str] = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_1x1~2|"

    def __post_init__(self) -> None:
        if self.nodes != 3:
            raise UsageError(f"cells of the space {self.name} have 3 nodes, not {self.nodes}")

    @property
    def _output(self) -> tuple[int, ...]:
        """A cell puts out its last node alone."""
        return (self.inputs + self.nodes - 1,)

    def edges(self) -> tuple[Edge, ...]:
        return edges_between(self.inputs, self.nodes)

    def decisions(self) -> tuple[Decision, ...]:
        """The operation of every edge."""
        return self._decisions

    @cached_property
    def _decisions(self) -> tuple[Decision, ...]:
        return tuple(
            Decision("cell", f"{source}-{node}", node, tuple(Pick(op=op, input=source) for op in self.operations))
            for source, node in self.edges()
        )

    def genotype(self, choices: Sequence[int]) -> CellGenotype:
        return assembled(self, choices, self._output)

    def everything(self) -> CellGenotype:
        return all_at_once(self, self._output)

    def keep(self, strengths: Strengths) -> CellGenotype:
        """The operation that weighs most on every edge, `none` included; ties go to the first."""
        return self.genotype([max(range(len(row)), key=row.__getitem__) for row in strengths["cell"]])

    def faults(self, cell: Cell) -> Sequence[Fault]:
        faults = unknown_operations(cell, self.known_operations)
        if len(cell.nodes) != self.nodes:
            faults.append((("nodes",), f"a cell of {self.name} needs {self.nodes}, and this one has {len(cell.nodes)}"))
        for index, node in enumerate(cell.nodes):
            if (found := [pick.input for pick in node]) != (needed := list(range(self.inputs + index))):
                faults.append((("nodes", index), f"needs an edge from each of {needed}, in order, and has {found}"))
        if cell.concat != self._output:
            faults.append((("concat",), f"must be {list(self._output)}, not {list(cell.concat)}"))
        return faults

    def graph(self, genotype: CellGenotype, settings: NetworkSettings, wiring: Wiring = DERIVED) -> Graph:
        """Stem, three stages of cells with a residual block before the second and the third, BN, ReLU, classifier.

        A residual block doubles the channels and halves the maps. The benchmark's networks have 5 cells in a stage, 15
        `layers`, the stem `cifar`, and 16 channels in the first cell.
        """
        per_stage, left_over = divmod(settings.layers, STAGES)
        if left_over or not per_stage:
            raise UsageError(
                f"a network of {self.name} has {STAGES} stages of as many cells each: --layers is a multiple of "
                f"{STAGES}, not {settings.layers}"
            )
        stride = STRIDES[settings.stem][1] * 2 ** (STAGES - 1)
        if settings.image_size < stride:
            raise UsageError(
                f"images of {settings.image_size}x{settings.image_size} are too small for the {settings.stem} stem and "
                f"{STAGES} stages, which divide a side by {stride}"
            )
        build = Builder(settings.image_channels, settings.image_size)
        _, x = stem(build, settings.stem, settings.channels)
        for position in range(settings.layers):
            stage, cell = divmod(position, per_stage)
            if stage and not cell:
                x = _residual(build, f"residuals.{stage - 1}", x, settings.channels * 2**stage)
            x = self._cell(build, genotype.cells["cell"], f"cells.{position}", position, x, wiring)
        build.classify(build.relu("relu", build.norm("norm", x)), settings.classes)
        return build.graph(check=wiring is DERIVED)

    def _cell(self, build: Builder, cell: Cell, name: str, position: int, x: str, wiring: Wiring) -> str:
        """The cell's nodes, each the sum of the edges from all earlier states. Returns the last."""

        def apply(name: str, op: str, x: str, source: int) -> str:
            return operation(build, name, op, x, affine=not wiring.searching)

        place = CellPlace(name, position, "cell", apply, lambda _: 1, self.weightless)
        states = [x]
        for node, picks in enumerate(cell.nodes, start=self.inputs):
            states.append(wiring.node(build, place, node, picks, states))
        return states[-1]

    def looks_like(self, text: str) -> bool:
        return text.lstrip().startswith("|") or _FORM.search(text) is not None

    def parse(self, text: str, where: str) -> CellGenotype:
        """|op~0|+|op~0|op~1|+|op~0|op~1|op~2|: for each node, between bars, the operation on the edge from each state.

        Other text may stand around it, as in a log. Raises ArtifactError.
        """
        text = text.strip()
        if not text.startswith("|"):
            found = dict.fromkeys(_FORM.findall(text))
            if len(found) > 1:
                raise ArtifactError(f"{where}: has {len(found):,} genotypes: keep the line of one")
            text = next(iter(found), text)
        nodes = text.split("+")
        faults = list(self._faults_of_text(nodes))
        if faults:
            raise ArtifactError(f"{where}: {'; '.join(faults)}")
        ops = [edge.partition("~")[0] for node in nodes for edge in node.strip("|").split("|")]
        return self.genotype([self.operations.index(op) for op in ops])

    def _faults_of_text(self, nodes: Sequence[str]) -> Sequence[str]:
        if len(nodes) != self.nodes:
            needed = f"a cell of {self.name} needs {self.nodes} nodes (parts between '+')"
            return [f"{needed}, and this one has {len(nodes)}"]
        faults = []
        for node, text in enumerate(nodes, start=self.inputs):
            if len(text) < 2 or not (text.startswith("|") and text.endswith("|")):
                faults.append(f"node {node}: {text[:60]!r} does not stand between bars, as in |skip_connect~0|")
                continue
            edges = text[1:-1].split("|")
            if len(edges) != node:
                edge = "edge" if len(edges) == 1 else "edges"
                faults.append(f"node {node}: has {len(edges)} {edge} and needs {node}, one from each state before it")
                continue
            faults += [
                f"node {node}, edge {n}: {fault}"
                for n, edge in enumerate(edges)
                for fault in self._faults_of_edge(edge, n)
            ]
        return faults

    def _faults_of_edge(self, text: str, source: int) -> Sequence[str]:
        op, tilde, state = text.partition("~")
        if not tilde:
            return [f"{text[:60]!r} names no state, as in {text[:60] or 'skip_connect'}~{source}"]
        faults = [] if op in self.operations else [unknown("op", op[:60], self.operations)]
        return faults if state == str(source) else [*faults, f"must come from ~{source}, not from ~{state[:60]}"]

    def format(self, genotype: CellGenotype) -> str:
        nodes = ("".join(f"|{pick.op}~{pick.input}" for pick in node) for node in genotype.cells["cell"].nodes)
        return "+".join(f"{node}|" for node in nodes) + "\n"


def operation(build: Builder, name: str, op: str, x: str, *, affine: bool) -> str:
    """What an edge computes. Batch norms of a search network have no scale and shift."""
    if op == "skip_connect":
        return x
    if op == "avg_pool_3x3":
        return build.add(f"{name}.pool", AvgPool(3, 1, 1), x)
    kernel = int(op[-1])
    conv = build.conv(f"{name}.conv", build.rectified(x), build.channels(x), kernel)
    return build.norm(f"{name}.norm", conv, affine=affine)


def _residual(build: Builder, name: str, x: str, channels: int) -> str:
    """ReLU, 3x3 of stride 2, BN, ReLU, 3x3, BN; on the skip, 2x2 average pooling and a 1x1 convolution without BN."""
    y = build.norm(f"{name}.norm1", build.conv(f"{name}.conv1", build.rectified(x), channels, 3, stride=2))
    y = build.norm(f"{name}.norm2", build.conv(f"{name}.conv2", build.relu(f"{name}.relu1", y), channels, 3))
    skip = build.conv(f"{name}.skip.conv", build.add(f"{name}.skip.pool", AvgPool(2, 2, 0, ceil=True), x), channels)
    return build.add(f"{name}.sum", Sum(), skip, y)
