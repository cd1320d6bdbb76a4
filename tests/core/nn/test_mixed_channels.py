"""Which channels are mixed, and where they go."""

import torch

from nascli.core.nn.aten import channels_last, rows
from nascli.core.nn.mixed_channels import Channels, DrawnChannels, FirstChannels

STATE = channels_last(torch.arange(2 * 8 * 3 * 3, dtype=torch.float64).view(2, 8, 3, 3))


def check_transposes(channels: Channels, targets: int) -> None:
    """The gradient of each step is its transpose."""
    draw = torch.Generator().manual_seed(0)
    taken = channels.take(STATE)
    mixed = torch.randn(18, targets * 2, generator=draw, dtype=torch.float64)
    for_total = torch.randn(18, targets * 8, generator=draw, dtype=torch.float64)
    total, d_state = torch.zeros_like(for_total), torch.zeros_like(rows(STATE))
    channels.put(total, mixed)
    again = channels.put_gradient(for_total, 3).unflatten(1, (3, -1))
    assert torch.equal(again[:, 0], again[:, 2])
    torch.testing.assert_close((total * for_total).sum(), (mixed * again[:, 1]).sum())
    for_taken = torch.randn(taken.shape, generator=draw, dtype=torch.float64)
    channels.add_taken(d_state, rows(for_taken))
    torch.testing.assert_close((taken * for_taken).sum(), (rows(STATE) * d_state).sum())


def test_the_first_channels_are_taken_and_the_node_is_shuffled() -> None:
    channels = FirstChannels(2, 4)
    assert torch.equal(channels.take(STATE), STATE[:, :2])
    total = torch.zeros(1, 16, dtype=torch.float64)
    channels.put(total, torch.tensor([[1.0, 2, 3, 4]], dtype=torch.float64))
    assert total[0].nonzero().flatten().tolist() == [0, 4, 8, 12]
    assert total[0, ::4].tolist() == [1, 2, 3, 4]
    check_transposes(channels, targets=2)


def test_drawn_channels_return_to_their_places() -> None:
    drawn = torch.tensor([[1, 5], [0, 7]])
    channels = DrawnChannels(drawn, 8)
    assert torch.equal(channels.take(STATE), STATE[:, [1, 5, 0, 7]])
    total = torch.zeros(1, 16, dtype=torch.float64)
    channels.put(total, torch.tensor([[1.0, 2, 3, 4]], dtype=torch.float64))
    assert total[0].nonzero().flatten().tolist() == [1, 5, 8, 15]
    check_transposes(channels, targets=2)
