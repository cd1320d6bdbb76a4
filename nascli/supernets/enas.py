"""`enas`: the network of the cells that ENAS found (SupNet-E and SupNet-EI).

Pham et al., "Efficient neural architecture search via parameter sharing", ICML 2018; PGNAS, Section 3.1. Frame and
operations are those of `nascli.core.nn.network.CellNetwork`. As described the published ones have 3.73 M and 14.1 M
parameters, the tower left out; the paper prints ENAS's own 4.6 M, and 15.3 M.
"""

from dataclasses import dataclass

from nascli.supernets.blocks import factorised_reduction
from nascli.supernets.graph import AvgPool, Builder, Concat, DropPath, Graph, MaxPool, Sum

Nodes = tuple[tuple[tuple[int, str], ...], ...]
"""A cell: of each node the paths that it sums, as (state, operation). States 0 and 1 are the cell's inputs: what the
cell before the last one puts out, and the last one. The next are its own nodes."""

NORMAL: Nodes = (
    ((0, "avg"), (0, "sep3")),
    ((0, "identity"), (0, "sep5")),
    ((0, "identity"), (1, "sep5")),
    ((1, "sep3"), (0, "sep5")),
    ((0, "avg"), (1, "sep5")),
)
REDUCTION: Nodes = (
    ((1, "sep3"), (1, "sep3")),
    ((0, "max"), (0, "avg")),
    ((1, "sep5"), (3, "sep5")),
    ((1, "sep3"), (0, "identity")),
    ((0, "max"), (1, "sep5")),
)

STEM_MULTIPLE = 3
"""The stem's channels as a multiple of a cell's."""


@dataclass(frozen=True)
class _State:
    """What a cell or the stem puts out: the node, and its channels by where they come from."""

    node: str
    sources: tuple[int, ...]


def enas(width: int, stages: tuple[int, ...], classes: int, image_channels: int, image_size: int) -> Graph:
    """`stages[i]` normal cells of `width * 2**i` channels a node; a reduction cell before every stage but the first.

    The published network has width 36, or inflated 72, and stages (5, 5, 5). An auxiliary tower hangs on the last
    reduction cell. Raises ValueError for images or a width too small.
    """
    network = _Network(Builder(image_channels, image_size))
    build = network.build
    stem = build.unmasked_conv("stem.conv", build.image, STEM_MULTIPLE * width, 3)
    second = _State(build.norm("stem.norm", stem), (STEM_MULTIPLE * width,))
    first, auxiliary, reduced = second, None, False
    for stage, cells in enumerate(stages):
        channels = width * 2**stage
        if stage > 0:
            first, second = second, network.cell(f"stage{stage}.reduction", REDUCTION, first, second, channels)
            auxiliary, reduced = second.node, True
        for cell in range(cells):
            name = f"stage{stage}.cell{cell}"
            first, second = second, network.cell(name, NORMAL, first, second, channels, halve_first=reduced)
            reduced = False
    build.classify(second.node, classes)
    return build.graph(auxiliary)


class _Network:
    """The graph as far as it is built; each map goes through one ReLU, whoever reads it."""

    def __init__(self, build: Builder) -> None:
        self.build = build
        self._rectified: dict[str, str] = {}

    def cell(
        self, name: str, nodes: Nodes, first: _State, second: _State, channels: int, *, halve_first: bool = False
    ) -> _State:
        """A cell's nodes, and the concatenation of those that no other node reads.

        halve_first: the last cell was a reduction, so that `first` has maps of twice the side.
        """
        stride = 2 if nodes is REDUCTION else 1
        states = [
            self._input(f"{name}.input0", first, channels, halve=halve_first),
            self._input(f"{name}.input1", second, channels),
        ]
        for number, paths in enumerate(nodes):
            place = f"{name}.node{number}"
            summands = [
                self._path(f"{place}.path{path}", states[state], operation, stride if state < 2 else 1)
                for path, (state, operation) in enumerate(paths)
            ]
            states.append(self.build.add(f"{place}.sum", Sum(), *summands))
        read = {state for paths in nodes for state, _ in paths}
        loose = [node for state, node in enumerate(states) if state not in read]
        return _State(self.build.add(f"{name}.concat", Concat(), *loose), (channels,) * len(loose))

    def _input(self, name: str, state: _State, channels: int, *, halve: bool = False) -> str:
        """ReLU, 1x1, BN; or a factorised reduction."""
        rectified = self._relu(state.node)
        if halve:
            return factorised_reduction(self.build, name, rectified, channels, sources=state.sources)
        conv = self.build.conv(f"{name}.conv", rectified, channels, sources=state.sources)
        return self.build.norm(f"{name}.norm", conv)

    def _path(self, name: str, x: str, operation: str, stride: int) -> str:
        """An operation of a node; drop-path may leave it out unless it is the identity."""
        build = self.build
        match operation:
            case "identity":
                if stride == 1:
                    return x
                y = factorised_reduction(build, name, self._relu(x), build.channels(x))
            case "avg":
                y = build.add(f"{name}.pool", AvgPool(3, stride, 1), x)
            case "max":
                y = build.add(f"{name}.pool", MaxPool(3, stride, 1), x)
            case _:
                y = self._separable(name, self._relu(x), int(operation.removeprefix("sep")), stride)
        return build.add(f"{name}.drop", DropPath(), y)

    def _separable(self, name: str, rectified: str, kernel: int, stride: int) -> str:
        """Depthwise, 1x1, BN, ReLU, depthwise, 1x1, BN. A mask sits before the 1x1; the depthwise goes along."""
        build, channels = self.build, self.build.channels(rectified)
        y = build.depthwise(f"{name}.depthwise1", rectified, kernel, stride=stride)
        y = build.norm(f"{name}.norm1", build.conv(f"{name}.conv1", y, channels))
        y = build.depthwise(f"{name}.depthwise2", build.relu(f"{name}.relu", y), kernel)
        return build.norm(f"{name}.norm2", build.conv(f"{name}.conv2", y, channels))

    def _relu(self, x: str) -> str:
        if x not in self._rectified:
            self._rectified[x] = self.build.relu(f"{x.rpartition('.')[0]}.relu", x)
        return self._rectified[x]
