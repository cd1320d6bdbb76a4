"""What every space promises, over all of them."""

import random
from collections.abc import Mapping
from itertools import product

import pytest

from nascli.core.nn.graph_network import GraphModules
from nascli.errors import UsageError
from nascli.graphs.operations import Conv, Norm
from nascli.registry import SPACES
from nascli.spaces import cell_space, space_of_text, text_forms
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.darts import Darts
from nascli.spaces.names import NONE
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace, all_genotypes, cell_count
from nascli.spaces.wiring import Mixture, Shared, Wiring

SETTINGS = NetworkSettings(layers=3, channels=4, stem="cifar", classes=5, image_channels=3, image_size=16)


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> CellSpace:
    return cell_space(request.param)


def choices(space: CellSpace, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(len(decision.options)) for decision in space.decisions() for _ in range(decision.draws)]


def test_states_edges_and_decisions_hang_together(space: CellSpace) -> None:
    assert len(space.input_names) == space.inputs
    assert space.titles.keys() == space.remarks.keys() == set(space.cells)
    assert set(space.operations) <= {*space.known_operations, NONE}
    assert space.weightless <= set(space.operations)
    ends = range(space.inputs, space.inputs + space.nodes)
    assert space.edges() == tuple((source, node) for node in ends for source in range(node))
    for decision in space.decisions():
        assert decision.cell in space.cells
        assert decision.node in ends
        assert all(pick.input < decision.node for pick in decision.options)
    names = [(decision.cell, decision.name) for decision in space.decisions()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("seed", range(5))
def test_choices_make_the_genotype_that_has_them(space: CellSpace, seed: int) -> None:
    chosen = choices(space, seed)
    genotype = space.genotype(chosen)
    assert CellGenotype.model_validate_json(genotype.model_dump_json()) == genotype
    left = iter(chosen)
    picked = [decision.options[next(left)] for decision in space.decisions() for _ in range(decision.draws)]
    assert sorted(genotype.picks(), key=str) == sorted(picked, key=str)


@pytest.mark.parametrize("seed", range(5))
def test_the_text_form_says_it_all(space: CellSpace, seed: int) -> None:
    genotype = space.genotype(choices(space, seed))
    text = space.format(genotype)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert space.parse(text, "x") == genotype
    assert space.looks_like(text)
    assert space_of_text(text) == space
    assert space_of_text('{"format": "nascli-genotype"}') is None


def test_the_example_is_one(space: CellSpace) -> None:
    assert space_of_text(space.example) == space
    assert space.example in text_forms()


@pytest.mark.parametrize("searching", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_childs_nodes_are_those_of_everything_that_have_weights(space: CellSpace, seed: int, searching: bool) -> None:
    """Equal names mean equal weights: kind, size and normalisation agree; sums and concatenations may differ."""
    wiring = Shared(searching=searching)
    everything = space.graph(space.everything(), SETTINGS, wiring)
    child = space.graph(space.genotype(choices(space, seed)), SETTINGS, wiring)
    for name, node in child.by_name.items():
        if isinstance(node.op, Conv | Norm):
            assert everything.by_name[name] == node, name
    assert child.parameters < everything.parameters
    affine = {node.op.affine for node in child.nodes if isinstance(node.op, Norm) and ".edges." in node.name}
    assert affine <= {not searching}


@pytest.mark.parametrize("form", ["child", "searched", "mixture"])
def test_a_graph_counts_the_parameters_of_its_network(space: CellSpace, form: str) -> None:
    wirings: Mapping[str, Wiring] = {
        "child": Shared(searching=True),
        "searched": Shared(searching=True),
        "mixture": Mixture(space.operations, space.edges(), 2),
    }
    genotype = space.genotype(choices(space, 0)) if form == "child" else space.everything()
    graph = space.graph(genotype, SETTINGS, wirings[form])
    parameters = GraphModules(graph, with_tower=False).parameters()
    assert graph.parameters == sum(parameter.numel() for parameter in parameters)


def test_everything_has_every_operation_on_every_edge(space: CellSpace) -> None:
    mixture = space.graph(space.everything(), SETTINGS, Mixture(space.operations, space.edges(), 1))
    weighed = {name.partition(".edges.")[2] for name in mixture.by_name if ".edges." in name}
    for (source, node), op in product(space.edges(), space.operations):
        kept = any(name.startswith(f"{source}-{node}.{op}.") for name in weighed)
        assert kept or op in {NONE, "skip_connect"}, (source, node, op)


def test_a_mixture_keeps_what_is_strongest(space: CellSpace) -> None:
    """With one operation far ahead everywhere, and edges alike, the cells are made of it alone."""
    for column, op in enumerate(space.operations):
        row = [1.0 if number == column else 0.1 for number in range(len(space.operations))]
        genotype = space.keep({cell: [row] * len(space.edges()) for cell in space.cells})
        assert (genotype.share(op) == 1) is (op != NONE or space.keeps_none)
        assert NONE not in {pick.op for pick in genotype.picks()} or space.keeps_none


class FewDarts(Darts):
    """Three operations beside `none`."""

    operations = Darts.operations[:4]


def test_genotypes_are_counted_once() -> None:
    space = cell_space("nas-bench-201")
    assert cell_count(space) == len({genotype.network() for genotype in all_genotypes(space)}) == 5**6
    small = FewDarts(1)
    assert cell_count(small) == len({genotype.network() for genotype in all_genotypes(small)}) == (6 * 7 // 2) ** 2


@pytest.mark.parametrize(("name", "nodes"), [("darts", 4), ("nas-bench-201", 3)])
def test_the_usual_number_of_nodes(name: str, nodes: int) -> None:
    assert cell_space(name).nodes == nodes
    assert cell_space(name) == cell_space(name, nodes)


@pytest.mark.parametrize(
    ("name", "nodes", "message"),
    [
        ("dartz", 0, "unknown space 'dartz': did you mean 'darts'"),
        ("darts", 13, "cells of the space darts have 1 to 12 nodes, not 13"),
        ("darts", -1, "cells of the space darts have 1 to 12 nodes, not -1"),
        ("nas-bench-201", 4, "cells of the space nas-bench-201 have 3 nodes, not 4"),
    ],
)
def test_spaces_that_are_not_there(name: str, nodes: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cell_space(name, nodes)
