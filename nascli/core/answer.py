"""What a classifier makes of a batch: the loss that its weights descend, and how often it is right."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor
from torch.return_types import topk

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


def answer(
    network: Callable[..., Any],
    batch: Batch,
    *choice: Any,
    auxiliary: float = 0.0,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    **named: Any,
) -> Answer:
    """Mean cross-entropy and accuracy of `network(images, *choice, **named)`.

    auxiliary: weight of the auxiliary tower's loss; with 0 the tower is not run.
    class_weights: [classes], of both losses, which are then weighted means: divided by the sum of the labels' weights.
    """
    images, labels = batch
    if auxiliary:
        logits, tower = network(images, *choice, with_auxiliary=True, **named)
    else:
        logits = network(images, *choice, **named)
    objective = loss = F.cross_entropy(logits, labels, class_weights, label_smoothing=label_smoothing)
    if auxiliary:
        objective = loss + auxiliary * F.cross_entropy(tower, labels, class_weights, label_smoothing=label_smoothing)
    return Answer(objective, loss, (logits.detach().argmax(dim=1) == labels).float().mean())
