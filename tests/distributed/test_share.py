"""The parts of a batch, and of a pass, that ranks take."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from nascli.distributed.share import WHOLE, Share


@given(st.integers(0, 200), st.integers(1, 12))
def test_the_rows_of_all_parts_are_a_batch_in_its_order(length, of):
    parts = [list(range(length))[Share(number, of).rows(length)] for number in range(of)]
    assert list(chain(*parts)) == list(range(length))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(map(len, parts), reverse=True) == [len(part) for part in parts]


@given(st.lists(st.integers()), st.integers(1, 12))
def test_every_item_has_its_turn_in_one_part(items, of):
    parts = [list(Share(number, of).turns(items)) for number in range(of)]
    rounds = [part[turn] for turn in range(len(parts[0])) for part in parts if turn < len(part)]
    assert rounds == items


def test_the_whole_is_one_part():
    assert (WHOLE.rows(7), WHOLE.turns("abc")) == (slice(0, 7), "abc")
