"""A detector that learns, as the loop sees it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision.models.detection.ssd import SSD

from nascli.config import DetectConfig
from nascli.core.engine.descent import training_schedule, training_sgd
from nascli.core.engine.detection.average_precision import average_precisions
from nascli.core.engine.detection.found import find
from nascli.core.runtime import Runtime
from nascli.data.scenes import SceneData, Scenes


class DetectJob:
    """A detector, its optimiser and its pictures."""

    def __init__(self, network: SSD, config: DetectConfig, data: SceneData, runtime: Runtime) -> None:
        self.device = runtime.device
        self._data, self._runtime = data, runtime
        self._stream = data.stream(config.batch_size, config.augmentation)
        self.batch_size = self._stream.batch_size
        self.steps_per_epoch: int = self._stream.batches_per_pass
        self.network = runtime.place(network)
        self.schedule = training_schedule(config, self.steps_per_epoch)
        self._weights = training_sgd(self.network.parameters(), config, runtime)
        self.epochs = config.epochs
        self.steps_done = 0

    def step(self) -> Mapping[str, Tensor]:
        """One SGD step on SSD's loss: of the classes and of the places of boxes, summed (Liu et al., Eq. 1, α = 1)."""
        images, targets = self._stream.next()
        with self._runtime.autocast():
            losses = self.network(list(images), targets)
            loss = losses["classification"] + losses["bbox_regression"]
        norm = self._weights.update(loss, self.schedule(self.steps_done))
        self.steps_done += 1
        return {
            "detection_loss": loss.detach(),
            "class_loss": losses["classification"].detach(),
            "box_loss": losses["bbox_regression"].detach(),
            "gradient_norm": norm,
        }

    def learning_rate(self) -> float:
        return self.schedule(max(0, self.steps_done - 1))

    def start_metrics(self) -> Mapping[str, Any]:
        return {}

    def epoch_metrics(self) -> Mapping[str, Any]:
        """The average precision on pictures for watching the training, where there are any."""
        if not self._data.has_validation:
            return {}
        ap = average_precisions(self._data.validation, self._found(self._data.validation)).ap
        return {} if ap is None else {"validation_ap": ap}

    def _found(self, scenes: Scenes) -> list[Any]:
        batches = self._data.batches(scenes, self.batch_size)
        sized = ((images, [scenes.sizes[k] for k in numbers]) for images, numbers in batches)
        return list(find(self.network, sized, self._runtime))

    def settle(self) -> None:
        """Give batch norms the statistics of the training pictures, not augmented, under the present weights."""
        with torch.no_grad(), self._runtime.autocast():
            update_bn(self._stream.once(), _Forward(self.network))

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "optimizer": self._weights.state_dict(),
            "stream": self._stream.position,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        self._weights.load_state_dict(state["optimizer"])
        self._stream.position = state["stream"]


class _Forward(nn.Module):
    """All layers of a detector on images [B, C, side, side], without a loss or boxes."""

    def __init__(self, network: SSD) -> None:
        super().__init__()
        self._network = network

    def forward(self, images: Tensor) -> None:
        seen, _ = self._network.transform(list(images))
        self._network.head(list(self._network.backbone(seen.tensors).values()))
