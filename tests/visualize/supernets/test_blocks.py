"""Every masked convolution has its place on the paths of the graph, and nothing overlaps."""

from collections import deque

import pytest

from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, MaxPool
from nascli.registry import SUPERNETS
from nascli.visualize.supernets.blocks import Block, blocks
from tests.visualize.examples import small_graph


def by_name(name: str, depth: int = 2) -> dict[str, Block]:
    return {block.name: block for block in blocks(small_graph(name, depth))}


def read_directly(graph: Graph, reader: str, inside: set[str]) -> set[str]:
    """The steps among `inside` from which a path leads to a node past no other masked convolution or pooling."""
    found: set[str] = set()
    waiting = deque(graph.by_name[reader].inputs)
    while waiting:
        node = graph.by_name[waiting.popleft()]
        if node.name in graph.masked or isinstance(node.op, MaxPool | AvgPool):
            found |= {node.name} & inside
        else:
            waiting += node.inputs
    return found


def test_a_block_of_two_branches_by_hand() -> None:
    """The identity above the branches; where channels change, the two halves of the reduction above them."""
    wide = by_name("resnet-mb")["stage1.block0"]
    assert [(step.name.removeprefix("stage1.block0."), step.kind) for step in wide.steps] == [
        ("skip.conv", "conv"),
        ("skip.shifted_conv", "conv"),
        ("branch0.conv1", "conv"),
        ("branch0.conv2", "conv"),
        ("branch1.conv1", "conv"),
        ("branch1.conv2", "conv"),
    ]
    assert list(wide.columns.values()) == [0, 0, 0, 1, 0, 1]
    assert list(wide.rows.values()) == [0, 1, 2, 2, 3, 3]
    plain = by_name("resnet-mb")["stage1.block1"]
    assert [step.kind for step in plain.steps] == ["wire", "conv", "conv", "conv", "conv"]
    assert list(plain.rows.values()) == [0, 1, 1, 2, 2]


def test_parallel_kernels_stand_between_what_they_read_and_what_reads_them() -> None:
    block = by_name("resnet50-inflated")["stage0.block1"]
    columns = {step.name.split(".", 2)[2]: (block.columns[step.name], block.rows[step.name]) for step in block.steps}
    assert {place: at for place, at in columns.items() if "kernel" in place} == {
        f"conv2.kernel{number}": (1, number) for number in range(4)
    }
    assert columns["conv1"] == (0, 1.5)
    assert columns["conv3"] == (2, 1.5)
    assert [step.kind for step in block.steps].count("wire") == 1


def test_enas_cell_has_a_path_for_each_of_its_operations() -> None:
    """The normal cell has ten paths: six separable convolutions, two identities, two that begin with one pooling."""
    cell = by_name("enas")["stage0.cell1"]
    first = [step for step in cell.steps if cell.columns[step.name] == 1]
    assert sorted(step.kind for step in first) == ["conv"] * 6 + ["pool"] + ["wire"] * 2
    assert cell.width == 3
    inputs = {f"stage0.cell1.inputs.{number}.conv" for number in range(2)}
    assert all(set(step.before) <= inputs and len(step.before) == 1 for step in first)


@pytest.mark.parametrize("name", SUPERNETS)
def test_each_convolution_is_drawn_once_and_apart_from_others(name: str) -> None:
    graph = small_graph(name)
    found = blocks(graph)
    drawn = [step.name for block in found for step in block.steps if step.kind == "conv"]
    assert sorted(drawn) == sorted(graph.masked)
    for block in found:
        for step in block.steps:
            assert all(block.columns[before] < block.columns[step.name] for before in step.before)
            # The line of a path that has ended must not run into a step either.
            ends = block.width if step.name in block.last else block.columns[step.name] + 1
            for other in block.steps:
                if other is not step and block.columns[step.name] <= block.columns[other.name] < ends:
                    assert abs(block.rows[step.name] - block.rows[other.name]) >= 1


@pytest.mark.parametrize("name", SUPERNETS)
def test_lines_are_the_graphs(name: str) -> None:
    """A step reads exactly those steps of its block from which the graph leads to it past no other."""
    graph = small_graph(name)
    for block in blocks(graph):
        inside = {step.name for step in block.steps}
        for step in block.steps:
            if step.kind != "wire":
                assert set(step.before) == read_directly(graph, step.name, inside)
