"""`enas`: the network of the cells that ENAS found (SupNet-E and SupNet-EI).

Pham et al., "Efficient neural architecture search via parameter sharing", ICML 2018; PGNAS, Section 3.1. Frame and
operations are those of the space `darts`. Built as described, the published networks have 3.73 M and 14.1 M parameters
without the tower; the paper prints ENAS's own 4.6 M, and 15.3 M.
"""

from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.tower import TOWER_FORMS, Tower
from nascli.spaces import cell_space
from nascli.spaces.darts import STEM_MULTIPLE, stacked
from nascli.spaces.stems import stem
from nascli.spaces.wiring import DERIVED

CELLS = """Genotype(
    normal=[
        ('avg_pool_3x3', 0), ('sep_conv_3x3', 0),
        ('skip_connect', 0), ('sep_conv_5x5', 0),
        ('skip_connect', 0), ('sep_conv_5x5', 1),
        ('sep_conv_3x3', 1), ('sep_conv_5x5', 0),
        ('avg_pool_3x3', 0), ('sep_conv_5x5', 1),
    ],
    normal_concat=range(2, 7),
    reduce=[
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1),
        ('max_pool_3x3', 0), ('avg_pool_3x3', 0),
        ('sep_conv_5x5', 1), ('sep_conv_5x5', 3),
        ('sep_conv_3x3', 1), ('skip_connect', 0),
        ('max_pool_3x3', 0), ('sep_conv_5x5', 1),
    ],
    reduce_concat=[2, 4, 5, 6],
)"""


def enas(width: int, stages: tuple[int, ...], classes: int, image_channels: int, image_size: int) -> Graph:
    """`stages[i]` normal cells of `width * 2**i` channels per node; a reduction cell before every stage but the first.

    The published network has width 36, or inflated 72, and stages (5, 5, 5). An auxiliary tower hangs on the last
    reduction cell. Raises ValueError for images or a width too small.
    """
    cells = []
    for stage, count in enumerate(stages):
        cells += [(f"stage{stage}.reduction", "reduce")] if stage else []
        cells += [(f"stage{stage}.cell{cell}", "normal") for cell in range(count)]
    build = Builder(image_channels, image_size)
    states = stem(build, "cifar", STEM_MULTIPLE * width)
    outputs = stacked(build, cell_space("darts").parse(CELLS, "enas"), cells, states, width, DERIVED)
    build.classify(outputs[-1], classes)
    reductions = [output for output, (_, type_) in zip(outputs, cells, strict=True) if type_ == "reduce"]
    tower = Tower(reductions[-1], TOWER_FORMS["cifar"], 2 ** len(reductions)) if reductions else None
    return build.graph(tower)
