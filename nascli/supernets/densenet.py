"""`densenet121`: DenseNet-121 (SupNet-D-121).

Huang et al., "Densely connected convolutional networks", CVPR 2017, Table 1; PGNAS, Section 3.2 and Table 8.
"""

from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, Concat, MaxPool

BOTTLENECK = 4
"""Outputs of a layer's 1x1 convolution as a multiple of the growth rate."""


def densenet(width: int, stages: tuple[int, ...], classes: int, image_channels: int, image_size: int) -> Graph:
    """`stages[i]` layers, each of which adds `width` channels (the growth rate) to all that its stage has so far.

    Between two stages a transition halves the channels and the map. The published network has width 32 and stages
    (6, 12, 24, 16). Raises ValueError for images too small.
    """
    build = Builder(image_channels, image_size)
    x = build.unmasked_conv("stem.conv", build.image, 2 * width, 7, stride=2)
    x = build.relu("stem.relu", build.norm("stem.norm", x))
    parts = [build.add("stem.pool", MaxPool(3, 2, 1), x)]
    for stage, layers in enumerate(stages):
        if stage > 0:
            parts = [_transition(build, f"stage{stage}.transition", parts)]
        for layer in range(layers):
            parts.append(_layer(build, f"stage{stage}.layer{layer}", parts, width))
    build.classify(build.relu("relu", build.norm("norm", _joined(build, "concat", parts))), classes)
    return build.graph()


def _layer(build: Builder, name: str, parts: list[str], growth: int) -> str:
    """BN, ReLU, 1x1, BN, ReLU, 3x3, on the stage's input and what its earlier layers put out."""
    y = build.relu(f"{name}.relu1", build.norm(f"{name}.norm1", _joined(build, f"{name}.concat", parts)))
    y = build.conv(f"{name}.conv1", y, BOTTLENECK * growth, sources=_sources(build, parts))
    y = build.relu(f"{name}.relu2", build.norm(f"{name}.norm2", y))
    return build.conv(f"{name}.conv2", y, growth, 3)


def _transition(build: Builder, name: str, parts: list[str]) -> str:
    """BN, ReLU, 1x1 to half the channels, 2x2 average pooling, which leaves out the last row and column of odd maps."""
    x = _joined(build, f"{name}.concat", parts)
    y = build.relu(f"{name}.relu", build.norm(f"{name}.norm", x))
    y = build.conv(f"{name}.conv", y, build.channels(x) // 2, sources=_sources(build, parts))
    return build.add(f"{name}.pool", AvgPool(2, 2, 0), y)


def _joined(build: Builder, name: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else build.add(name, Concat(), *parts)


def _sources(build: Builder, parts: list[str]) -> tuple[int, ...]:
    return tuple(build.channels(part) for part in parts)
