"""`resnet-mb`: a 26-layer ResNet of two branches and a skip per block (SupNet-M and SupNet-MI).

Gastaldi, "Shake-Shake regularization", 2017 (26 2x96d, without the shaking); PGNAS, Section 3.1.
"""

from nascli.graphs.blocks import factorised_reduction
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import Sum

STEM_CHANNELS = 16
BRANCHES = 2


def resnet_mb(width: int, stages: tuple[int, ...], classes: int, image_channels: int, image_size: int) -> Graph:
    """`stages[i]` blocks of `width * 2**i` channels each; every stage but the first halves the map.

    The published network has width 96, or inflated 160, and stages (4, 4, 4). Raises ValueError for images too small.
    """
    build = Builder(image_channels, image_size)
    x = build.unmasked_conv("stem.conv", build.image, STEM_CHANNELS, 3)
    x = build.norm("stem.norm", x)
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _block(build, f"stage{stage}.block{block}", x, width * 2**stage, stride)
    build.classify(build.relu("relu", x), classes)
    return build.graph()


def _block(build: Builder, name: str, x: str, channels: int, stride: int) -> str:
    """The sum of a skip and branches of ReLU, 3x3, BN, ReLU, 3x3, BN, which share the ReLU of their input."""
    rectified = build.relu(f"{name}.relu", x)
    same = stride == 1 and build.channels(x) == channels
    skip = x if same else factorised_reduction(build, f"{name}.skip", rectified, channels, stride=stride)
    summands = [skip]
    for branch in range(BRANCHES):
        place = f"{name}.branch{branch}"
        y = build.norm(f"{place}.norm1", build.conv(f"{place}.conv1", rectified, channels, 3, stride=stride))
        y = build.relu(f"{place}.relu", y)
        summands.append(build.norm(f"{place}.norm2", build.conv(f"{place}.conv2", y, channels, 3)))
    return build.add(f"{name}.sum", Sum(), *summands)
