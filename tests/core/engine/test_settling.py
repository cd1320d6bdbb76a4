from torch import nn

from nascli.core.engine.settling import few_steps, settled_notice


def test_few_steps_are_more_where_a_step_contributes_less():
    """0.9^100 of the initial statistics are left, or 0.97^333 = 0.00004; after 100 steps it would be 5 %."""
    assert few_steps(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))) == 100
    assert few_steps(nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1, momentum=0.03))) == 333
    assert 1 < 0.97**333 / 0.9**100 < 2
    assert few_steps(nn.Linear(1, 1)) == 0


def test_what_is_told():
    assert settled_notice(1, "model", watched=False) == (
        "after 1 step the running statistics of batch norms lag behind the weights: the model's are those of one pass "
        "over the training images"
    )
    assert settled_notice(5, "detector", watched=True).startswith("after 5 steps the ")
    assert settled_notice(5, "detector", watched=True).endswith("images; so are its validation figures")
