"""How a detector sees a picture: squashed to a square, and in training a random view of it, by torchvision."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from nascli.data.scenes.scenes import Boxes
from nascli.data.workers import seeded_generator

Target = dict[str, Tensor]
"""As torchvision's detectors want it: "boxes", float32 [boxes, 4], corners; "labels", int64 [boxes], 0: background."""


@dataclass(frozen=True)
class Views:
    """Views of a square of `side` pixels. `augmentation`: "none", "ssdlite" or "ssd", as in torchvision's references.

    fill: a shade per channel, 0 to 255, around pictures that are zoomed out.
    """

    side: int
    augmentation: str
    flip: bool
    fill: Sequence[float]

    def plain(self, pixels: Tensor) -> Tensor:
        """A picture as evaluation sees it. uint8 [C, h, w] -> uint8 [C, side, side]"""
        squashed: Tensor = self._resize(pixels)
        return squashed

    def random(self, pixels: Tensor, boxes: Boxes, seed: int) -> tuple[Tensor, Target]:
        """A random view that is a function of the seed, with the boxes that are left in it. Crowds are left out."""
        known = boxes.only(~boxes.crowd)
        corners = tv_tensors.BoundingBoxes(
            torch.from_numpy(known.corners),
            format=tv_tensors.BoundingBoxFormat.XYXY,
            canvas_size=(pixels.shape[1], pixels.shape[2]),
        )
        target = {"boxes": corners, "labels": torch.from_numpy(known.labels) + 1}
        with seeded_generator(seed):
            image, seen = self._random(tv_tensors.Image(pixels), target)
        return image.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in seen.items()}

    @cached_property
    def _resize(self) -> Any:
        return v2.Resize((self.side, self.side), antialias=True)

    @cached_property
    def _random(self) -> Any:
        steps: list[Any] = []
        if self.augmentation == "ssd":
            steps += [v2.RandomPhotometricDistort(), v2.RandomZoomOut(fill=list(self.fill))]
        if self.augmentation in ("ssd", "ssdlite"):
            steps.append(v2.RandomIoUCrop())
        if self.flip and self.augmentation != "none":
            steps.append(v2.RandomHorizontalFlip())
        return v2.Compose([*steps, self._resize, v2.SanitizeBoundingBoxes()])
