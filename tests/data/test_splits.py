"""Stratified parts, samples and held-out images."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascli.data.permutation import permutation
from nascli.data.splits import hold_out, sample, split
from nascli.errors import DataError, UsageError

CLASS_SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def labels_of(sizes: list[int], shuffle: int = 0) -> np.ndarray:
    return np.random.default_rng(shuffle).permutation(np.repeat(np.arange(len(sizes)), sizes))


def test_the_order_of_sixteen_things_never_changes():
    """PCG64's words for seed 0 are fixed by numpy's promise of stream stability; sorting them is all we do."""
    words = [int(word) for word in np.random.PCG64(0).random_raw(16)]
    assert permutation(16, 0).tolist() == sorted(range(16), key=words.__getitem__)
    assert words[:2] == [11749869230777074271, 4976686463289251617]


def test_every_order_of_three_is_equally_likely():
    seen = [tuple(permutation(3, seed).tolist()) for seed in range(6000)]
    counts = [seen.count(order) for order in sorted(set(seen))]
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts) < 5 * np.sqrt(1000 * 5 / 6)


def test_two_halves_of_cifar_have_2500_of_each_class():
    labels = labels_of([5000] * 10)
    parts = split(labels, {"train": 0.5, "search": 0.5}, seed=3)
    for part in parts.values():
        assert np.bincount(labels[part]).tolist() == [2500] * 10
    assert sorted(np.concatenate(list(parts.values()))) == list(range(50_000))


def test_the_shares_of_imagenet_count_1300_images_as_the_paper_does():
    """PC-DARTS, Section 4.3: 10 % and 2.5 % of the images; of a class of 1,300 these are 130 and 32 or 33."""
    labels = labels_of([1300] * 20)
    parts = split(labels, {"train": 0.1, "search": 0.025}, seed=0)
    assert set(np.bincount(labels[parts["train"]])) == {130}
    assert set(np.bincount(labels[parts["search"]])) == {32, 33}
    assert len(parts["search"]) == 650


@given(CLASS_SIZES, st.lists(st.floats(0.02, 1), min_size=1, max_size=4), st.floats(0.1, 1), st.integers(0, 9))
def test_parts_are_disjoint_stratified_and_of_the_right_size(sizes, weights, used, seed):
    labels = labels_of(sizes, seed)
    shares = {str(k): used * weight / sum(weights) for k, weight in enumerate(weights)}
    try:
        parts = split(labels, shares, seed)
    except DataError:
        assert min(shares.values()) * len(labels) < len(weights) + 1  # only where a part is next to nothing
        return
    together = np.concatenate(list(parts.values()))
    assert len(set(together)) == len(together)
    for name, part in parts.items():
        assert (np.diff(part) > 0).all()
        assert abs(len(part) - shares[name] * len(labels)) <= len(weights)
        in_class = np.bincount(labels[part], minlength=len(sizes))
        assert (abs(in_class - shares[name] * np.array(sizes)) <= len(weights)).all()
    assert len(parts["0"]) == int(np.floor(shares["0"] * len(labels) + 0.5))


def test_a_seed_decides_the_parts():
    labels = labels_of([50, 50])
    first, again, other = (split(labels, {"a": 0.5}, seed)["a"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_classes_of_one_image_are_shared_out_evenly():
    parts = split(np.arange(10), {"train": 0.5, "search": 0.5}, seed=0)
    assert len(parts["train"]) == len(parts["search"]) == 5


@pytest.mark.parametrize("shares", [{"a": 0.6, "b": 0.5}, {"a": -0.1}])
def test_impossible_shares_are_the_users_fault(shares):
    with pytest.raises(UsageError, match="together at most 1"):
        split(labels_of([10, 10]), shares, 0)


def test_an_empty_part_is_an_error_that_names_it():
    with pytest.raises(DataError, match="'search' part, 0.01 of them, would be empty"):
        split(labels_of([5, 5]), {"train": 0.5, "search": 0.01}, 0)


@given(CLASS_SIZES, st.data())
def test_a_sample_takes_equally_many_of_each_class_and_grows(sizes, data):
    labels = labels_of(sizes)
    count = data.draw(st.integers(len(sizes), len(labels)))
    chosen = sample(labels, count, seed=5)
    assert len(set(chosen)) == count
    counts = np.bincount(labels[chosen], minlength=len(sizes))
    # No class may gain while another that still has images has two fewer.
    assert all(counts[k] >= counts.max() - 1 or counts[k] == sizes[k] for k in range(len(sizes)))
    assert set(chosen) <= set(sample(labels, min(count + 3, len(labels)), seed=5))


def test_a_sample_smaller_than_the_classes_is_refused():
    with pytest.raises(UsageError, match="limit_train 3 is less than the 4 classes"):
        sample(labels_of([5] * 4), 3, 0)


def test_the_held_out_images_are_those_with_the_smallest_hashes():
    names = [f"{label}/{index}.png" for label in "ab" for index in range(10)]
    labels = np.repeat([0, 1], 10)
    train, test = hold_out(labels, names, ("a", "b"))
    expected = set()
    for label in "ab":
        own = sorted((name for name in names if name[0] == label), key=lambda n: hashlib.sha256(n.encode()).hexdigest())
        expected |= set(own[:2])
    assert {names[index] for index in test} == expected
    assert sorted([*train, *test]) == list(range(20))


def test_a_class_of_two_gives_one_and_a_class_of_one_is_an_error():
    train, test = hold_out(np.array([0, 0, 1, 1]), ["a", "b", "c", "d"], ("x", "y"))
    assert (len(train), len(test)) == (2, 2)
    with pytest.raises(DataError, match="class 'y' has 1 image"):
        hold_out(np.array([0, 0, 1]), ["a", "b", "c"], ("x", "y"))
