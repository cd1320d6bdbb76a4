"""Scenes that are made, not found: the handwritten digits of scikit-learn, enlarged and pasted on canvases."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nascli.config import SceneConfig
from nascli.data.scenes.scenes import Boxes, Scenes, SceneSource
from nascli.data.splits import hold_out

SIDE = 128
SCENES = {"train": 1000, "test": 300}
MOST_DIGITS = 5
LEAST_SIDE, LARGEST_SIDE = 16, 100
"""Sides of a pasted digit's square, in pixels; their logarithm is uniform."""

DARKEST_DIGIT = 150
BRIGHTEST_CANVAS = 60
NOISE = 6.0
"""Standard deviation of the noise, in shades of 256."""

INK = 48
"""Shades from which on a pixel of an enlarged digit counts as part of it, for its box."""

TRIES = 20
"""Places that are tried for a digit, which then is left out: boxes do not overlap."""


def digits_scenes(config: SceneConfig, *, training: bool) -> SceneSource:
    """1,000 grey scenes to train on and 300 to test on, 128 pixels a side, with one to five digits each.

    The digits (see `nascli.data.sources.digits`) of the test scenes are in no training scene. The scenes are the same
    for every seed.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    digits = np.rint(data.images * (255 / 16)).astype(np.uint8)
    classes = tuple(str(label) for label in range(10))
    split = hold_out(data.target.astype(np.int64), [f"{index:04d}" for index in range(len(digits))], classes)
    drawn = {}
    for seed, (part, chosen) in enumerate(zip(SCENES, split, strict=True)):
        if training or part == "test":
            drawn[part] = _scenes(digits[chosen], data.target[chosen], SCENES[part], classes, seed)
    train = drawn.get("train")
    return SceneSource(
        train=None if train is None else train[0],
        test=drawn["test"][0],
        validation=None,
        channels=1,
        fingerprint="" if train is None else train[1],
    )


@dataclass(frozen=True)
class _Canvases:
    """Reads from memory. pixels: uint8 [scenes, side, side]."""

    pixels: np.ndarray

    def __call__(self, index: int) -> Tensor:
        return torch.from_numpy(self.pixels[index][None])


def _scenes(
    digits: np.ndarray, labels: np.ndarray, count: int, classes: tuple[str, ...], seed: int
) -> tuple[Scenes, str]:
    """Scenes with these digits, and the digest of all that is in them. digits: uint8 [digits, 8, 8]."""
    # numpy promises never to change the stream of RandomState, but not that of Generator.
    random = np.random.RandomState(seed)
    drawn = [_scene(digits, labels, random) for _ in range(count)]
    pixels = np.stack([canvas for canvas, _ in drawn])
    boxes = [found for _, found in drawn]
    digest = hashlib.sha256(pixels.tobytes())
    for one in boxes:
        digest.update(one.corners.tobytes() + one.labels.tobytes())
    names = [f"scene {number}" for number in range(count)]
    return Scenes(names, [(SIDE, SIDE)] * count, boxes, classes, _Canvases(pixels)), digest.hexdigest()


def _scene(digits: np.ndarray, labels: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, Boxes]:
    """A canvas, uint8 [side, side], and the boxes on it."""
    canvas = np.full((SIDE, SIDE), random.uniform(0, BRIGHTEST_CANVAS))
    corners: list[list[int]] = []
    found: list[int] = []
    for _ in range(random.randint(1, MOST_DIGITS + 1)):
        which = random.randint(len(digits))
        side = round(float(np.exp(random.uniform(np.log(LEAST_SIDE), np.log(LARGEST_SIDE)))))
        shade = random.uniform(DARKEST_DIGIT, 255) / 255
        digit = np.asarray(Image.fromarray(digits[which]).resize((side, side), Image.Resampling.BICUBIC))
        places = random.randint(0, SIDE - side + 1, size=(TRIES, 2))
        rows, columns = (np.flatnonzero((digit >= INK).any(axis)) for axis in (1, 0))
        for top, left in places.tolist():
            box = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
            if not any(_overlap(box, other) for other in corners):
                window = canvas[top : top + side, left : left + side]
                np.maximum(window, digit * shade, out=window)
                corners.append(box)
                found.append(int(labels[which]))
                break
    noisy = np.clip(np.rint(canvas + NOISE * random.standard_normal(canvas.shape)), 0, 255).astype(np.uint8)
    boxes = np.array(corners, np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]).astype(np.float64) * (boxes[:, 3] - boxes[:, 1])
    return noisy, Boxes(boxes, np.array(found, np.int64), np.zeros(len(found), bool), areas)


def _overlap(one: list[int], other: list[int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
