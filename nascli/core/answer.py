"""What a classifier makes of a batch: the loss that its weights descend, and how often it is right."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.return_types import topk

from nascli.core.nn.synced import synchronised
from nascli.distributed.ranks import Ranks

Batch = tuple[Tensor, Tensor]
"""Images [B, C, H, W] and labels [B]."""


def log_probabilities(logits: Tensor) -> tuple[Tensor, topk]:
    """Log-probabilities of all classes in float64, [images, classes], and the five largest of each image at most."""
    log_p = logits.double().log_softmax(dim=1)
    return log_p, log_p.topk(min(5, log_p.shape[1]), dim=1)


class Answer(NamedTuple):
    """objective: what the weights descend, the loss plus the auxiliary tower's share. All are scalars."""

    objective: Tensor
    loss: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class BatchParts:
    """A batch of so many images that is spread over ranks. synchronise: its batch norms see the whole of it."""

    ranks: Ranks
    images: int
    synchronise: bool = True


def answer(
    network: Callable[..., Any],
    batch: Batch,
    *choice: Any,
    auxiliary: float = 0.0,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    parts: BatchParts | None = None,
    **named: Any,
) -> Answer:
    """Mean cross-entropy and accuracy of `network(images, *choice, **named)`.

    parts: the images are this process's part of a batch. The objective is then its part of the whole one, so that
    gradients are to be added up over the ranks; loss and accuracy are those of the whole batch, without gradient.
    auxiliary: weight of the auxiliary tower's loss; with 0 the tower is not run.
    class_weights: [classes], of both losses, which are then weighted means: divided by the sum of the labels' weights.
    """
    images, labels = batch
    if parts is not None:
        return _of_all(network, batch, choice, auxiliary, label_smoothing, class_weights, parts, named)
    if auxiliary:
        logits, tower = network(images, *choice, with_auxiliary=True, **named)
    else:
        logits = network(images, *choice, **named)
    objective = loss = F.cross_entropy(logits, labels, class_weights, label_smoothing=label_smoothing)
    if auxiliary:
        objective = loss + auxiliary * F.cross_entropy(tower, labels, class_weights, label_smoothing=label_smoothing)
    return Answer(objective, loss, (logits.detach().argmax(dim=1) == labels).float().mean())


def _of_all(
    network: Callable[..., Any],
    batch: Batch,
    choice: tuple[Any, ...],
    auxiliary: float,
    label_smoothing: float,
    class_weights: Tensor | None,
    parts: BatchParts,
    named: dict[str, Any],
) -> Answer:
    """As `answer`, of a part of a batch."""
    labels = batch[1]
    ranks, own = parts.ranks, len(labels)
    share: Tensor | float = own / parts.images
    if class_weights is not None:
        weight = class_weights[labels].sum()
        share = weight / ranks.summed(weight, "losses")
    with synchronised(ranks, images=parts.images, own=own) if parts.synchronise else nullcontext():
        found = answer(
            network,
            batch,
            *choice,
            auxiliary=auxiliary,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
            **named,
        )
    mine = torch.stack((share * found.loss.detach(), own / parts.images * found.accuracy.to(found.loss.dtype)))
    loss, accuracy = ranks.summed(mine, "losses").unbind()
    return Answer(share * found.objective, loss, accuracy)
