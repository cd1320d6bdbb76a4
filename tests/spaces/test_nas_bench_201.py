"""The space `nas-bench-201`: sizes, text form, networks against ones that are written straight from the paper."""

import random
from itertools import combinations_with_replacement, product
from typing import Any

import pytest
import torch

from nascli.core.nn.build import build_network
from nascli.errors import ArtifactError, UsageError
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.network_settings import NetworkSettings
from tests.core.nn.nas_bench_201_oracle import Network
from tests.truth_table import genotypes

SPACE = cell_space("nas-bench-201")
BENCHMARK: dict[str, Any] = {
    "layers": 15,
    "channels": 16,
    "stem": "cifar",
    "classes": 10,
    "image_channels": 3,
    "image_size": 32,
}


def settings(**changes: Any) -> NetworkSettings:
    return NetworkSettings.model_validate(BENCHMARK | changes)


def cell(text: str) -> CellGenotype:
    return SPACE.parse(text, "the test")


def of(*ops: str) -> CellGenotype:
    """A genotype from its operations on the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3."""
    return SPACE.genotype([SPACE.operations.index(op) for op in ops])


@pytest.mark.parametrize(
    ("text", "parameters", "multiply_adds"),
    [
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_531_546,
            220_119_680,
        ),
        (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            129_306,
            15_647_360,
        ),
    ],
)
def test_published_sizes(text: str, parameters: int, multiply_adds: int) -> None:
    """Sizes in the benchmark's own files, whose multiply-adds, in millions, include the classifier's bias."""
    size = cell(text).graph(settings()).size
    assert (size.parameters, size.multiply_adds) == (parameters, multiply_adds)


def by_formula(genotype: CellGenotype, per_stage: int, channels: int) -> tuple[int, int]:
    """Parameters and multiply-adds of a cell's network for 32x32 images of 10 classes, from the paper's description."""
    weights = 3 * channels * 9
    parameters, macs = weights + 2 * channels, weights * 32**2
    side = 32
    for stage in range(3):
        if stage:
            side, wide = side // 2, 2 * channels
            weights = channels * wide * 9 + wide * wide * 9 + channels * wide
            parameters, macs, channels = parameters + weights + 4 * wide, macs + weights * side**2, wide
        for pick in genotype.picks():
            if pick.op.startswith("nor_conv"):
                weights = channels**2 * int(pick.op[-1]) ** 2
                parameters, macs = (
                    parameters + per_stage * (weights + 2 * channels),
                    macs + per_stage * weights * side**2,
                )
    return parameters + 2 * channels + 11 * channels - channels + 10, macs + 10 * channels


def test_sizes_of_cells_of_every_make() -> None:
    """One cell for each count of every operation, twice in every stage."""
    makes = [of(*ops) for ops in combinations_with_replacement(SPACE.operations, 6)]
    assert len(makes) == 210
    for genotype in makes:
        size = genotype.graph(settings(layers=6)).size
        assert (size.parameters, size.multiply_adds) == by_formula(genotype, 2, 16)


def test_sizes_do_not_depend_on_where_operations_are() -> None:
    """They don't depend on whether a path crosses them either: 100 cells, in a short network."""
    for genotype in map(drawn, range(100)):
        size = genotype.graph(settings(layers=3)).size
        assert (size.parameters, size.multiply_adds) == by_formula(genotype, 1, 16)


DEAD = [
    # state 1 has no input, so what leaves it adds nothing
    of("none", "nor_conv_3x3", "nor_conv_1x1", "none", "nor_conv_3x3", "avg_pool_3x3"),
    # nobody reads states 1 and 2
    of("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "nor_conv_1x1", "none", "none"),
    # the output has no input
    of("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "none", "none", "none"),
    # the output's inputs have none
    of("none", "none", "nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect"),
    of(*["none"] * 6),
    of(*["skip_connect"] * 6),
    of(*["avg_pool_3x3"] * 6),
]


def drawn(seed: int) -> CellGenotype:
    return of(*random.Random(seed).choices(SPACE.operations, k=6))


SIZES = ((8, 6, "cifar"), (9, 3, "cifar"), (32, 3, "imagenet"))


@pytest.mark.parametrize(
    ("genotype", "side", "layers", "stem"),
    [
        (genotype, *SIZES[number % 3])
        for place, genotype in enumerate([*DEAD, *map(drawn, range(8))])
        for number in ((place, place + 1) if genotype in DEAD else (place,))
    ],
    ids=lambda given: SPACE.format(given).strip() if isinstance(given, CellGenotype) else str(given),
)
def test_networks_are_those_of_the_paper(genotype: CellGenotype, side: int, layers: int, stem: str) -> None:
    """Logits, gradients and running statistics in float64; operations off all paths have weights but learn nothing.

    Each cell in one size, those of which a part is dead in two.
    """
    sizes = settings(layers=layers, channels=4, image_size=side, stem=stem)
    network = build_network(genotype.graph(sizes), seed=0).double()
    ops = [(pick.op,) for pick in genotype.picks()]
    oracle = Network(ops, per_stage=layers // 3, channels=4, stem=stem, classes=10).double()
    oracle.load_state_dict(network.state_dict())
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1)).double()
    for training in (True, False):
        results = []
        for model in (network.train(training), oracle.train(training)):
            logits = model(images)
            named = dict(model.named_parameters())
            gradients = torch.autograd.grad(logits.square().sum(), list(named.values()), materialize_grads=True)
            results.append({"logits": logits, **dict(zip(named, gradients, strict=True))})
        ours, theirs = results
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-8, atol=1e-9, msg=name)
    run = {step.node.name for step in network.graph.steps(("classifier",))}
    statistics = oracle.state_dict()
    for name, value in network.state_dict().items():
        if name.rpartition(".")[0] in run:
            torch.testing.assert_close(value, statistics[name], rtol=1e-8, atol=1e-9, msg=name)


def test_what_no_path_crosses_is_not_computed() -> None:
    graph = DEAD[0].graph(settings(layers=3))
    run = {step.node.name for step in graph.steps(("classifier",))}
    convs = {name for name in graph.by_name if name.startswith("cells.0.edges") and name.endswith(".conv")}
    assert convs - run == {"cells.0.edges.1-2.nor_conv_1x1.conv", "cells.0.edges.1-3.nor_conv_3x3.conv"}
    assert convs & run == {"cells.0.edges.0-2.nor_conv_3x3.conv"}


def test_a_disconnected_cell_gives_all_images_one_answer() -> None:
    network = build_network(DEAD[2].graph(settings(layers=3, channels=4, image_size=8)), seed=0)
    logits = network(torch.randn(5, 3, 8, 8))
    assert torch.equal(logits, logits[:1].expand(5, -1))
    network(torch.randn(5, 3, 8, 8)).square().sum().backward()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 1"),
        ("|none~0|+|none~0|none~1|", "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 2"),
        (
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+",
            "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 4",
        ),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "node 1: 'none~0' does not stand between bars"),
        ("|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1: '|' does not stand between bars"),
        ("|none~0|+|none~0|none~1+|none~0|none~1|none~2|", "node 2: '|none~0|none~1' does not stand between bars"),
        (
            "|none~0|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
            "node 1: has 2 edges and needs 1, one from each state before it",
        ),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2: has 1 edge and needs 2, one from each state before it"),
        (
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|none~3|",
            "node 3: has 4 edges and needs 3, one from each state before it",
        ),
        ("|none|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: 'none' names no state, as in none~0"),
        ("||+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: '' names no state, as in skip_connect~0"),
        (
            "|none~0|+|none~0|sep_conv_3x3~1|+|none~0|none~1|none~2|",
            "node 2, edge 1: unknown op 'sep_conv_3x3': did you mean 'nor_conv_3x3'?",
        ),
        ("|~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: unknown op ''"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "node 2, edge 0: must come from ~0, not from ~1"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~3|", "node 3, edge 2: must come from ~2, not from ~3"),
        ("|none~00|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: must come from ~0, not from ~00"),
        ("|none~0~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: must come from ~0, not from ~0~0"),
        ("|none ~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: unknown op 'none '"),
        ("|" + "x" * 9000 + "~0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: unknown op 'xxx"),
    ],
)
def test_a_malformed_text_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        SPACE.parse(text, "cell.txt")
    assert str(caught.value).startswith(f"cell.txt: {message}")
    assert len(str(caught.value)) < 400


def test_all_faults_of_a_text_are_named() -> None:
    with pytest.raises(ArtifactError) as caught:
        SPACE.parse("|nope~0|+|none~0|+|none~0|none~2|none|", "x")
    assert str(caught.value).removeprefix("x: ").split("; ") == [
        "node 1, edge 0: unknown op 'nope': did you mean 'none'? "
        "Known: avg_pool_3x3, none, nor_conv_1x1, nor_conv_3x3, skip_connect",
        "node 2: has 1 edge and needs 2, one from each state before it",
        "node 3, edge 1: must come from ~1, not from ~2",
        "node 3, edge 2: 'none' names no state, as in none~2",
    ]


def test_every_cell_has_its_text() -> None:
    texts = {SPACE.format(genotype) for genotype in genotypes()}
    assert len(texts) == 5**6
    nodes = [
        "|" + "|".join(f"{op}~{source}" for source, op in enumerate(ops)) + "|"
        for node in (1, 2, 3)
        for ops in product(SPACE.operations, repeat=node)
    ]
    one, two, three = nodes[:5], nodes[5:30], nodes[30:]
    assert texts == {f"{a}+{b}+{c}\n" for a, b, c in product(one, two, three)}


def test_a_mixture_keeps_the_strongest_of_every_edge_none_included() -> None:
    rows = [[0.1 if column != row % 5 else 0.6 for column in range(5)] for row in range(6)]
    assert SPACE.keep({"cell": rows}) == of(*SPACE.operations, "none")
    assert SPACE.keep({"cell": [[0.2] * 5] * 6}) == of(*["none"] * 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 4}, "has 3 stages of as many cells each: --layers is a multiple of 3, not 4"),
        ({"layers": 2}, "--layers is a multiple of 3, not 2"),
        ({"image_size": 3}, "images of 3x3 are too small for the cifar stem and 3 stages, which divide a side by 4"),
        ({"image_size": 31, "stem": "imagenet"}, "31x31 are too small for the imagenet stem and 3 stages"),
        ({"channels": 1, "stem": "imagenet"}, "2 channels or more"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        of(*["none"] * 6).graph(settings(**changes))
