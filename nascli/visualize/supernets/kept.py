"""How much is kept of every masked convolution of a super-network: by a genotype, or by a posterior on average."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

from nascli.artifacts.distributions.of_supernet import OfSupernet
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.graphs.graph import Graph
from nascli.graphs.operations import Conv
from nascli.graphs.slim import slim
from nascli.registry import SUPERNETS
from nascli.spaces.network_settings import DataShape


@dataclass(frozen=True)
class Kept:
    """The sizes of a convolution's sources, and the share of each, from 0 to 1, that is kept.

    `dead`: the slim network has no such convolution, because no input of it is left or nothing reads its output.
    """

    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    dead: bool = False

    @property
    def channels(self) -> float:
        """How many input channels are kept."""
        return sum(size * share for size, share in zip(self.sizes, self.shares, strict=True))

    @property
    def share(self) -> float:
        """The kept share of all input channels."""
        return self.channels / sum(self.sizes)


@dataclass(frozen=True)
class KeptChannels:
    """A super-network and what is kept of each of its masked convolutions, in order; `summary` puts it into words."""

    graph: Graph
    convolutions: Mapping[str, Kept]
    summary: tuple[str, ...]

    def share(self) -> float:
        """The kept share of all channels that a mask may drop."""
        return sum(kept.channels for kept in self.convolutions.values()) / self.graph.mask_size


def of_genotype(genotype: ChannelsGenotype) -> KeptChannels:
    """What a genotype keeps. It says nothing about the data, so images of the least size stand for them."""
    stride = SUPERNETS[genotype.supernet].stride
    graph = genotype.whole(DataShape(classes=1, image_channels=1, image_size=stride))
    left = slim(graph, genotype.channels)
    convolutions = {}
    for name, conv in graph.masked.items():
        bounds = pairwise(accumulate(conv.sources, initial=0))
        counts = [sum(first <= channel < end for channel in genotype.channels[name]) for first, end in bounds]
        shares = tuple(count / size for count, size in zip(counts, conv.sources, strict=True))
        node = left.graph.by_name.get(name)
        convolutions[name] = Kept(conv.sources, shares, dead=node is None or not isinstance(node.op, Conv))
    kept = KeptChannels(graph, convolutions, ())
    weights = weights_of_convolutions(left.graph) / weights_of_convolutions(graph)
    dead = sum(conv.dead for conv in convolutions.values())
    summary = (
        f"{title(genotype)}: keeps {100 * kept.share():.1f} % of {graph.mask_size:,} channels, "
        f"{100 * weights:.1f} % of the convolutions' weights"
    )
    return KeptChannels(
        graph,
        convolutions,
        (summary + (f", {len(convolutions) - dead} of {len(convolutions)} convolutions" if dead else ""),),
    )


def of_posterior(posterior: PosteriorDistribution) -> KeptChannels:
    """What a candidate of the posterior keeps on average: 1 - p of each source."""
    graph, probabilities = posterior.graph, posterior.probabilities
    of_groups: dict[str, list[float]] = {}
    for group in graph.groups:
        of_groups.setdefault(group.conv, []).append(1 - float(probabilities[group.start]))
    convolutions = {name: Kept(conv.sources, tuple(of_groups[name])) for name, conv in graph.masked.items()}
    share = 100 * KeptChannels(graph, convolutions, ()).share()
    summary = (
        f"{title(posterior)}: candidates keep {share:.1f} % of {graph.mask_size:,} channels on average",
        f"{len(graph.groups)} probabilities p",
    )
    return KeptChannels(graph, convolutions, summary)


def title(of: ChannelsGenotype | OfSupernet) -> str:
    """The super-network in words."""
    paths = " with pooling paths" if of.pooling_paths else ""
    return f"{of.supernet}{paths}, width {of.width}, {'+'.join(map(str, of.stages))} blocks"


def weights_of_convolutions(graph: Graph) -> int:
    """The number of weights of all convolutions of a graph."""
    total = 0
    for node in graph.nodes:
        if isinstance(node.op, Conv):
            read = 1 if node.op.depthwise else graph.shapes[node.inputs[0]].channels
            total += node.op.out * read * node.op.kernel**2
    return total


def kind(graph: Graph, name: str) -> str:
    """The kind of a masked convolution: "3×3", "5×5 dilated by 2", or "sep 3×3" after a depthwise one."""
    node = graph.by_name[name]
    before = graph.by_name[node.inputs[0]].op
    assert isinstance(node.op, Conv)
    separable = isinstance(before, Conv) and before.depthwise
    conv = before if isinstance(before, Conv) and before.depthwise else node.op
    dilated = f" dilated by {conv.dilation}" if conv.dilation > 1 else ""
    return f"{'sep ' if separable else ''}{conv.kernel}×{conv.kernel}{dilated}"


def readable(name: str) -> str:
    """A node's name for a picture.

    >>> readable("block0")
    'block 0'
    """
    return re.sub(r"(?<=[a-z])(?=\d)", " ", name)


def stage_of(name: str) -> str:
    """The part of the network that a node belongs to: "stage0" of "stage0.block1.branch0.conv1"."""
    return name.split(".", maxsplit=1)[0]
