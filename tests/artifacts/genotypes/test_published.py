"""The cells that come with nascli are the published ones."""

import pytest

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import Cell, genotype_bytes
from nascli.errors import UsageError

NAMES = ("amoebanet-a", "darts-v1", "darts-v2", "enas", "nasnet-a", "pc-darts-cifar10", "pc-darts-imagenet")

# The ENAS paper's own coding, per node: input, op, input, op.
ENAS_OPS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect")
ENAS = {
    "normal": "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1",
    "reduce": "1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1",
}


def test_all_are_there_valid_and_say_where_they_come_from() -> None:
    assert published.names() == NAMES
    for name in NAMES:
        file = published.load(name)
        assert file.provenance.stage == "published"
        assert "arXiv" in file.provenance.note
        assert genotype_bytes(file) == published.read(name), "the file is not in nascli's own form"


def test_methods_choose_the_recipe_of_the_training() -> None:
    methods = {name: published.load(name).provenance.method for name in NAMES}
    assert {name for name in NAMES if methods[name] == "pc-darts"} == {"pc-darts-cifar10", "pc-darts-imagenet"}
    assert {name for name in NAMES if methods[name] == "darts"} == {"darts-v1", "darts-v2"}
    assert {methods[name] for name in ("amoebanet-a", "nasnet-a", "enas")} == {None}


def coded(cell: Cell) -> str:
    return " ".join(f"{pick.input} {ENAS_OPS.index(pick.op)}" for node in cell.nodes for pick in node)


@pytest.mark.parametrize("name", ["normal", "reduce"])
def test_enas_is_the_papers_code_and_concatenates_what_nobody_reads(name: str) -> None:
    cell = published.load("enas").genotype.cells[name]
    assert coded(cell) == ENAS[name]
    read = {pick.input for node in cell.nodes for pick in node}
    assert set(cell.concat) == {2, 3, 4, 5, 6} - read


def test_cells_of_the_papers_own_shape() -> None:
    nasnet, amoebanet = published.load("nasnet-a").genotype, published.load("amoebanet-a").genotype
    assert (nasnet.cells["reduce"].concat, amoebanet.cells["normal"].concat) == ((4, 5, 6), (4, 5, 6))
    assert [len(cell.nodes) for cell in (*nasnet.cells.values(), *amoebanet.cells.values())] == [5, 5, 5, 5]
    assert [(pick.op, pick.input) for pick in nasnet.cells["normal"].nodes[3]] == [("avg_pool_3x3", 0)] * 2
    found = published.load("pc-darts-cifar10").genotype
    assert [(pick.op, pick.input) for pick in found.cells["normal"].nodes[3]] == [
        ("avg_pool_3x3", 0),
        ("dil_conv_3x3", 1),
    ]


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match="did you mean 'nasnet-a'"):
        published.load("nasneta")
