"""What a network must know about its images."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nascli.artifacts.provenance import DataDescription
from nascli.frozen import Frozen

Fit = Literal["crop", "pad", "squash"]
"""How a picture becomes a square: its centre is cut out, borders are added, or it is squashed."""

Finite = Annotated[float, Field(allow_inf_nan=False)]

WHITE = "white"


class DataInfo(Frozen):
    """A data set as a network sees it.

    `image_size` is the side in pixels; `mean` and `std` are per channel, of pixels scaled to [0, 1], over the training
    images; `fingerprint` changes when any image or label does. `background` is the colour behind transparent parts
    and of the borders that `fit` may add.
    """

    dataset: str
    classes: tuple[str, ...] = Field(min_length=1)
    channels: int = Field(ge=1, le=64)
    image_size: int = Field(ge=1, le=4096)
    mean: tuple[Finite, ...]
    std: tuple[Finite, ...]
    train_images: int = Field(ge=0)
    test_images: int = Field(ge=0)
    fingerprint: str
    fit: Fit = "crop"
    background: str = WHITE

    @model_validator(mode="after")
    def _statistics_per_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} deviations for {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError(f"a standard deviation is {min(self.std):g}; it must be positive")
        return self

    def in_words(self) -> str:
        """The line that is printed before a run starts."""
        side = f"{self.image_size}x{self.image_size}"
        return f"{self.dataset}: {self.train_images} images of {side} pixels, {len(self.classes)} classes"

    def description(self) -> DataDescription:
        """The part that a provenance records."""
        return DataDescription(
            dataset=self.dataset, fingerprint=self.fingerprint, train_images=self.train_images, classes=self.classes
        )
