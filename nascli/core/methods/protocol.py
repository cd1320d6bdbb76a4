"""What the engine asks of a search method, and what it hands to one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor, nn

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.distribution import Distribution, DistributionFile
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits
from nascli.core.optimization import Schedule
from nascli.distributed.share import WHOLE, Share
from nascli.settings.groups import CellNetwork
from nascli.spaces.network_settings import DataShape, NetworkSettings


@dataclass(frozen=True)
class Plan:
    """What a method is told besides its own settings.

    seed: for all that the method draws. split_seed: for the split of the images, if it is another; None: the same.
    limits: those within which cells are drawn. batch_size: of the streams; only several processes need it.
    """

    method: str
    space: str
    data: DataInfo
    epochs: int
    steps_per_epoch: int
    seed: int
    split_seed: int | None = None
    limits: CellLimits = NO_LIMITS
    batch_size: int = 0

    @property
    def shape(self) -> DataShape:
        """The shape of a network's input and output for this data."""
        return DataShape(
            classes=len(self.data.classes), image_channels=self.data.channels, image_size=self.data.image_size
        )

    def network_settings(self, size: CellNetwork) -> NetworkSettings:
        """The size of a network of cells for this data, without an auxiliary tower."""
        return NetworkSettings(**size.size, **self.shape.model_dump())


class Stream(Protocol):
    """An endless source of batches. `position`, the number of batches given so far, is its whole state."""

    position: int
    batch_size: int

    def next(self, share: Share = WHOLE) -> tuple[Tensor, Tensor]:
        """Images [batch, channels, side, side] float32, normalised; labels [batch] int64. share: only its rows."""

    def once(self, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        """All images of the stream once, not augmented, in batches; always the same. Leaves `position` alone.

        share: its batches alone.
        """


class SearchMethod(Protocol):
    """A search method owns its network, its optimisers and its distribution.

    A class of this shape is built as `Method(plan, runtime, settings)`, with the settings that its registry row names.
    """

    network: nn.Module
    steps_done: int
    epochs: int
    """Passes over the training images that the steps take: those of the plan, fewer where ranks share trials."""
    schedule: Schedule
    """The weights' learning rate in each step; of a trial, where several are trained one after the other."""
    notices: tuple[str, ...]
    """What the user should know of these settings before the search starts."""

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """One step of the search. Returns scalars: losses, accuracies."""

    def logits(self, images: Tensor) -> Tensor:
        """The network's logits under the present distribution. [B, C, H, W] -> [B, classes]."""

    def learning_rate(self) -> float:
        """The weights' learning rate in the last step."""

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """Numbers that say how the distribution is doing, at the start and after each epoch: entropies, the share of
        skip connections, the accuracy of the mode on the images of a stream (`once`).
        """

    def distribution(self) -> Distribution:
        """The architecture distribution as it is now, detached."""

    def weights(self) -> Mapping[str, NDArray[Any]] | None:
        """The weights that all cells share, with which drawn cells can be scored; None where there are none."""

    def start_from(self, start: DistributionFile) -> None:
        """Start from the architecture that another search has learnt. Raises UsageError for one of another space."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed search needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
