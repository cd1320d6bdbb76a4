"""What a pass and a step ask of a GPU, counted without one: operators, and waits of the host."""

import pytest
import torch

from benchmarks.counting import ACCELERATOR, HOST, Counting, accelerator
from benchmarks.operators import BEST_CELL, count, derived, ranked_cells, ranked_channels, search
from nascli.artifacts.genotypes.genotype import parse_genotype
from nascli.registry import METHODS, SPACES

CELLS = {"layers": 3, "channels": 8}
SMALL = {"darts": {**CELLS, "nodes": 1}, "nas-bench-201": CELLS}
TWO_NODES = {**CELLS, "nodes": 2}
"""Of mixtures on a GPU: one whose nodes only read a cell's inputs misses a way of the fast network."""
SAMPLES = {"parsec": {"samples": 2}}

MOST = {
    ("darts", "darts"): (483, 972, 0),
    ("pc-darts", "darts"): (488, 969, 0),
    ("darts", "nas-bench-201"): (854, 1_413, 0),
    ("pc-darts", "nas-bench-201"): (1_066, 1_764, 0),
    ("parsec", "darts"): (138, 447, 1),
    ("parsec", "nas-bench-201"): (79, 406, 1),
    ("spos", "darts"): (138, 180, 0),
    ("spos", "nas-bench-201"): (79, 177, 0),
    ("pgnas", "resnet-mb"): (216, 467, 0),
    ("training", "darts"): (186, 276, 0),
    ("training", "nas-bench-201"): (134, 169, 0),
    ("ranking", "darts"): (247, 0, 0),
    ("ranking", "nas-bench-201"): (261, 0, 0),
    ("ranking", "resnet-mb"): (183, 0, 0),
}
"""Operators of a pass and of a step of small networks, and waits of a step, exactly: lower a number when a network
needs fewer. PARSEC's wait is for its importance weights, which decide which children are trained.
"""

MOST_ON_CPU = {
    ("darts", "darts"): (670, 1_269),
    ("pc-darts", "darts"): (1_046, 2_039),
    ("darts", "nas-bench-201"): (998, 1_694),
    ("pc-darts", "nas-bench-201"): (1_445, 2_402),
    ("parsec", "darts"): (146, 506),
    ("parsec", "nas-bench-201"): (79, 620),
    ("spos", "darts"): (146, 204),
    ("spos", "nas-bench-201"): (79, 201),
    ("pgnas", "resnet-mb"): (366, 616),
    ("training", "darts"): (202, 294),
    ("training", "nas-bench-201"): (134, 168),
    ("ranking", "darts"): (246, 0),
    ("ranking", "nas-bench-201"): (314, 0),
    ("ranking", "resnet-mb"): (183, 0),
}
"""The same in the form that a CPU runs, where some work is split into more and smaller operators, as it is faster."""


def test_views_and_allocations_are_no_operators():
    x = torch.randn(4, 6)
    with Counting(HOST) as counted:
        y = torch.empty_like(x).copy_(x)[1:].t().reshape(-1).view(3, 6) + 1
        torch.nn.functional.linear(y.view(1, 3, 6), x).unflatten(2, (2, 2)).squeeze_()
        torch._foreach_add_([x, y], 1)
    assert counted.operators == {"copy_": 1, "clone": 1, "add": 1, "mm": 1, "_foreach_add_": 1}


WAITING = {
    "number": lambda x: x.sum().item(),
    "decision": lambda x: bool(x.any()),
    "list": lambda x: x.tolist(),
    "copy to the host": lambda x: x.cpu(),
    "copy into a tensor of the host": lambda x: torch.empty(3).copy_(x),
    "copy from the host": lambda x: torch.ones(3).to(x.device),
    "index": lambda x: x[[0, 2]],
}


@pytest.mark.parametrize("does", WAITING.values(), ids=WAITING)
def test_the_host_waits(does):
    with accelerator():
        x = torch.ones(3, device=ACCELERATOR)
        with Counting(ACCELERATOR) as counted:
            does(x)
            torch.ones(3).to(ACCELERATOR, non_blocking=True)
            x[0:2], x[1], x.clone(), torch.zeros((), device=ACCELERATOR)
    assert counted.waits.total() == 1


def test_a_tensor_of_the_host_is_a_stranger_on_a_gpu():
    with accelerator(), Counting(ACCELERATOR):
        x = torch.ones(3, device=ACCELERATOR, requires_grad=True)
        with pytest.raises(RuntimeError, match="mixes tensors"):
            x[torch.tensor([0])]
        with pytest.raises(RuntimeError, match="mixes tensors"):
            x + torch.ones(())


PICKS = "[('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 1)]"
OF_ALL_KINDS = f"Genotype(normal={PICKS}, normal_concat=[2, 3], reduce={PICKS}, reduce_concat=[2, 3])"


def runs_of(what, space, device):
    """A small network of what MOST names, as this device runs it."""
    match what, space:
        case "training", "darts":
            return derived(device, parse_genotype(OF_ALL_KINDS.encode(), "the cell").genotype, **CELLS)
        case "training", "nas-bench-201":
            return derived(device, parse_genotype(BEST_CELL.encode(), "the best cell").genotype, **CELLS)
        case "ranking", "resnet-mb":
            return ranked_channels(device, space)
        case "ranking", _:
            return ranked_cells(device, space, candidates=4, **SMALL[space])
        case "pgnas", _:
            return search(device, what, space, width=4, depth=1)
        case "darts" | "pc-darts", "darts" if device == ACCELERATOR:
            return search(device, what, space, **TWO_NODES)
    return search(device, what, space, **SMALL[space], **SAMPLES.get(what, {}))


@pytest.mark.parametrize(("what", "space"), MOST, ids=str)
def test_operators_and_waits(what, space):
    with accelerator():
        counted = count(runs_of(what, space, ACCELERATOR), ACCELERATOR)
    found = tuple(counter.total() for counter in (counted.one_pass, counted.step, counted.waits))
    assert all(number <= most for number, most in zip(found, MOST[what, space], strict=True)), (found, counted.waits)


@pytest.mark.parametrize(("what", "space"), MOST_ON_CPU, ids=str)
def test_operators_on_a_cpu(what, space):
    counted = count(runs_of(what, space, HOST), HOST)
    found = counted.one_pass.total(), counted.step.total()
    assert all(number <= most for number, most in zip(found, MOST_ON_CPU[what, space], strict=True)), found


def test_every_method_is_counted():
    assert MOST.keys() == MOST_ON_CPU.keys()
    of_cells = {(name, space) for name, row in METHODS.items() if row.searches == "cells" for space in SPACES}
    assert of_cells - MOST.keys() == {("random", space) for space in SPACES}, "which trains derived networks"
