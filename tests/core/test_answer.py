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


def smoothed(logits, smoothing, weights):
    """-sum_c w_c q_c log p_c, where q spreads the smoothing over all four classes; the mean by the labels' weights."""
    target = torch.full_like(logits, smoothing / 4)
    target[torch.arange(6), LABELS] += 1 - smoothing
    return -(weights * target * logits.log_softmax(dim=1)).sum() / weights[LABELS].sum()


@pytest.mark.parametrize("weights", [None, (0.5, 3.0, 1.0, 0.25)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("auxiliary", [0.0, 0.4])
def test_the_objective_is_the_loss_and_the_towers_share_of_its_own(smoothing, auxiliary, weights):
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    settings = {"auxiliary": auxiliary, "label_smoothing": smoothing, "class_weights": given}
    found = answer(network, BATCH, "picks", **settings, masks="masks")
    each = torch.ones(4, dtype=torch.float64) if given is None else given
    torch.testing.assert_close(found.loss, smoothed(LOGITS, smoothing, each))
    torch.testing.assert_close(found.objective, found.loss + auxiliary * smoothed(TOWER, smoothing, each))
    assert float(found.accuracy) == pytest.approx(float((LOGITS.argmax(dim=1) == LABELS).double().mean()))
