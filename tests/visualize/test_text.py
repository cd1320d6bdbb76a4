import re

import pytest
from hypothesis import given, settings
from rich.console import Console

from nascli.artifacts import published
from nascli.spaces.cell_genotype import Cell, CellGenotype
from nascli.visualize import text_tree, visualize
from nascli.visualize.text import cell_tree
from tests.visualize.examples import GENOTYPE, cells

SOURCES = {"c(k-2)": 0, "c(k-1)": 1}


def printed(renderable: object, width: int) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def parsed(text: str) -> tuple[list[list[tuple[str, int]]], list[int]]:
    """The nodes and the concatenated states that a tree tells of."""
    nodes: list[list[tuple[str, int]]] = []
    concat: list[int] = []
    for line in text.splitlines()[1:]:
        if match := re.search(r"(\w+) +← (c\(k-\d\)|node (\d+))", line):
            nodes[-1].append((match[1], SOURCES[match[2]] if match[3] is None else int(match[3])))
        elif match := re.search(r"c\(k\) = nodes ([\d, ]+)", line):
            concat = [int(state) for state in match[1].split(", ")]
        elif match := re.search(r"node (\d+)", line):
            assert int(match[1]) == len(nodes) + 2
            nodes.append([])
    return nodes, concat


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cells())
def test_the_tree_holds_the_whole_cell(cell: Cell) -> None:
    nodes, concat = parsed(printed(cell_tree("normal", cell), 100))
    assert nodes == [[(pick.op, pick.input) for pick in node] for node in cell.nodes]
    assert concat == list(cell.concat)


def test_the_tree_marks_what_is_not_used() -> None:
    text = printed(cell_tree("normal", GENOTYPE.normal), 80)
    assert "node 2 not in the output" in text
    assert "node 3 unused" in text
    assert text.count("unused") == 1


@pytest.mark.parametrize("name", published.names())
def test_cells_stand_side_by_side_where_they_fit(name: str) -> None:
    genotype = published.load(name).genotype
    first = printed(text_tree(genotype, 80), 80).splitlines()
    assert "normal cell" in first[0]
    assert "reduction cell" in first[0]
    assert max(map(len, first)) <= 80
    narrow = printed(text_tree(genotype, 40), 40).splitlines()
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
    genotype = CellGenotype(normal=GENOTYPE.normal, reduce=GENOTYPE.reduce)
    assert visualize(genotype, format="txt", title="[bold]x[/]").startswith(b"[bold]x[/]\n")
