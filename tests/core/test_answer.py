"""The loss that all methods and the training descend, against plain formulas."""

import pytest
import torch

from nascli.core.answer import answer

DRAW = torch.Generator().manual_seed(0)
LOGITS, TOWER = (torch.randn(6, 4, generator=DRAW, dtype=torch.float64) for _ in range(2))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
BATCH = torch.zeros(6, 1, 2, 2), LABELS


def network(images, choice="", *, masks=None, with_auxiliary=False):
    assert (choice, masks) == ("picks", "masks")
    return (LOGITS, TOWER) if with_auxiliary else LOGITS


def smoothed(logits, smoothing):
    """Mean over the batch of -sum_c q_c log p_c, where q spreads the smoothing over all four classes."""
    target = torch.full_like(logits, smoothing / 4)
    target[torch.arange(6), LABELS] += 1 - smoothing
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("auxiliary", [0.0, 0.4])
def test_the_objective_is_the_loss_and_the_towers_share_of_its_own(smoothing, auxiliary):
    found = answer(network, BATCH, "picks", auxiliary=auxiliary, label_smoothing=smoothing, masks="masks")
    torch.testing.assert_close(found.loss, smoothed(LOGITS, smoothing))
    torch.testing.assert_close(found.objective, found.loss + auxiliary * smoothed(TOWER, smoothing))
    assert float(found.accuracy) == pytest.approx(float((LOGITS.argmax(dim=1) == LABELS).double().mean()))
