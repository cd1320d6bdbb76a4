import re

import pytest
from hypothesis import given, settings
from rich.console import Console

from nascli.artifacts.genotypes import published
from nascli.spaces.cell_genotype import Cell, CellGenotype
from nascli.visualize import described, visualize
from nascli.visualize.cells.genotype_text import cell_tree
from tests.visualize.examples import GENOTYPE, PARTLY_NONE, benchmark_genotypes, cells, drawn_cell


def printed(renderable: object, width: int) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def parsed(text: str, inputs: tuple[str, ...]) -> tuple[list[list[tuple[str, int]]], list[int]]:
    """The nodes and the concatenated states in a tree."""
    nodes: list[list[tuple[str, int]]] = []
    concat: list[int] = []
    for line in text.splitlines()[1:]:
        if match := re.search(r"(\w+) +← (c\(k-\d\)|node (\d+))", line):
            nodes[-1].append((match[1], inputs.index(match[2]) if match[3] is None else int(match[3])))
        elif match := re.search(r"c\(k\) = nodes? ([\d, ]+)", line):
            concat = [int(state) for state in match[1].split(", ")]
        elif match := re.search(r"node (\d+)", line):
            assert int(match[1]) == len(nodes) + len(inputs)
            nodes.append([])
    return nodes, concat


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cells())
def test_the_tree_holds_the_whole_cell(cell: Cell) -> None:
    nodes, concat = parsed(printed(cell_tree(drawn_cell(cell)), 100), ("c(k-2)", "c(k-1)"))
    assert nodes == [[(pick.op, pick.input) for pick in node] for node in cell.nodes]
    assert concat == list(cell.concat)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(benchmark_genotypes())
def test_the_tree_of_the_benchmarks_cell_leaves_none_out(genotype: CellGenotype) -> None:
    nodes, concat = parsed(visualize(genotype, format="txt").decode(), ("c(k-1)",))
    (cell,) = genotype.cells.values()
    assert nodes == [[(pick.op, pick.input) for pick in node if pick.op != "none"] for node in cell.nodes]
    assert concat == [3]


def test_the_tree_marks_what_is_not_used() -> None:
    text = printed(cell_tree(drawn_cell(GENOTYPE.cells["normal"])), 80)
    assert "node 2 not in the output" in text
    assert "node 3 unused" in text
    assert text.count("unused") == 1
    assert "= nodes 4, 5" in text


def test_of_a_cell_whose_output_is_one_node_no_other_is_called_left_out() -> None:
    text = visualize(PARTLY_NONE, format="txt").decode()
    assert "not in the output" not in text
    assert [line.split()[-3:] for line in text.splitlines() if "unused" in line] == [
        ["node", "1", "unused"],
        ["node", "2", "unused"],
    ]
    assert "c(k) = node 3" in text
    assert "none" not in text


@pytest.mark.parametrize("name", published.names())
def test_cells_stand_side_by_side_where_they_fit(name: str) -> None:
    genotype = published.load(name).genotype
    first = printed(described(genotype), 80).splitlines()
    assert "normal cell" in first[0]
    assert "reduction cell" in first[0]
    assert max(map(len, first)) <= 80
    narrow = printed(described(genotype), 40).splitlines()
    assert "reduction cell" not in narrow[0]
    assert max(len(line.rstrip()) for line in narrow) <= 40
    operations = [pick.op for pick in genotype.picks()]
    for text in ("\n".join(first), "\n".join(narrow)):
        assert sorted(re.findall(r"(\w+) +←", text)) == sorted(operations)


def test_text_files_are_plain() -> None:
    text = visualize(GENOTYPE, format="txt", title="A title").decode()
    assert text.startswith("A title\n")
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "\x1b" not in text


def test_brackets_are_not_markup() -> None:
    """Markup: rich would swallow [bold]; a title is text."""
    assert visualize(GENOTYPE, format="txt", title="[bold]x[/]").startswith(b"[bold]x[/]\n")
