"""Super-networks as data, and the smaller networks that are cut out of them. Nothing here imports torch.

To add a super-network, write a function `(width, stages, classes, image_channels, image_size) -> Graph` in a file of
its own, its row in `nascli.registry.SUPERNETS`, and a recipe for its schedule.
"""

from functools import lru_cache

from nascli.errors import UsageError
from nascli.graphs.graph import Graph
from nascli.registry import SUPERNETS, load, lookup
from nascli.supernets.pooling_paths import with_stand_ins

MOST_WIDTH = 1024
MOST_BLOCKS = 64
"""The most blocks of one stage. Beyond these bounds a file would ask for more memory than any machine has."""

MOST_PARAMETERS = 10_000_000_000
"""The published super-networks have up to 8 billion at the largest width; with the largest depth, too, up to 100."""


def stages_of(name: str, depth: int = 0) -> tuple[int, ...]:
    """The number of blocks in every stage: `depth`, or for 0 those of the published network. Raises UsageError."""
    row = lookup(SUPERNETS, "super-network", name)
    return (depth,) * len(row.stages) if depth else row.stages


def no_pooling_paths(name: str) -> str:
    """What to tell whoever wants pooling paths of a super-network that has none."""
    others = ", ".join(other for other, row in SUPERNETS.items() if row.pools)
    return f"no branch of {name} pools, so it has no pooling paths (--pooling-paths); {others} have them"


@lru_cache(maxsize=32)
def supernet(
    name: str,
    width: int,
    stages: tuple[int, ...],
    *,
    classes: int,
    image_channels: int,
    image_size: int,
    pooling_paths: bool = False,
) -> Graph:
    """The super-network called `name`, with a stand-in after each pooling if it has `pooling_paths` (`with_stand_ins`).

    Raises UsageError for an unknown name, sizes that it cannot have, or pooling paths where it has no poolings.
    """
    row = lookup(SUPERNETS, "super-network", name)
    if pooling_paths and not row.pools:
        raise UsageError(no_pooling_paths(name))
    if not 1 <= width <= MOST_WIDTH:
        raise UsageError(f"width {width} is not from 1 to {MOST_WIDTH}")
    if len(stages) != len(row.stages) or not all(1 <= blocks <= MOST_BLOCKS for blocks in stages):
        raise UsageError(f"{name} has {len(row.stages)} stages of 1 to {MOST_BLOCKS} blocks, not {list(stages)}")
    if image_size < row.stride:
        raise UsageError(
            f"images of {image_size}x{image_size} are too small for {name}, which divides a side by {row.stride}: "
            f"--image-size {row.stride} or more enlarges them"
        )
    try:
        graph: Graph = load(row.target)(width, stages, classes, image_channels, image_size)
    except ValueError as error:
        raise UsageError(f"{name} of width {width} for images of {image_size}x{image_size}: {error}") from None
    if pooling_paths:
        graph = with_stand_ins(graph)
    if graph.parameters > MOST_PARAMETERS:
        raise UsageError(
            f"{name} of width {width} with stages of {list(stages)} blocks has {graph.parameters:,} parameters; "
            f"at most {MOST_PARAMETERS:,} are possible"
        )
    return graph
