"""Comparison of an exported network with the model that it was made from."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nascli.errors import NascliError

TOLERANCE = 1e-4
"""How far a logit may be from the model's; for logits above 1, relative to their size."""

Answers = Callable[[Tensor], Any]
"""Images [B, C, H, W] -> logits [B, classes]."""


def largest_difference(exported: Answers, expected: Answers, images: Tensor, what: str) -> float:
    """The largest difference of any logit, in two batches, of which the first has one image.

    Raises NascliError, with `what` for the exported network, for differences beyond the tolerance.
    """
    largest = 0.0
    for batch in (images[:1], images[1:]) if len(images) > 1 else (images,):
        wanted = expected(batch)
        found = torch.as_tensor(exported(batch))
        if found.shape != wanted.shape:
            raise NascliError(
                f"{what} puts out {list(found.shape)} instead of {list(wanted.shape)}; nothing is written"
            )
        difference = (found - wanted).abs()
        if not bool((difference <= TOLERANCE * wanted.abs().clamp(min=1)).all()):
            worst = float(difference.max())
            raise NascliError(f"{what} differs from the model by {worst:.2g} in a logit; nothing is written")
        largest = max(largest, float(difference.max()))
    return largest
