"""Small images: all of them on the device, as uint8."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from nascli.data.augmentation import Augmentation
from nascli.data.feed import Request
from nascli.upload import upload


class ResidentFeed:
    """Answers requests from memory. pixels: uint8 [images, C, H, W], labels: int64 [images], both on the device."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        self.pixels = pixels
        self.labels = labels

    def read(
        self, requests: Iterable[Request], augmentation: Augmentation | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        assert augmentation is None or not (augmentation.resized_crop or augmentation.color_jitter), (
            "for large images only"
        )
        for request in requests:
            indices = upload(torch.from_numpy(request.chosen), self.pixels.device)
            yield self.pixels.index_select(0, indices), self.labels.index_select(0, indices)
