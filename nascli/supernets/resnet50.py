"""`resnet50-inflated`: ResNet-50 with four kernels in place of each 3x3 convolution (SupNet-R-50).

He et al., "Deep residual learning for image recognition", CVPR 2016, with the stride in the inner convolution, as is
usual today; PGNAS, Section 3.2 and Table 9. Built as described, it has 28.1 M parameters; the paper prints 44.0 M.
"""

from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import Concat, MaxPool, Sum

KERNELS = ((1, 1), (3, 1), (3, 2), (5, 2))
"""Side and dilation of the parallel convolutions: windows of 1, 3, 5 and 9 pixels."""

EXPANSION = 4
"""Outputs of a block as a multiple of the channels inside it."""


def resnet50_inflated(width: int, stages: tuple[int, ...], classes: int, image_channels: int, image_size: int) -> Graph:
    """`stages[i]` blocks of `width * 2**i` channels inside; every stage but the first halves the map.

    The published network has width 64 and stages (3, 4, 6, 3). Raises ValueError for images or a width too small.
    """
    if width < len(KERNELS):
        raise ValueError(f"{len(KERNELS)} kernels share the channels inside a block; {width} is too few")
    build = Builder(image_channels, image_size)
    x = build.unmasked_conv("stem.conv", build.image, width, 7, stride=2)
    x = build.relu("stem.relu", build.norm("stem.norm", x))
    x = build.add("stem.pool", MaxPool(3, 2, 1), x)
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _block(build, f"stage{stage}.block{block}", x, width * 2**stage, stride)
    build.classify(x, classes)
    return build.graph()


def _block(build: Builder, name: str, x: str, channels: int, stride: int) -> str:
    """1x1, BN, ReLU, the four kernels, BN, ReLU, 1x1, BN; plus the skip; ReLU."""
    out = channels * EXPANSION
    y = build.norm(f"{name}.norm1", build.conv(f"{name}.conv1", x, channels))
    y = build.relu(f"{name}.relu1", y)
    shares = _shares(channels)
    kernels = [
        build.conv(f"{name}.conv2.kernel{number}", y, share, kernel, stride=stride, dilation=dilation)
        for number, (share, (kernel, dilation)) in enumerate(zip(shares, KERNELS, strict=True))
    ]
    y = build.norm(f"{name}.norm2", build.add(f"{name}.concat", Concat(), *kernels))
    y = build.relu(f"{name}.relu2", y)
    y = build.norm(f"{name}.norm3", build.conv(f"{name}.conv3", y, out, sources=shares))
    if stride > 1 or build.channels(x) != out:
        x = build.norm(f"{name}.skip.norm", build.conv(f"{name}.skip.conv", x, out, stride=stride))
    return build.relu(f"{name}.relu3", build.add(f"{name}.sum", Sum(), x, y))


def _shares(channels: int) -> tuple[int, ...]:
    """The outputs of every kernel: a quarter of the channels each, and a share of the remainder."""
    count = len(KERNELS)
    return tuple(channels * (number + 1) // count - channels * number // count for number in range(count))
