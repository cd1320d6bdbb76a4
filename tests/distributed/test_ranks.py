"""What ranks exchange, as far as it takes no other process: buckets, digests, a rank alone, who differs."""

from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch

from nascli.distributed import ranks as module
from nascli.distributed.ranks import ALONE, Ranks, digest, joined, world
from nascli.errors import NascliError


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "BUCKET_BYTES", 16)


def sizes(*tensors):
    return [[tensor.numel() for tensor in bucket] for bucket in module._buckets(tensors)]


def test_a_bucket_holds_neighbours_of_one_type_up_to_its_size(small):
    single = [torch.zeros(count) for count in (1, 3, 1, 4, 5, 1)]
    assert sizes(*single) == [[1, 3], [1], [4], [5], [1]]
    assert sizes(torch.zeros(1), torch.zeros(1).double(), torch.zeros(1)) == [[1], [1], [1]]
    assert sizes() == []
    assert sizes(torch.zeros(0), torch.zeros(2)) == [[0, 2]]


def test_the_parts_of_a_flat_sum_go_back_to_their_tensors(small, monkeypatch):
    """A sum over three equal ranks is three times what one has, also in a tensor whose memory is not in order."""
    monkeypatch.setattr(Ranks, "_reduce", lambda self, flat, purpose: flat.mul_(3))
    tensors = [torch.arange(6.0).view(2, 3).t(), torch.ones(2, requires_grad=True), torch.tensor(2.0).double()]
    expected = [3 * tensor.detach().clone() for tensor in tensors]
    Ranks(0, 3).sum_(tensors, "gradients")
    assert all(torch.equal(*pair) for pair in zip(tensors, expected, strict=True))


def test_a_digest_depends_on_names_order_and_every_bit():
    one, two = torch.arange(4.0).view(2, 2), torch.tensor([0.0])
    known = digest({"a": one, "b": two})
    assert digest({"a": one.clone().t().contiguous().t(), "b": two}) == known
    others = [
        {"a": one, "c": two},
        OrderedDict([("b", two), ("a", one)]),
        {"a": one, "b": -two},  # minus zero
        {"a": one.double(), "b": two},
        {"a": one.nextafter(torch.tensor(9.0)), "b": two},
    ]
    assert len({digest(other) for other in others} | {known}) == 6


def test_alone_nothing_is_exchanged():
    tensor = torch.ones(3)
    ALONE.sum_([tensor], "x")
    ALONE.check_alike({"a": tensor}, "weights")
    ALONE.meet()
    assert (ALONE.any(True), ALONE.any(False)) == (True, False)
    assert ALONE.gathered(5, "x") == [5]
    assert (ALONE.from_first(lambda: "x"), ALONE.bytes_from_first(b"x", "y")) == ("x", b"x")
    assert torch.equal(ALONE.summed(tensor, "x"), torch.ones(3))
    assert not ALONE.sent


def test_the_world_is_that_of_the_innermost_block():
    with joined(Ranks(1, 3)):
        with joined(Ranks(2, 4)):
            assert world().rank == 2
        assert world().rank == 1
    assert world() is ALONE


@dataclass(frozen=True)
class _Said(Ranks):
    """Ranks that say what they are told to."""

    said: tuple[str, ...] = ()

    def gathered(self, value, purpose):
        return list(self.said)


def test_the_ranks_that_differ_are_named():
    _Said(0, 3, said=("a", "a", "a")).check_alike({}, "weights")
    told = {
        "aba": "rank 1 of 3 differs from the others",
        "abcaa": "ranks 1, 2 of 5 differ from the others",
        "ab": "ranks 0, 1 have no majority",
    }
    for said, text in told.items():
        with pytest.raises(NascliError, match=f"not all ranks have the same weights: {text}; .*--resume"):
            _Said(0, len(said), said=tuple(said)).check_alike({}, "weights")
