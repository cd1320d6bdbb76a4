"""p(alpha | pi) by hand, against full enumeration, and against frequencies of samples."""

from collections import Counter
from dataclasses import replace
from itertools import product
from math import exp, log, prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.files import tensors
from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import Cell, CellGenotype, Pick
from nascli.artifacts.load import read_artifact
from nascli.errors import ArtifactError, UsageError
from nascli.spaces import cell_space
from nascli.spaces.darts import Darts
from nascli.spaces.protocol import CellSpace
from tests.artifacts.examples import bytes_of, categorical, file_of, provenance
from tests.truth_table import genotypes

OPS = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")
DARTS, NAS_BENCH = cell_space("darts"), cell_space("nas-bench-201")


def few(operations: int, nodes: int) -> CellSpace:
    """The space `darts` with so few operations that all its cells can be enumerated."""
    return type("Few", (Darts,), {"operations": ("none", *OPS[:operations])})(nodes)


def one_node(normal: list[list[list[float]]], reduce: list[list[list[float]]] | None = None) -> CategoricalDistribution:
    """Cells of one node with the given probabilities, [draws, inputs, operations]; logits are shifted logs."""
    with np.errstate(divide="ignore"):
        logits = [np.maximum(np.log(values), -1e4).reshape(2, -1) + 3.0 for values in (normal, reduce or normal)]
    return CategoricalDistribution(few(len(normal[0][0]), 1), logits)


NORMAL = [[[0.5, 0.1], [0.1, 0.3]], [[0.2, 0.1], [0.6, 0.1]]]
REDUCE = [[[0.25, 0.25], [0.25, 0.25]], [[0.0, 1.0], [0.0, 0.0]]]


def picks(cell: Cell) -> list[tuple[tuple[str, int], ...]]:
    return [tuple((pick.op, pick.input) for pick in node) for node in cell.nodes]


def cells_of(pairs: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]) -> CellGenotype:
    normal, reduce = (
        Cell(nodes=(tuple(Pick(op=op, input=source) for op, source in node),), concat=(2,)) for node in (pairs, other)
    )
    return CellGenotype(cells={"normal": normal, "reduce": reduce})


def test_by_hand() -> None:
    distribution = one_node(NORMAL, REDUCE)
    for cell, values in (("normal", NORMAL), ("reduce", REDUCE)):
        (found,) = distribution.probabilities(cell)
        np.testing.assert_allclose(found, np.reshape(values, (2, 4)), rtol=1e-12)
    mode = distribution.mode()
    assert picks(mode.cells["normal"]) == [(("max_pool_3x3", 0), ("max_pool_3x3", 1))]
    assert picks(mode.cells["reduce"]) == [(("max_pool_3x3", 0), ("skip_connect", 0))]
    # Drawn as (0, max), (1, max): 0.5 * 0.6; the other way round 0.1 * 0.2. It is one network, with both.
    assert distribution.log_probability(mode) == pytest.approx(log((0.5 * 0.6 + 0.1 * 0.2) * 0.25 * 1.0))
    pair = (("max_pool_3x3", 0), ("skip_connect", 0))
    assert distribution.log_probability(cells_of((("max_pool_3x3", 1), ("max_pool_3x3", 0)), pair)) == pytest.approx(
        log(0.32 * 0.25)
    )
    draw_1 = 0.5 * log(2) + 2 * 0.1 * log(10) - 0.3 * log(0.3)
    draw_2 = -0.2 * log(0.2) + 2 * 0.1 * log(10) - 0.6 * log(0.6)
    assert distribution.entropy("normal") == pytest.approx(draw_1 + draw_2, rel=1e-12)
    assert distribution.entropy("reduce") == pytest.approx(log(4), rel=1e-12)
    assert distribution.total_entropy() == pytest.approx(draw_1 + draw_2 + log(4), rel=1e-12)
    ((first, second),) = distribution.likeliest("normal", 2)
    assert [choice[:2] for choice in first] == [("max_pool_3x3", 0), ("skip_connect", 1)]
    assert [choice.probability for choice in second] == pytest.approx([0.6, 0.2])


def test_the_entropy_of_the_beginning() -> None:
    """The n-th of 4 nodes draws twice among (n + 1) * 7 pairs, in both cells: 4 log(14 * 21 * 28 * 35)."""
    start = CategoricalDistribution.uniform(DARTS)
    assert [7 * state for state in range(2, 6)] == [14, 21, 28, 35]
    assert start.total_entropy() == pytest.approx(4 * log(14 * 21 * 28 * 35), rel=1e-14)
    assert round(start.total_entropy(), 2) == 50.28
    assert start.entropies("reduce") == pytest.approx([2 * log(7 * state) for state in range(2, 6)], rel=1e-14)
    assert start.entropy_limit("normal") == pytest.approx(start.entropy("normal"), rel=1e-14)
    assert tuple(pick.op for pick in start.decisions[0].options[:7]) == (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    assert picks(start.mode().cells["normal"]) == [(("max_pool_3x3", 0),) * 2] * 4
    assert start.log_probability(start.mode()) == pytest.approx(-start.total_entropy(), rel=1e-14)


def small(seed: int, nodes: int, operations: int, tied: bool = False) -> CategoricalDistribution:
    """A tiny space; `tied` logits take three values only, so that many networks are equally probable."""
    generator = np.random.default_rng(seed)

    def logits(shape: tuple[int, ...]) -> np.ndarray:
        return generator.integers(0, 3, shape).astype(np.float32) if tied else generator.normal(size=shape) * 2

    space = few(operations, nodes)
    values = [logits((decision.draws, len(decision.options))) for decision in space.decisions()]
    return CategoricalDistribution(space, values)


def enumerated(distribution: CategoricalDistribution) -> dict[object, tuple[float, float, list[CellGenotype]]]:
    """All tuples of draws: for each network the sum of their probabilities, the largest, and the genotypes with it."""
    found: dict[object, tuple[float, float, list[CellGenotype]]] = {}
    nodes = distribution.space.nodes
    operations = OPS[: len(distribution.space.operations) - 1]
    factors = [
        [
            (op, source, float(draw[source * len(operations) + column]))
            for source in range(state)
            for column, op in enumerate(operations)
        ]
        for cell in ("normal", "reduce")
        for state, node in enumerate(distribution.probabilities(cell), start=2)
        for draw in node
    ]
    for draws in product(*factors):
        probability = prod(p for *_, p in draws)
        chosen = [Pick(op=op, input=source) for op, source, _ in draws]
        pairs = tuple(zip(chosen[::2], chosen[1::2], strict=True))
        concat = tuple(range(2, 2 + nodes))
        genotype = CellGenotype(
            cells={
                "normal": Cell(nodes=pairs[:nodes], concat=concat),
                "reduce": Cell(nodes=pairs[nodes:], concat=concat),
            }
        )
        total, best, likeliest = found.get(genotype.network(), (0.0, 0.0, []))
        if probability > best * (1 + 1e-12):
            best, likeliest = probability, [genotype]
        elif probability > best * (1 - 1e-12):
            likeliest = [*likeliest, genotype]
        found[genotype.network()] = total + probability, best, likeliest
    return found


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("nodes", "operations"), [(1, 1), (1, 3), (2, 1)])
@pytest.mark.parametrize("seed", range(2))
def test_top_against_enumeration(seed: int, nodes: int, operations: int, tied: bool) -> None:
    distribution = small(seed, nodes, operations, tied)
    networks = enumerated(distribution)
    top = distribution.top(10_000)
    assert {genotype.network() for genotype, _ in top} == set(networks)
    assert len(top) == len(networks)
    np.testing.assert_allclose(
        [exp(value) for _, value in top], sorted((p for p, *_ in networks.values()), reverse=True), rtol=1e-9
    )
    assert sum(exp(value) for _, value in top) == pytest.approx(1, abs=1e-12)
    for genotype, value in top:
        probability, _, orders = networks[genotype.network()]
        assert value == pytest.approx(distribution.log_probability(genotype), abs=1e-12)
        assert value == pytest.approx(log(probability), abs=1e-9)
        assert genotype in orders, "the likelier order"
    assert distribution.mode() in max(networks.values(), key=lambda row: row[1])[2] or tied, "the likeliest draws"
    for count in (1, 2, 5):
        assert distribution.top(count) == top[:count]


def test_the_top_where_both_draws_are_alike() -> None:
    """Every pair of two different choices is drawn in two orders of the same probability; it is one network."""
    alike = [[[0.41, 0.3], [0.19, 0.1]]] * 2
    distribution = one_node(alike, [[[1.0, 0.0], [0.0, 0.0]]] * 2)
    by_hand = [0.246, 0.1681, 0.1558, 0.114, 0.09, 0.082, 0.06, 0.038, 0.0361, 0.01]
    assert sum(by_hand) == pytest.approx(1)
    assert distribution.mode().network() != distribution.top(1)[0][0].network(), "two equal draws of 0.41"
    for count in range(1, 11):
        top = distribution.top(count)
        assert [exp(value) for _, value in top] == pytest.approx(by_hand[:count], rel=1e-9)
        assert len({genotype.network() for genotype, _ in top}) == count


def test_the_number_of_networks() -> None:
    """One node of two inputs and three operations has 6 * 7 / 2 unordered pairs; both cells, the square of that."""
    assert len(small(0, 1, 3).top(10_000)) == 21**2


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1.0, 1e4])
def test_the_top_of_a_large_space(scale: float) -> None:
    distribution = categorical(2, scale=scale)
    top = distribution.top(100)
    values = [value for _, value in top]
    assert len({genotype.network() for genotype, _ in top}) == 100
    assert values == sorted(values, reverse=True)
    assert values[0] >= distribution.log_probability(distribution.mode()) - 1e-12
    assert all(np.isfinite(values))
    assert values == pytest.approx([distribution.log_probability(genotype) for genotype, _ in top], abs=1e-12)
    drawn = [distribution.sample(0, number) for number in range(200)]
    better = {genotype.network() for genotype in drawn if distribution.log_probability(genotype) > values[-1]}
    assert better <= {genotype.network() for genotype, _ in top}


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
@settings(max_examples=20)
def test_a_shift_of_a_draws_logits_changes_nothing(seed: int, shift: float) -> None:
    distribution = categorical(seed=seed)
    shifted = replace(distribution, logits=[values.astype(float) + shift for values in distribution.logits])
    for cell in ("normal", "reduce"):
        for one, other in zip(distribution.probabilities(cell), shifted.probabilities(cell), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
            np.testing.assert_allclose(one.sum(axis=1), 1, rtol=1e-12)
    assert shifted.entropy("normal") == pytest.approx(distribution.entropy("normal"))


def test_the_decided_and_the_extreme() -> None:
    generator = np.random.default_rng(0)
    wide = [generator.choice([-1e30, 1e30, -1e4, 1e4], values.shape) for values in categorical().logits]
    for distribution in (categorical(scale=1e4), replace(categorical(), logits=wide)):
        assert np.isfinite(distribution.total_entropy())
        assert np.isfinite(distribution.log_probability(distribution.top(5)[4][0]))
    decided = [[[0.0, 1.0], [0.0, 0.0]]] * 2
    assert one_node(decided).total_entropy() == 0.0
    assert one_node(decided).log_probability(one_node(decided).mode()) == 0.0
    assert one_node(decided).sample(5, 3) == one_node(decided).mode()


def test_samples_follow_the_probabilities() -> None:
    distribution = one_node(NORMAL, [[[0.7, 0.1], [0.1, 0.1]], [[0.0, 0.5], [0.5, 0.0]]])
    count = 4000
    drawn = [distribution.sample(7, number) for number in range(count)]
    for cell in ("normal", "reduce"):
        for draw, probabilities in enumerate(distribution.probabilities(cell)[0]):
            seen = Counter((pick.op, pick.input) for pick in (d.cells[cell].nodes[0][draw] for d in drawn))
            expected = {
                (op, source): count * probabilities[2 * source + column]
                for source in range(2)
                for column, op in enumerate(OPS[:2])
            }
            assert all(expected[choice] > 1 for choice in seen), "what has no probability is not drawn"
            # Chi-square of at most 3 degrees of freedom: above 16.3 once in a thousand.
            assert sum((seen[c] - n) ** 2 / n for c, n in expected.items() if n > 1) < 16.3
    # The draws are independent: the two of a node, and those of the two cells.
    for one, other in product(range(2), repeat=2):
        pairs = Counter((d.cells["normal"].nodes[0][one].input, d.cells["reduce"].nodes[0][other].input) for d in drawn)
        first, second = (
            distribution.probabilities(c)[0][i].reshape(2, 2).sum(axis=1)
            for c, i in (("normal", one), ("reduce", other))
        )
        assert sum((pairs[a, b] - (n := count * first[a] * second[b])) ** 2 / n for a in (0, 1) for b in (0, 1)) < 16.3
    both = Counter(tuple(pick.input for pick in d.cells["normal"].nodes[0]) for d in drawn)
    assert both[0, 0] / count == pytest.approx(0.6 * 0.3, abs=0.02)


def test_a_sample_depends_on_its_seed_and_its_number_alone() -> None:
    start = CategoricalDistribution.uniform(DARTS)
    many = [start.sample(3, number) for number in range(50)]
    assert [start.sample(3, number) for number in (49, 7, 0)] == [many[49], many[7], many[0]]
    assert len({genotype.network() for genotype in many}) == 50
    assert start.sample(4, 0) not in many
    assert not {genotype.network() for genotype in many} & {start.sample(4, n).network() for n in range(50)}


def uniform_grid(count: int, draws: int, seed: int = 0) -> np.ndarray:
    """In every column the midpoints of `count` equal parts of [0, 1), in an order of its own. [count, draws]"""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation((np.arange(count) + 0.5) / count) for _ in range(draws)], axis=1)


def rows_of(distribution: CategoricalDistribution) -> list[np.ndarray]:
    """The probabilities of every draw, in the order of the choices."""
    return [draw for cell in distribution.space.cells for values in distribution.probabilities(cell) for draw in values]


@pytest.mark.parametrize("space", ["darts", "nas-bench-201"])
def test_draws_take_every_option_as_often_as_it_is_likely(space: str) -> None:
    """Of evenly spaced numbers each option gets its share, give or take one for rounding at its two ends."""
    distribution, count = categorical(space=space), 5000
    rows = rows_of(distribution)
    choices = distribution.draw(uniform_grid(count, len(rows)))
    assert choices.shape == (count, len(rows))
    for column, row in zip(choices.T, rows, strict=True):
        np.testing.assert_allclose(np.bincount(column, minlength=len(row)), count * row, atol=1)


def test_a_draw_by_hand() -> None:
    """In NORMAL's first draw the options end at 0.5, 0.6, 0.7 and 1; an option of probability 0 takes no room."""
    distribution = one_node(NORMAL, [[[0.0, 0.5], [0.5, 0.0]]] * 2)
    for numbers, expected in {
        (0.0, 0.0, 0.0, 0.0): [0, 0, 1, 1],
        (0.49, 0.19, 0.49, 0.51): [0, 0, 1, 2],
        (0.51, 0.21, 0.51, 0.49): [1, 1, 2, 1],
        (0.69, 0.31, 0.99, 0.99): [2, 2, 2, 2],
        (0.71, 0.91, 1 - 2**-53, 1 - 2**-53): [3, 3, 2, 2],
    }.items():
        assert distribution.draw(np.array(numbers)).tolist() == expected
        assert distribution.draw(np.array([numbers, numbers])).tolist() == [expected, expected]


def test_the_largest_number_draws_an_option_where_rounding_keeps_the_sum_under_one() -> None:
    generator, largest = np.random.default_rng(0), 1 - 2**-53
    rounded_down = 0
    for _ in range(50):
        logits = [6 * generator.normal(size=(1, 5)).astype(np.float32) for _ in NAS_BENCH.decisions()]
        distribution = CategoricalDistribution(NAS_BENCH, logits)
        rounded_down += sum(np.exp(row[0]).cumsum()[-1] < 1 for row in distribution.log_probabilities)
        assert distribution.draw(np.full(6, largest)).max() <= 4
    assert rounded_down > 20


@pytest.mark.parametrize("space", ["darts", "nas-bench-201"])
def test_the_gradient_is_that_of_autograd(space: str) -> None:
    """The gradient of the children's weighted log-probability by the logits; weights may be negative."""
    distribution, generator = categorical(space=space, scale=2.0), np.random.default_rng(1)
    choices = distribution.draw(generator.random((7, len(rows_of(distribution)))))
    weights = generator.normal(size=7)
    logits = [torch.tensor(values, dtype=torch.float64).requires_grad_() for values in distribution.logits]
    rows = [row for values in logits for row in values.log_softmax(dim=1)]
    total = sum(
        weight * row[choice]
        for weight, child in zip(weights, choices, strict=True)
        for row, choice in zip(rows, child, strict=True)
    )
    found = distribution.gradient(choices, weights)
    for mine, theirs in zip(found, torch.autograd.grad(total, logits), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=0, atol=1e-12)


def test_every_edge_of_nas_bench_201_is_a_decision() -> None:
    names = ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]
    start = CategoricalDistribution.uniform(NAS_BENCH)
    assert [decision.name for decision in start.decisions] == names
    assert [values.shape for values in start.probabilities("cell")] == [(1, 5)] * 6
    assert start.total_entropy() == pytest.approx(log(15_625), rel=1e-14)
    assert start.entropies("cell") == pytest.approx([log(5)] * 6, rel=1e-14)
    assert sorted(start.tensors()) == [f"logits.cell.{name}" for name in sorted(names)]
    drawn = start.sample(0, 0)
    assert [(pick.input, index) for index, node in enumerate(drawn.cells["cell"].nodes, 1) for pick in node] == [
        tuple(map(int, name.split("-"))) for name in names
    ]


@pytest.fixture(scope="module")
def everything() -> tuple[CellGenotype, ...]:
    """The 15,625 cells of nas-bench-201: the last edge's operation changes fastest."""
    return genotypes()


def test_the_top_of_nas_bench_201_is_all_of_it_in_order(everything: tuple[CellGenotype, ...]) -> None:
    distribution = categorical(space="nas-bench-201", scale=1.0)
    by_edge = [np.log(row) for row in rows_of(distribution)]
    values = by_edge[0]
    for row in by_edge[1:]:
        values = np.add.outer(values, row).ravel()
    assert np.exp(values).sum() == pytest.approx(1, rel=1e-9)
    position = {genotype.network(): place for place, genotype in enumerate(everything)}
    assert len(position) == 5**6 == 15_625
    top = distribution.top(20_000)
    places = [position[genotype.network()] for genotype, _ in top]
    assert sorted(places) == list(range(15_625)), "every cell once"
    np.testing.assert_allclose([value for _, value in top], values[places], rtol=1e-9)
    np.testing.assert_allclose([value for _, value in top], np.sort(values)[::-1], rtol=1e-9)
    for genotype, value in top[::1000]:
        assert distribution.log_probability(genotype) == value
    assert top[0] == (distribution.mode(), distribution.log_probability(distribution.mode()))
    assert exp(top[0][1]) == pytest.approx(prod(row.max() for row in rows_of(distribution)), rel=1e-9)
    assert distribution.top(7) == top[:7]


def test_the_top_of_nas_bench_201_where_all_cells_are_alike() -> None:
    undecided = categorical(space="nas-bench-201", scale=0.0)
    top = undecided.top(300)
    assert len({genotype.network() for genotype, _ in top}) == 300
    assert [value for _, value in top] == pytest.approx([-6 * log(5)] * 300, rel=1e-12)
    assert top[0][0] == undecided.mode()


@pytest.mark.parametrize("nodes", [1, 3, 4])
def test_round_trip(nodes: int) -> None:
    distribution = categorical(nodes)
    file = file_of(distribution)
    data = distribution_bytes(file)
    read = read_artifact(data, "run.safetensors").value
    assert distribution_bytes(read) == data
    assert read.provenance == file.provenance
    found = read.distribution
    assert isinstance(found, CategoricalDistribution)
    assert found.space == distribution.space
    assert found.top(3) == distribution.top(3)
    assert sorted(found.tensors()) == [
        f"logits.{cell}.{state}" for cell in ("normal", "reduce") for state in range(2, 2 + nodes)
    ]
    assert found.tensors()["logits.reduce.2"].shape == (2, 14)
    assert found.shared_settings(read.provenance) == {"space": "darts", "nodes": nodes}


def test_round_trip_of_nas_bench_201() -> None:
    distribution = categorical(space="nas-bench-201")
    read = read_artifact(bytes_of(distribution), "run.safetensors").value.distribution
    assert isinstance(read, CategoricalDistribution)
    assert read.space == NAS_BENCH
    assert read.top(3) == distribution.top(3)
    assert read.shared_settings(provenance()) == {"space": "nas-bench-201", "nodes": 3}


def test_the_logits_belong_to_the_distribution() -> None:
    logits = [np.zeros((2, 6), np.float32) for _ in range(2)]
    distribution = CategoricalDistribution(few(3, 1), logits)
    logits[0][0, 5] = 9
    assert picks(distribution.mode().cells["normal"]) == [(("max_pool_3x3", 0),) * 2]
    with pytest.raises(ValueError, match="read-only"):
        distribution.logits[0][0, 5] = 9


def altered(values: dict[str, np.ndarray | None] | None = None, **settings: object) -> bytes:
    """A file with other tensors (None removes one) or settings, and a matching digest."""
    arrays, document = tensors.decode(bytes_of(categorical(2)), "x")
    merged = {name: array for name, array in {**arrays, **(values or {})}.items() if array is not None}
    return tensors.encode(merged, document | {"settings": document["settings"] | settings})


GOOD = np.zeros((2, 14), np.float32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(nodes="2"), 'a categorical needs "space" (text), "nodes" (whole number)'),
        (altered(nodes=True), 'a categorical needs "space"'),
        (altered(more=1), 'a categorical needs "space"'),
        (altered(nodes=0), "nodes: 0 is less than 1"),
        (altered(nodes=10**9), "nodes: cells of the space darts have 1 to 12 nodes, not 1000000000"),
        (altered(nodes=1), "unknown tensor 'logits.normal.3' (nodes: 1)"),
        (altered(nodes=3), "the tensor 'logits.normal.4' is missing (nodes: 3)"),
        (altered(space="dart"), "unknown space 'dart': did you mean 'darts'?"),
        (altered(operations=[]), "operations: [] are not those of the space 'darts', ['none', 'max_pool_3x3', 'avg_"),
        (
            altered(operations=["none", *OPS]),
            "operations: ['none', 'max_pool_3x3', 'skip_connect', 'sep_conv_3x3'] are",
        ),
        (altered(operations=list(DARTS.operations[1:])), "are not those of the space 'darts'"),
        (altered({"logits.reduce.3": None}), "the tensor 'logits.reduce.3' is missing"),
        (altered({"logits.other.2": GOOD}), "unknown tensor 'logits.other.2'"),
        (altered({"logits.normal.2": GOOD[:1]}), "logits.normal.2: has shape [1, 14]; [2, 14] is needed"),
        (
            altered({"logits.normal.2": GOOD.reshape(2, 2, 7)}),
            "logits.normal.2: has shape [2, 2, 7]; [2, 14] is needed",
        ),
        (altered({"logits.normal.2": GOOD.astype(int)}), "logits.normal.2: is of type int64"),
        (altered({"logits.normal.2": GOOD + np.nan}), "logits.normal.2: has values that are not finite"),
        (altered({"logits.reduce.2": GOOD.astype(float) + 1e300}), "logits.reduce.2: has values beyond 1e+30"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(data, "run.safetensors")
    assert str(caught.value).startswith("run.safetensors: ")
    assert message in str(caught.value)


def test_what_was_made_in_python_is_checked_too() -> None:
    with pytest.raises(ValueError, match="logits: are for 1 decisions; 2 are needed"):
        CategoricalDistribution(few(3, 1), [np.zeros((2, 6))])
    with pytest.raises(ValueError, match="logits: are for 4 decisions; 2 are needed"):
        replace(categorical(2), space=cell_space("darts", 1))
    with pytest.raises(ValueError, match=r"logits.reduce.2: has shape \[2, 5\]; \[2, 6\] is needed"):
        CategoricalDistribution(few(3, 1), [np.zeros((2, 6)), np.zeros((2, 5))])


def test_networks_that_the_distribution_is_not_over() -> None:
    distribution = categorical()
    assert distribution.log_probability(published.load("pc-darts-cifar10").genotype) < 0
    twice, other = ("skip_connect", 0), ("sep_conv_3x3", 0)
    narrow, nas_bench = one_node(NORMAL), categorical(space="nas-bench-201")
    wide = published.load("nasnet-a").genotype
    alike = narrow.mode().cells["normal"]
    longer = CellGenotype(cells={"normal": alike, "reduce": Cell(nodes=alike.nodes * 2, concat=(2, 3))})
    for over, genotype, message in [
        (distribution, wide, r"reduce.nodes\[0\] does not belong to the distribution: .* made of 2 of the options"),
        (distribution, cells_of((twice, twice), (twice, twice)), r"normal.nodes\[1\] .* options of decision 3"),
        (
            narrow,
            cells_of((other, twice), (twice, twice)),
            r"normal.nodes\[0\] does not belong .* options of decision 2",
        ),
        (narrow, cells_of((twice, twice), (twice,)), r"reduce.nodes\[0\] does not belong .* made of 2 of the options"),
        (narrow, cells_of((twice, twice), (twice,) * 3), "whose cells are of the space 'darts' and have 1 nodes"),
        (narrow, longer, "whose cells are of the space 'darts' and have 1 nodes"),
        (distribution, nas_bench.mode(), "of the space 'nas-bench-201', the distribution's of 'darts'"),
        (nas_bench, distribution.mode(), "of the space 'darts', the distribution's of 'nas-bench-201'"),
    ]:
        with pytest.raises(UsageError, match=message):
            over.log_probability(genotype)


def test_the_mode_without_none_is_the_likeliest_of_the_others() -> None:
    logits = [
        np.array([[3.0, 1.0, 2.0, 2.0, 0.0]], np.float32),
        *[np.array([[0.0, 0.0, 0.0, 0.0, 1.0]], np.float32)] * 5,
    ]
    distribution = CategoricalDistribution(NAS_BENCH, logits)
    assert [pick.op for pick in distribution.mode().picks()] == ["none", *["avg_pool_3x3"] * 5]
    assert [pick.op for pick in distribution.mode_within(CellLimits(without_none=True)).picks()] == [
        "nor_conv_1x1",
        *["avg_pool_3x3"] * 5,
    ]
    with pytest.raises(UsageError, match="cells of darts are derived without none anyway"):
        CategoricalDistribution.uniform(DARTS).mode_within(CellLimits(without_none=True))


def course_of(*epochs: CategoricalDistribution) -> dict[str, np.ndarray]:
    return {name: np.stack([one.tensors()[name] for one in epochs]) for name in epochs[0].tensors()}


def test_an_average_is_of_the_logits_of_the_last_epochs_and_survives_the_file() -> None:
    epochs = [categorical(seed=seed, space="nas-bench-201") for seed in range(4)]
    file = replace(file_of(epochs[-1]), course=course_of(*epochs), weights={"a.b": np.ones(3, np.float32)})
    read = read_artifact(distribution_bytes(file), "file").value
    assert read.weights is not None
    assert read.weights["a.b"].tolist() == [1, 1, 1]
    for count in (1, 2, 4):
        found = read.averaged(count).tensors()
        for name, values in found.items():
            mean = np.mean([one.tensors()[name] for one in epochs[-count:]], axis=0)
            np.testing.assert_allclose(values, mean, rtol=1e-6)
    assert read.averaged(1).mode() == epochs[-1].mode()
    for count in (0, 5):
        with pytest.raises(
            UsageError, match=f"an average can be of 1 to 4 epochs, as many as the search had, not of {count}"
        ):
            read.averaged(count)
    with pytest.raises(UsageError, match="of a categorical only the last epoch is known"):
        file_of(epochs[0]).averaged(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("logits.cell.0-1"), "course.logits.cell.0-1: is missing, or has no counterpart"),
        (lambda c: c.update({"x": np.ones((2, 1))}), "course.x: is missing, or has no counterpart"),
        (
            lambda c: c.update({"logits.cell.0-1": np.ones((2, 1, 4), np.float32)}),
            "course.logits.cell.0-1: does not have",
        ),
        (lambda c: c.update({"logits.cell.0-1": np.ones((2, 1, 5))}), "course.logits.cell.0-1: does not have the type"),
        (lambda c: c["logits.cell.0-1"].__setitem__(0, np.nan), "course.logits.cell.0-1: does not have"),
        (
            lambda c: c["logits.cell.0-1"].__setitem__(-1, 9.0),
            "course.logits.cell.0-1: does not end in logits.cell.0-1",
        ),
    ],
)
def test_a_course_that_is_not_the_distributions_is_refused(change, message: str) -> None:
    one = categorical(space="nas-bench-201")
    course = course_of(one, one)
    change(course)
    with pytest.raises(ArtifactError, match=f"^file: {message}"):
        read_artifact(distribution_bytes(replace(file_of(one), course=course)), "file")
