"""What a figure shows, for tests that look at a picture before it becomes bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text


def made(width: float, height: float, draw, _form: str) -> Figure:
    """Replaces `canvas.picture` and returns the figure itself."""
    figure = Figure(figsize=(width / 96, height / 96), dpi=96)
    draw(figure)
    return figure


@contextmanager
def figures_of(draw: Callable[..., Figure], page: ModuleType) -> Iterator[Callable[[Any], Figure]]:
    """Within the block, gives the figure itself of what `draw` draws on that page, drawn once for each object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "picture", made)
        found: dict[int, tuple[object, Figure]] = {}

        def figure(drawn: object) -> Figure:
            if id(drawn) not in found:
                found[id(drawn)] = drawn, draw(drawn, "svg", None)
            return found[id(drawn)][1]

        yield figure


def texts(axes: Axes) -> list[Text]:
    """All texts that are written directly on the axes."""
    return [text for text in axes.texts if text.get_text()]


def rectangles(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if type(patch) is Rectangle]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts (titles, ticks and legends included) that overlap each other or reach beyond the page."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    if len(figure.axes) > 1:
        figure.draw_without_rendering()  # ticks and legends get their places only now
    hidden = {
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not axes.axison or not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in hidden]
    boxes = np.array([text.get_window_extent(renderer).extents for text in shown])
    names = [text.get_text() for text in shown]
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    common = np.minimum(high, high.swapaxes(0, 1)) - np.maximum(low, low.swapaxes(0, 1))
    touching = np.triu((common > 0.5).all(axis=2), 1)
    found = [(names[i], names[j]) for i, j in np.argwhere(touching)]
    page = figure.bbox
    beyond = (boxes[:, :2] < -0.5).any(axis=1) | (boxes[:, 2] > page.width + 0.5) | (boxes[:, 3] > page.height + 0.5)
    return found + [(names[i], "the page's edge") for i in np.flatnonzero(beyond)]
