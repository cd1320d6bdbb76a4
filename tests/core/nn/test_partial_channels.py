"""The matrices that draw, put and let past channels, against indexing."""

import pytest
import torch
import torch.nn.functional as F

from nascli.core.nn.partial_channels import drawn_channels, first_channels, node_sum

LIKE = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize(("channels", "k"), [(4, 1), (6, 2), (12, 3), (12, 4)])
def test_first_channels_are_drawn_and_the_node_shuffled(channels, k):
    partial = first_channels(channels, k, LIKE)
    mixed = channels // k
    x = torch.arange(1.0, channels + 1, dtype=torch.float64)[None]
    assert (x @ partial.draw[0]).tolist() == [list(range(1, mixed + 1))]
    y = torch.arange(101.0, 101 + mixed, dtype=torch.float64)[None]
    node = y @ partial.put[0] + x @ partial.rest[0]
    concatenated = torch.cat((y, x[:, mixed:]), dim=1)
    assert torch.equal(node, F.channel_shuffle(concatenated[..., None, None], k)[..., 0, 0])


def test_drawn_channels_return_to_their_places():
    partial = drawn_channels(5, torch.tensor([[1, 4], [0, 2]]), LIKE)
    x = torch.arange(5.0, dtype=torch.float64)[None]
    y = torch.tensor([[70.0, 80.0]], dtype=torch.float64)
    assert (x @ partial.draw[1]).tolist() == [[0, 2]]
    assert (y @ partial.put[0] + x @ partial.rest[0]).tolist() == [[0, 70, 2, 3, 80]]
    assert (y @ partial.put[1] + x @ partial.rest[1]).tolist() == [[70, 1, 80, 3, 4]]


def test_node_sum_has_the_gradient_of_its_formula():
    partial = drawn_channels(6, torch.tensor([[1, 4], [0, 2], [3, 5]]), LIKE)
    put, rest = list(partial.put), list(partial.rest)
    draw = torch.Generator().manual_seed(0)
    shapes = [(3,), *[(7, 2)] * 3, *[(7, 6)] * 3]
    inputs = [torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes]

    def function(weights, *maps):
        return node_sum(weights, put, rest, list(maps[:3]), list(maps[3:]))

    triples = zip(inputs[1:4], put, strict=True), zip(inputs[0], inputs[4:], rest, strict=True)
    formula = sum(m @ u for m, u in triples[0]) + sum(w * x @ r for w, x, r in triples[1])
    torch.testing.assert_close(function(*inputs), formula)
    assert torch.autograd.gradcheck(function, inputs)
