"""Derived cells against their genotype read literally, in float64."""

import pytest
import torch
from torch import Tensor

from nascli.artifacts import genotype as artifact
from nascli.artifacts import published
from nascli.core.nn.cell import Cell, read_states
from nascli.core.nn.operations import FactorizedReduction, ReluConvBn


def choice(nodes: list[list[tuple[str, int]]], concat: list[int]) -> artifact.Cell:
    picks = tuple(tuple(artifact.Pick(op=op, input=state) for op, state in node) for node in nodes)
    return artifact.Cell(nodes=picks, concat=tuple(concat))


def literal(cell: Cell, first: Tensor, second: Tensor, paths: Tensor | None = None) -> Tensor:
    """Every operation by itself on its state, in the order of the genotype; `paths` as `Cell.forward` takes them."""
    states = [cell.inputs["0"](first), cell.inputs["1"](second)]
    multipliers = dict(zip(cell.droppable(), () if paths is None else paths, strict=paths is not None))
    for node, picks in enumerate(cell.genotype.nodes):
        total: Tensor | float = 0.0
        for position, pick in enumerate(picks):
            y = cell.nodes[str(node)][position](states[pick.input])
            if (node, position) in multipliers:
                y = torch.stack([m * sample for m, sample in zip(multipliers[node, position], y, strict=True)])
            total = total + y
        states.append(total)
    return torch.cat([states[state] for state in cell.genotype.concat], dim=1)


@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("name", published.names())
def test_published_cells_compute_what_their_genotype_says(name: str, reduction: bool) -> None:
    """Outputs and all gradients, with drop-path: sharing the ReLUs changes nothing."""
    genotype = published.load(name).genotype
    plan = genotype.reduce if reduction else genotype.normal
    generator = torch.Generator().manual_seed(0)
    cell = Cell(plan, 5, 3, 4, reduction, reduction_prev=True).double()
    first, second = (
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((3, 5, 13, 14), (3, 3, 7, 7))
    )
    paths = torch.rand(len(cell.droppable()), 3, generator=generator, dtype=torch.float64)
    learnt = [first, second, *cell.parameters()]
    results = []
    for compute in (cell, lambda *inputs: literal(cell, *inputs)):
        y = compute(first, second, paths)
        assert y.shape == (3, 4 * len(plan.concat), *((4, 4) if reduction else (7, 7)))
        results.append((y, *torch.autograd.grad((y * y.detach().cos()).sum(), learnt)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_multipliers_of_one_change_nothing_and_zero_takes_the_path_away() -> None:
    nodes = [[("max_pool_3x3", 0), ("skip_connect", 1)], [("sep_conv_3x3", 2), ("avg_pool_3x3", 1)]]
    cell = Cell(choice(nodes, [2, 3]), 4, 4, 4, reduction=False, reduction_prev=False).double()
    first, second = torch.randn(2, 3, 4, 6, 6, dtype=torch.float64)
    assert cell.droppable() == [(0, 0), (1, 0), (1, 1)]
    assert torch.equal(cell(first, second, torch.ones(3, 3)), cell(first, second))

    paths = torch.ones(3, 3)
    paths[0, 1] = 0.0  # the max pooling of sample 1
    node = cell(first, second, paths)[:, :4]
    skipped = cell.inputs["1"](second)
    torch.testing.assert_close(node[1], skipped[1])
    torch.testing.assert_close(node[[0, 2]], cell(first, second)[[0, 2], :4])


def test_identities_are_spared_and_a_strided_skip_is_not() -> None:
    nodes = [[("skip_connect", 0), ("skip_connect", 1)], [("skip_connect", 2), ("skip_connect", 1)]]
    plan = choice(nodes, [2, 3])
    assert Cell(plan, 4, 4, 4, reduction=False, reduction_prev=False).droppable() == []
    reducing = Cell(plan, 4, 4, 4, reduction=True, reduction_prev=False)
    assert reducing.droppable() == [(0, 0), (0, 1), (1, 1)]
    assert isinstance(reducing.nodes["0"][0], FactorizedReduction)


def test_the_input_from_before_a_reduction_is_halved_by_a_factorised_reduction() -> None:
    plan = choice([[("max_pool_3x3", 0), ("max_pool_3x3", 1)]], [2])
    assert isinstance(Cell(plan, 4, 4, 4, False, reduction_prev=True).inputs["0"], FactorizedReduction)
    assert isinstance(Cell(plan, 4, 4, 4, False, reduction_prev=False).inputs["0"], ReluConvBn)


def test_what_the_output_does_not_depend_on_is_not_built() -> None:
    nodes = [[("sep_conv_3x3", 0)], [("sep_conv_3x3", 2)], [("max_pool_3x3", 1), ("sep_conv_5x5", 1)]]
    plan = choice(nodes, [4])
    assert read_states(plan) == {1, 4}
    cell = Cell(plan, 4, 4, 4, reduction=False, reduction_prev=False)
    assert {name.rsplit(".", 2)[0] for name, _ in cell.named_parameters() if name.startswith("nodes")} == {
        f"nodes.2.1.{half}" for half in ("first", "second")
    }
    images = torch.randn(2, 4, 5, 5)
    cell(images, images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in cell.parameters())
    assert cell.droppable() == [(2, 0), (2, 1)]


def test_a_node_sums_any_number_of_picks_repeated_ones_too() -> None:
    plan = choice([[("avg_pool_3x3", 0)] * 2 + [("avg_pool_3x3", 1)]], [2])
    cell = Cell(plan, 4, 4, 4, reduction=False, reduction_prev=False).double()
    first, second = torch.randn(2, 3, 4, 6, 6, dtype=torch.float64)
    pool = torch.nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    expected = 2 * pool(cell.inputs["0"](first)) + pool(cell.inputs["1"](second))
    torch.testing.assert_close(cell(first, second), expected)
