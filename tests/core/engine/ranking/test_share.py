"""Networks are shared out in whole groups, each to one place."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from nascli.core.engine.ranking.share import share


def test_by_hand():
    letters = "abcdefghijk"
    assert ["".join(share(letters, 2, place, 3)) for place in range(3)] == ["abgh", "cdij", "efk"]
    assert share(letters, 2, 0, 1) == list(letters)
    assert [share(letters, 20, place, 2) for place in range(2)] == [list(letters), []]


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 9))
def test_every_item_is_in_one_share_and_no_group_is_split(count, together, places):
    shares = [share(range(count), together, place, places) for place in range(places)]
    assert sorted(chain(*shares)) == list(range(count))
    owner = {item: place for place, items in enumerate(shares) for item in items}
    assert all(owner[item] == owner[item - item % together] for item in range(count))
    assert all(items == sorted(items) for items in shares)
    groups = [len({item // together for item in items}) for items in shares]
    assert max(groups) - min(groups) <= 1


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 9))
def test_a_share_is_read_in_the_same_groups(count, together, places):
    """Cut into groups again, a share has groups of the whole: the only smaller one is its last."""
    whole = {tuple(range(first, min(first + together, count))) for first in range(0, count, together)}
    for place in range(places):
        mine = share(range(count), together, place, places)
        assert {tuple(mine[first : first + together]) for first in range(0, len(mine), together)} <= whole
