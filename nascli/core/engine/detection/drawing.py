"""Pictures with the boxes that were found in them, by torchvision."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torchvision.utils import draw_bounding_boxes

from nascli.artifacts.detector import DetectorFile
from nascli.core.engine.detection.predict import PictureBoxes
from nascli.data.decoding import decode
from nascli.data.format import format_of

READABLE = 384
"""Smaller pictures are enlarged to at least this side, in pixels, so that the names of the classes can be read."""

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf", "#e377c2", "#bcbd22", "#8c564b", "#7f7f7f")
"""One for each class, in turn: the colours of matplotlib."""


def drawn(file: DetectorFile, found: PictureBoxes) -> bytes:
    """A picture with its boxes, as a PNG. Raises UnreadableImage where it has become unreadable."""
    pixels = decode(Path(found.path), 3, format_of(file.data).background)
    factor = max(1, -(-READABLE // max(pixels.shape[1:])))
    pixels = pixels.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    if found.classes:
        corners = torch.tensor(found.corners).reshape(-1, 4) * factor
        names = [f"{name} {score:.2f}" for name, score in zip(found.classes, found.scores, strict=True)]
        colours = [COLOURS[file.data.classes.index(name) % len(COLOURS)] for name in found.classes]
        side = max(pixels.shape[1:])
        pixels = draw_bounding_boxes(
            pixels,
            corners,
            names,
            colours,
            width=max(2, side // 250),
            font=str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"),
            font_size=max(12, side // 30),
            label_colors=["white"] * len(names),
            fill_labels=True,
        )
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())).save(stream, "PNG", optimize=True)
    return stream.getvalue()
