"""An SSD on a backbone as sizes: the maps that boxes are found on, and what it costs to compute them.

SSDLite: Sandler et al., CVPR 2018, Section 6.2. Behind the backbone come smaller maps, each from the one before it by a
1x1 convolution, a depthwise 3x3 one of stride 2, and a 1x1 one. On every map a depthwise 3x3 and a 1x1 convolution
answer with the classes, and two more with the boxes, of each default box. `nascli.core.nn.detector` builds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nascli.graphs.graph import Shape, Size
from nascli.graphs.taps import Backbone

MOST_EXTRAS = 4
"""Smaller maps behind the backbone, at most: at 320 pixels of 5, 3, 2 and 1 pixels a side."""

EXTRA_SHARES = (1, 2, 2, 4)
"""SSDLite's channels of these maps are 512, 256, 256 and 128: the first's, divided by these."""

ASPECT_RATIOS = (2, 3)
"""Shapes of default boxes beside squares, each upright and lying, as SSDLite has them on every map."""

DEFAULT_BOXES = 2 + 2 * len(ASPECT_RATIOS)
"""Default boxes at each place of a map: two squares, and two of each other shape."""


@dataclass(frozen=True)
class DetectorLayout:
    """A detector of `classes` classes, without the background. `extra_channels`: of the first map behind the backbone.

    Sizes leave out the biases' additions, as everywhere (see `Size`).
    """

    backbone: Backbone
    classes: int
    extra_channels: int

    @cached_property
    def tapped(self) -> tuple[Shape, ...]:
        """The maps of the backbone that boxes are found on."""
        return tuple(self.backbone.graph.shapes[name] for name in self.backbone.taps)

    @cached_property
    def extras(self) -> tuple[Shape, ...]:
        """The smaller maps behind them, down to a single pixel if MOST_EXTRAS allow."""
        found: list[Shape] = []
        side = self.tapped[-1].side
        for share in EXTRA_SHARES[:MOST_EXTRAS]:
            if side == 1:
                break
            side = -(-side // 2)
            found.append(Shape(max(2, self.extra_channels // share), side))
        return tuple(found)

    @property
    def maps(self) -> tuple[Shape, ...]:
        """All maps that boxes are found on."""
        return self.tapped + self.extras

    @property
    def default_boxes(self) -> int:
        """How many boxes the detector answers with."""
        return DEFAULT_BOXES * sum(shape.side**2 for shape in self.maps)

    @cached_property
    def size(self) -> Size:
        """Of the whole detector."""
        parts = [self.backbone.graph.size, *self._extra_sizes(), *self._head_sizes()]
        return Size(sum(part.parameters for part in parts), sum(part.multiply_adds for part in parts))

    def facts(self) -> dict[str, Any]:
        """Sizes of the detector, of its backbone and of the maps that boxes are found on, as JSON."""
        body = self.backbone.graph.size
        return {
            "parameters": self.size.parameters,
            "multiply_adds": self.size.multiply_adds,
            "backbone": {"parameters": body.parameters, "multiply_adds": body.multiply_adds},
            "maps": [{"side": one.side, "channels": one.channels} for one in self.maps],
            "default_boxes": self.default_boxes,
        }

    def _extra_sizes(self) -> Iterator[Size]:
        before = self.tapped[-1]
        for shape in self.extras:
            inner = shape.channels // 2
            yield _conv(before.channels, inner, before.side)
            yield _depthwise(inner, shape.side, reads=before.side)
            yield _conv(inner, shape.channels, shape.side)
            before = shape

    def _head_sizes(self) -> Iterator[Size]:
        for shape in self.maps:
            for outputs in (self.classes + 1, 4):
                yield _depthwise(shape.channels, shape.side, reads=shape.side)
                out = DEFAULT_BOXES * outputs
                weights = shape.channels * out
                yield Size(weights + out, weights * shape.side**2)


def _conv(channels: int, out: int, side: int) -> Size:
    """A 1x1 convolution without bias, and its batch norm."""
    return Size(channels * out + 2 * out, channels * out * side**2)


def _depthwise(channels: int, side: int, *, reads: int) -> Size:
    """A depthwise 3x3 convolution to maps of `side`, and its batch norm; `reads`: the side of its input."""
    # On a map of one pixel all taps but the middle see nothing but padding, as in `Graph.sizes`.
    taps = min(3, 2 * reads - 1) ** 2
    return Size(channels * 9 + 2 * channels, channels * taps * side**2)
