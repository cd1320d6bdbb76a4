"""What a program must know to feed an exported network, as JSON."""

from typing import Any

from nascli import __version__
from nascli.artifacts.load import LoadedModel
from nascli.core.engine.export.normalised import Pixels
from nascli.data.format import format_of
from nascli.data.resizing import evaluation_side

FILE = "nascli.json"


def metadata(model: LoadedModel, pixels: Pixels) -> dict[str, Any]:
    """The facts about an exported network, by name.

    `resize` is the shorter side, in pixels, to which a picture is resized before its centre is cut out, where `fit` is
    "crop"; `largest` is the side at which larger pictures are read before that, None: at their own. `mean` and `std`
    are inside the network already.
    """
    data = model.value.data
    sizing = format_of(data)
    return {
        "nascli": __version__,
        "model_sha256": model.sha256,
        "classes": list(data.classes),
        "input": pixels,
        "range": [0, 255] if pixels == "uint8" else [0.0, 1.0],
        "shape": ["batch", data.channels, data.image_size, data.image_size],
        "colour": {1: "grey", 3: "RGB"}.get(data.channels, f"{data.channels} channels"),
        "image_size": data.image_size,
        "resize": data.image_size if sizing.resident else evaluation_side(data.image_size),
        "largest": None if sizing.resident else sizing.most,
        "fit": data.fit,
        "background": data.background,
        "mean": list(data.mean),
        "std": list(data.std),
        "output": "logits",
    }
