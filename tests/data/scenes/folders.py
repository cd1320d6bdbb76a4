"""Folders of small pictures with boxes in COCO's format."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Document = dict[str, Any]

SIDE = 32


def document(count: int = 4, first: int = 0) -> Document:
    """`count` pictures of 32 x 32 pixels with a box each, in turn of classes "square" and "bar", the last without."""
    images = [{"id": first + k, "file_name": f"{first + k}.png", "width": SIDE, "height": SIDE} for k in range(count)]
    annotations = [
        {
            "id": 100 + k,
            "image_id": first + k,
            "category_id": 1 + k % 2 * 6,
            "bbox": [4 + k % 8, 6, 12, 12 - 6 * (k % 2)],
        }
        for k in range(count - 1)
    ]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "bar"}, {"id": 1, "name": "square"}],
    }


def write(file: Path, folder: Path, content: Document) -> None:
    """The file, and its pictures: grey noise with white boxes."""
    folder.mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for image in content["images"]:
        pixels = random.randint(0, 80, (SIDE, SIDE, 3)).astype(np.uint8)
        for row in content["annotations"]:
            if row["image_id"] == image["id"]:
                left, top, width, height = (int(value) for value in row["bbox"])
                pixels[max(0, top) : top + height, max(0, left) : left + width] = 255
        Image.fromarray(pixels).save(folder / image["file_name"])
    file.write_text(json.dumps(content))


def simple(root: Path, train: int = 4, test: int = 3) -> Path:
    """train/ with train.json beside it, test/ with its file in it."""
    write(root / "train.json", root / "train", document(train))
    write(root / "test" / "_annotations.coco.json", root / "test", document(test, first=50))
    return root


def changed(root: Path, change: Callable[[Document], Any], file: str = "train.json") -> Path:
    """The folder after a change of its training annotations."""
    content = copy.deepcopy(json.loads((root / file).read_text()))
    change(content)
    (root / file).write_text(json.dumps(content))
    return root
