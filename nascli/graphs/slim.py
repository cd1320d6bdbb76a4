"""The network that is left of a super-network when some input channels of its convolutions are dropped.

It is physically smaller. A dropped input is removed from its convolution. An output that is no longer read is removed
from the convolution that produced it and from its batch norm, across concatenations and sums. So is an output that no
longer depends on the image, because all inputs of its convolution were dropped. Such an output has a fixed value, the
one that its last batch norm emits. What becomes of that value depends on the reader:

- A sum gets it as a bias, a `Constant`. A block without branches is its skip and a bias.
- A convolution loses the input. What the input contributed is the same for every image. If it shifts the convolution's
  map by the same value everywhere, a batch norm that follows takes the shift into its running mean. If the padding
  shows, or no batch norm follows, the contribution is added as a `Constant`.
- Global pooling, and a sum with only some fixed channels, get the fixed ones as a `Constant` beside the others.

`nascli.graphs.reach` finds out which channels are fixed and which are needed; this module cuts the network.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    Crossed,
    DropPath,
    GlobalPool,
    Image,
    Linear,
    MaxPool,
    Norm,
    Op,
    Select,
    Sum,
)
from nascli.graphs.reach import Flags, Reach, border_after, joined, members, places, reach

Channels = tuple[int, ...]


@dataclass(frozen=True)
class Slim:
    """A smaller network, and where its weights are in the super-network. Channels are numbered as in the super-network.

    outputs: for every convolution, batch norm and constant, the channels that it puts out, in order.
    inputs: for every convolution (except depthwise ones) and linear layer, the channels that it reads of its input.
    constants: for every constant, the super-network's nodes whose values it sums.
    fixed: for every convolution that lost inputs of fixed value, the channels of these. If it is named in `constants`
        or `shifts`, that means what these inputs contribute, not its whole maps.
    shifts: for every batch norm whose running mean takes contributions, the convolutions that they come from, each with
        the batch norm's channel at which its channels begin.
    auxiliary: the channels that an auxiliary tower reads; none if the node that it hangs on is gone.
    """

    graph: Graph
    outputs: Mapping[str, Channels]
    inputs: Mapping[str, Channels]
    constants: Mapping[str, tuple[str, ...]]
    fixed: Mapping[str, Channels]
    shifts: Mapping[str, Sequence[tuple[str, int]]]
    auxiliary: Channels


def slim(graph: Graph, kept: Mapping[str, Collection[int]]) -> Slim:
    """Cut a super-network down to the `kept` input channels of its masked convolutions (all of them by name)."""
    return _Cutter(graph, reach(graph, kept)).cut()


class _Cutter:
    """Rebuilds what is needed of a super-network, node by node."""

    def __init__(self, graph: Graph, found: Reach) -> None:
        self.graph, self.found = graph, found
        self.nodes: list[Node] = []
        self.heirs: dict[str, str] = {}
        """The new node that takes the place of a super-network's node, if it has another name."""
        self.carried: dict[str, Flags] = {}
        """The channels, in rising order, that the super-network's nodes still put out."""
        self.outputs: dict[str, Channels] = {}
        self.inputs: dict[str, Channels] = {}
        self.constants: dict[str, tuple[str, ...]] = {}
        self.fixed: dict[str, Channels] = {}
        self.shifts: dict[str, list[tuple[str, int]]] = {}
        self.made: dict[tuple[str, Flags], str] = {}
        """Nodes that select or complete the channels of another, by its name and the channels, so each is made once."""

    def cut(self) -> Slim:
        for node in self.graph.nodes:
            # The image stays even if only constants are left: it gives the batch size.
            if isinstance(node.op, Image) or self.found.needed[node.name]:
                self._keep(node)
        tower = self.graph.tower
        read: Channels = ()
        if tower is not None and tower.node in self.carried:
            tower, read = replace(tower, node=self._heir(tower.node)), members(self.carried[tower.node])
        else:
            tower = None
        graph = Graph(tuple(self.nodes), self.graph.image_size, tower)
        return Slim(graph, self.outputs, self.inputs, self.constants, self.fixed, self.shifts, read)

    def _keep(self, node: Node) -> None:
        wanted = self.found.needed[node.name]
        match node.op:
            case Image():
                self._add(node.name, node.op, ())
                self.carried[node.name] = self.found.varying[node.name]
            case Sum():
                moving = [name for name in node.inputs if self.found.varying[name] & wanted]
                summands = [self._complete(name, wanted) for name in moving]
                if still := tuple(name for name in node.inputs if name not in moving):
                    summands.append(self._constant(f"{node.name}.bias", still, wanted))
                self._carry(node, node.op, tuple(summands), wanted)
            case Concat():
                self._concatenate(node, wanted)
            case Conv(depthwise=False) | Linear():
                self._cut_inputs(node, node.op, wanted)
            case Conv() | Norm():
                op = replace(node.op, out=wanted.bit_count()) if isinstance(node.op, Conv) else node.op
                self.outputs[node.name] = members(wanted)
                self._carry(node, op, (self._select(node.inputs[0], wanted),), wanted)
            case Crossed():
                whole = self.found.reads[node.name]
                self._carry(node, node.op, (self._complete(node.inputs[0], whole),), whole)
            case GlobalPool():
                self._carry(node, node.op, (self._complete(node.inputs[0], wanted),), wanted)
            case _:
                # The others have no weights: they pass on all that they get, and their readers select.
                (name,) = node.inputs
                self._carry(node, node.op, (self._heir(name),), self.carried[name])

    def _cut_inputs(self, node: Node, op: Conv | Linear, wanted: Flags) -> None:
        """Let a convolution or linear layer read fewer channels."""
        (name,) = node.inputs
        reads, varying = self.found.reads[node.name], self.found.varying[name]
        self.inputs[node.name] = members(reads & varying)
        read = self._select(name, reads & varying)
        if isinstance(op, Conv):
            self.outputs[node.name] = members(wanted)
            passes = _passed(op, members(wanted), self.inputs[node.name])
            op = replace(op, out=wanted.bit_count(), sources=(), passes=passes)
        self._carry(node, op, (read,), wanted)
        if still := reads & ~varying:
            self.fixed[node.name] = members(still)
            self._shift(node, wanted)

    def _shift(self, node: Node, wanted: Flags) -> None:
        """Make up for what the inputs of fixed value contributed to a convolution."""
        border = border_after(node, self.found.borders[node.inputs[0]], self.graph)
        norms = self._norms_after(node.name) if border == 0 else None
        if norms is None:
            constant = self._constant(f"{node.name}.constant", (node.name,), wanted, border)
            self.heirs[node.name] = self._add(f"{node.name}.shifted", Sum(), (node.name, constant))
            return
        for norm, first in norms:
            self.shifts.setdefault(norm, []).append((node.name, first))

    def _norms_after(self, name: str, first: int = 0) -> list[tuple[str, int]] | None:
        """The batch norms that read a node's maps, each with its channel at which these begin; None if others do, too.

        Operations that leave a map of one value unchanged may stand in between.
        """
        if self.graph.tower is not None and name == self.graph.tower.node:
            return None
        found: list[tuple[str, int]] = []
        for reader in self.graph.readers[name]:
            node = self.graph.by_name[reader]
            if not self.found.needed[reader]:
                continue
            match node.op:
                case Norm():
                    found.append((reader, first))
                    continue
                case Concat():
                    sizes = [self.graph.shapes[part].channels for part in node.inputs]
                    starts = accumulate(sizes, initial=first)
                    places = [start for part, start in zip(node.inputs, starts, strict=False) if part == name]
                case AvgPool() | MaxPool() | DropPath():
                    places = [first]
                case _:
                    return None
            for place in places:
                later = self._norms_after(reader, place)
                if later is None:
                    return None
                found += later
        return found

    def _concatenate(self, node: Node, wanted: Flags) -> None:
        """Join all that the inputs carry. A reader of fewer channels selects from the whole, not from every part."""
        parts = [name for name in node.inputs if self.found.needed[name]]
        carried = joined(self.graph, node, {name: self.carried.get(name, 0) for name in node.inputs})
        self._carry(node, node.op, tuple(self._heir(name) for name in parts), carried)

    def _heir(self, name: str) -> str:
        return self.heirs.get(name, name)

    def _select(self, name: str, wanted: Flags) -> str:
        """A node that puts out exactly the `wanted` channels of the super-network's node `name`, none of them fixed."""
        carried = self.carried[name]
        if carried == wanted:
            return self._heir(name)
        key = name, wanted
        if key not in self.made:
            self.made[key] = self._add(
                f"{name}.select{len(self.made)}", Select(places(wanted, carried)), (self._heir(name),)
            )
        return self.made[key]

    def _complete(self, name: str, wanted: Flags) -> str:
        """The same, with constants for the channels that are fixed."""
        varying, fixed = wanted & self.found.varying[name], wanted & ~self.found.varying[name]
        if not fixed:
            return self._select(name, wanted)
        key = name, wanted
        if key not in self.made:
            place = f"{name}.complete{len(self.made)}"
            whole = self._constant(f"{place}.constant", (name,), fixed)
            if varying:
                whole = self._add(place, Concat(), (self._select(name, varying), whole))
                order = members(varying) + members(fixed)
                in_order = tuple(sorted(range(len(order)), key=order.__getitem__))
                whole = self._add(f"{place}.select", Select(in_order), (whole,))
            self.made[key] = whole
        return self.made[key]

    def _constant(self, name: str, sources: tuple[str, ...], wanted: Flags, border: int | None = None) -> str:
        """A constant for the sum of the sources, which have fixed values in the `wanted` channels."""
        side = self.graph.shapes[sources[0]].side
        if border is None:
            border = max(self.found.borders[source] for source in sources)
        self.outputs[name], self.constants[name] = members(wanted), sources
        op = Constant(wanted.bit_count(), side, min(side, 2 * border + 1))
        return self._add(name, op, (self.graph.nodes[0].name,))

    def _carry(self, node: Node, op: Op, inputs: tuple[str, ...], carried: Flags) -> None:
        """Keep a node of the super-network, which now puts out the `carried` channels."""
        self._add(node.name, op, inputs)
        self.carried[node.name] = carried

    def _add(self, name: str, op: Op, inputs: tuple[str, ...]) -> str:
        self.nodes.append(Node(name, op, inputs))
        return name


def _passed(op: Conv, outputs: Channels, inputs: Channels) -> Channels:
    """`Conv.passes` of the `outputs` and `inputs` that are left of a convolution."""
    if not op.passes:
        return ()
    place = {channel: number for number, channel in enumerate(inputs)}
    return tuple(place.get(op.passes[channel], -1) for channel in outputs)
