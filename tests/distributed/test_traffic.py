"""What a process sends: counted, and from the networks' graphs (`benchmarks/traffic.py`)."""

from functools import partial

import pytest
import torch.distributed as dist

from benchmarks.traffic import (
    CELLS,
    GRADIENTS,
    LIKELIHOODS,
    LOSSES,
    NORMS,
    TINY,
    Counted,
    count,
    ring,
    searched,
    small,
    trained,
    with_counts,
)

ONE_CELL = {**TINY, **CELLS}


def sent(build, ranks=None):
    ranks = ranks or Counted(0, 2)
    return count(build(ranks), ranks)


ELSEWHERE = ("parsec, K 8", "parsec, K 4", "spos", "train")
"""Other tests are about these, or about the same."""


@pytest.mark.parametrize("name", [name for name in small(Counted(0, 2)) if name not in ELSEWHERE])
def test_a_step_sends_what_the_graph_of_its_network_says(name):
    ranks = Counted(0, 2)
    case = small(ranks)[name]()
    found = count(case, ranks)
    assert found.sent == case.predicted(found)


@pytest.mark.parametrize("samples", [4, 8])
def test_parsec_sends_a_number_for_a_child_and_one_gradient_for_all(samples):
    few = {"method": "parsec", "samples": samples, **ONE_CELL, "nodes": 2}
    found = sent(lambda ranks: searched(ranks, few), Counted(1, 4))
    one_path = sent(lambda ranks: searched(ranks, few, warm=True))
    assert found.distinct == samples
    assert found.sent == {LIKELIHOODS: 8 * samples, GRADIENTS: one_path.sent[GRADIENTS], LOSSES: 16}
    assert found.exchanges == {LIKELIHOODS: 1, GRADIENTS: 1, LOSSES: 1}


def test_children_on_more_ranks_than_there_are_of_them_synchronise_their_batch_norms():
    few = {"method": "parsec", "samples": 3, **ONE_CELL, "nodes": 2}
    found = sent(lambda ranks: searched(ranks, few), Counted(0, 4))
    assert found.sent[NORMS] > 0
    assert found.sent[LIKELIHOODS] == 8 * found.distinct


def test_a_payload_depends_neither_on_the_ranks_nor_on_the_batch():
    build = partial(trained, genotype="darts-v1", given=ONE_CELL)
    half = partial(trained, genotype="darts-v1", given={**ONE_CELL, "batch_size": 8})
    assert sent(build).sent == sent(build, Counted(3, 4)).sent == sent(half).sent


def test_without_synchronised_batch_norms_a_training_exchanges_twice():
    found = sent(lambda ranks: trained(ranks, "darts-v1", {**ONE_CELL, "sync_batch_norm": False}))
    assert found.exchanges == {LOSSES: 1, GRADIENTS: 1}


def test_exchanged_and_only_counted_is_the_same():
    """In a group of one process, which gives back what it gets."""
    build = partial(trained, genotype="darts-v1", given=ONE_CELL)
    alone = sent(build)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert sent(build).sent == alone.sent
    finally:
        dist.destroy_process_group()


def test_an_evaluation_sends_its_table_of_classes_once():
    """In float64: images, loss, images right among five, classes², images and excess of every bin of confidence."""
    assert with_counts(10, Counted(0, 2)) - with_counts(4, Counted(0, 2)) == 8 * (10**2 - 4**2)


def test_a_ring_of_two_sends_everything_once_and_a_long_one_almost_twice():
    assert ring(100, 2) == 100
    assert ring(100, 8) == 175
