"""p(alpha | pi) by hand, against full enumeration, and against frequencies of samples."""

from collections import Counter
from dataclasses import replace
from itertools import product
from math import exp, log, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascli.artifacts import published, tensors
from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.distribution import distribution_bytes, load_distribution
from nascli.artifacts.genotype import Cell, CellGenotype, Pick
from nascli.errors import ArtifactError, UsageError
from tests.artifacts.examples import categorical, provenance

OPS = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")


def one_node(normal: list[list[list[float]]], reduce: list[list[list[float]]] | None = None) -> CategoricalDistribution:
    """Cells of one node with the given probabilities, [draws, inputs, operations]; logits are shifted logarithms."""
    with np.errstate(divide="ignore"):
        logits = {
            name: (np.maximum(np.log(values), -1e4) + 3.0,)
            for name, values in (("normal", normal), ("reduce", reduce or normal))
        }
    return CategoricalDistribution("darts", 1, OPS[: len(normal[0][0])], logits, provenance())


NORMAL = [[[0.5, 0.1], [0.1, 0.3]], [[0.2, 0.1], [0.6, 0.1]]]
REDUCE = [[[0.25, 0.25], [0.25, 0.25]], [[0.0, 1.0], [0.0, 0.0]]]


def picks(cell: Cell) -> list[tuple[tuple[str, int], ...]]:
    return [tuple((pick.op, pick.input) for pick in node) for node in cell.nodes]


def cells_of(pairs: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]) -> CellGenotype:
    normal, reduce = (
        Cell(nodes=(tuple(Pick(op=op, input=source) for op, source in node),), concat=(2,)) for node in (pairs, other)
    )
    return CellGenotype(normal=normal, reduce=reduce)


def test_by_hand() -> None:
    distribution = one_node(NORMAL, REDUCE)
    np.testing.assert_allclose(distribution.probabilities("normal")[0], NORMAL, rtol=1e-12)
    np.testing.assert_allclose(distribution.probabilities("reduce")[0], REDUCE, rtol=1e-12)
    mode = distribution.mode()
    assert picks(mode.normal) == [(("max_pool_3x3", 0), ("max_pool_3x3", 1))]
    assert picks(mode.reduce) == [(("max_pool_3x3", 0), ("skip_connect", 0))]
    assert distribution.log_probability(mode) == pytest.approx(log(0.5 * 0.6 * 0.25 * 1.0))
    # Drawn as (1, max), (0, max): 0.1 * 0.2; the other way round 0.5 * 0.6. It is one network, with the latter.
    pair = (("max_pool_3x3", 0), ("skip_connect", 0))
    assert distribution.log_probability(cells_of((("max_pool_3x3", 1), ("max_pool_3x3", 0)), pair)) == pytest.approx(
        log(0.3 * 0.25)
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
    start = CategoricalDistribution.uniform(4, provenance())
    assert [7 * state for state in range(2, 6)] == [14, 21, 28, 35]
    assert start.total_entropy() == pytest.approx(4 * log(14 * 21 * 28 * 35), rel=1e-14)
    assert round(start.total_entropy(), 2) == 50.28
    assert start.node_entropies("reduce") == pytest.approx([2 * log(7 * state) for state in range(2, 6)], rel=1e-14)
    assert start.entropy_limit() == pytest.approx(start.entropy("normal"), rel=1e-14)
    assert start.operations == (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    assert picks(start.mode().normal) == [(("max_pool_3x3", 0),) * 2] * 4
    assert start.log_probability(start.mode()) == pytest.approx(-start.total_entropy(), rel=1e-14)


def small(seed: int, nodes: int, operations: int, tied: bool = False) -> CategoricalDistribution:
    """A tiny space; `tied` logits take three values only, so that many networks are equally probable."""
    generator = np.random.default_rng(seed)

    def logits(shape: tuple[int, ...]) -> np.ndarray:
        return generator.integers(0, 3, shape).astype(np.float32) if tied else generator.normal(size=shape) * 2

    values = {
        cell: tuple(logits((2, state, operations)) for state in range(2, 2 + nodes)) for cell in ("normal", "reduce")
    }
    return CategoricalDistribution("darts", nodes, OPS[:operations], values, provenance())


def enumerated(distribution: CategoricalDistribution) -> dict[object, tuple[float, list[CellGenotype]]]:
    """Every tuple of draws: by network, the largest probability of its draws, and the genotypes that have it."""
    found: dict[object, tuple[float, list[CellGenotype]]] = {}
    factors = [
        [
            (op, source, float(draw[source, column]))
            for source in range(len(draw))
            for column, op in enumerate(OPS[: draw.shape[1]])
        ]
        for cell in ("normal", "reduce")
        for node in distribution.probabilities(cell)
        for draw in node
    ]
    nodes = distribution.nodes
    for draws in product(*factors):
        probability = prod(p for *_, p in draws)
        chosen = [Pick(op=op, input=source) for op, source, _ in draws]
        pairs = tuple(zip(chosen[::2], chosen[1::2], strict=True))
        concat = tuple(range(2, 2 + nodes))
        genotype = CellGenotype(
            normal=Cell(nodes=pairs[:nodes], concat=concat), reduce=Cell(nodes=pairs[nodes:], concat=concat)
        )
        best, _ = found.get(genotype.network(), (0.0, []))
        if probability > best * (1 + 1e-12):
            found[genotype.network()] = probability, [genotype]
        elif probability > best * (1 - 1e-12):
            found[genotype.network()][1].append(genotype)
    return found


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("nodes", "operations"), [(1, 1), (1, 3), (2, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_top_against_enumeration(seed: int, nodes: int, operations: int, tied: bool) -> None:
    distribution = small(seed, nodes, operations, tied)
    networks = enumerated(distribution)
    top = distribution.top(10_000)
    assert {genotype.network() for genotype, _ in top} == set(networks)
    assert len(top) == len(networks)
    np.testing.assert_allclose(
        [exp(value) for _, value in top], sorted((p for p, _ in networks.values()), reverse=True), rtol=1e-9
    )
    for genotype, value in top:
        probability, orders = networks[genotype.network()]
        assert value == distribution.log_probability(genotype) == pytest.approx(log(probability), abs=1e-9)
        assert genotype in orders, "the likelier order"
    assert top[0][0] == distribution.mode()
    for count in (1, 2, 5):
        assert distribution.top(count) == top[:count]


def test_the_top_where_both_draws_are_alike() -> None:
    """Every pair of two different choices is drawn in two orders of the same probability; it is one network."""
    alike = [[[0.41, 0.3], [0.19, 0.1]]] * 2
    distribution = one_node(alike, [[[1.0, 0.0], [0.0, 0.0]]] * 2)
    by_hand = [0.1681, 0.123, 0.09, 0.0779, 0.057, 0.041, 0.0361, 0.03, 0.019, 0.01]
    for count in range(1, 11):
        top = distribution.top(count)
        assert [exp(value) for _, value in top] == pytest.approx(by_hand[:count], rel=1e-9)
        assert len({genotype.network() for genotype, _ in top}) == count


def test_the_number_of_networks() -> None:
    """One node of two inputs and three operations has 6 * 7 / 2 unordered pairs; both cells, the square of that."""
    assert len(small(0, 1, 3).top(10_000)) == 21**2


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-3, 1.0, 30.0, 1e4])
def test_the_top_of_the_whole_space(scale: float) -> None:
    distribution = categorical(scale=scale)
    top = distribution.top(100)
    values = [value for _, value in top]
    assert len({genotype.network() for genotype, _ in top}) == 100
    assert values == sorted(values, reverse=True)
    assert top[0] == (distribution.mode(), distribution.log_probability(distribution.mode()))
    assert all(np.isfinite(values))
    assert values == [distribution.log_probability(genotype) for genotype, _ in top]
    drawn = [distribution.sample(0, number) for number in range(200)]
    better = {genotype.network() for genotype in drawn if distribution.log_probability(genotype) > values[-1]}
    assert better <= {genotype.network() for genotype, _ in top}


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_a_shift_of_a_draws_logits_changes_nothing(seed: int, shift: float) -> None:
    distribution = categorical(seed=seed)
    moved = {cell: tuple(node.astype(float) + shift for node in nodes) for cell, nodes in distribution.logits.items()}
    shifted = replace(distribution, logits=moved)
    for cell in ("normal", "reduce"):
        for one, other in zip(distribution.probabilities(cell), shifted.probabilities(cell), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
            np.testing.assert_allclose(one.sum(axis=(1, 2)), 1, rtol=1e-12)
    assert shifted.entropy("normal") == pytest.approx(distribution.entropy("normal"))


def test_the_decided_and_the_extreme() -> None:
    generator = np.random.default_rng(0)
    wide = {
        cell: tuple(generator.choice([-1e30, 1e30, -1e4, 1e4], (2, state, 7)) for state in range(2, 6))
        for cell in ("normal", "reduce")
    }
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
            seen = Counter((pick.op, pick.input) for pick in (getattr(d, cell).nodes[0][draw] for d in drawn))
            expected = {
                (op, source): count * probabilities[source, column]
                for source in range(2)
                for column, op in enumerate(OPS[:2])
            }
            assert all(expected[choice] > 1 for choice in seen), "what has no probability is not drawn"
            # Chi-square of at most 3 degrees of freedom: above 16.3 once in a thousand.
            assert sum((seen[c] - n) ** 2 / n for c, n in expected.items() if n > 1) < 16.3
    # The draws are independent: the two of a node, and those of the two cells.
    for one, other in product(range(2), repeat=2):
        pairs = Counter((d.normal.nodes[0][one].input, d.reduce.nodes[0][other].input) for d in drawn)
        first, second = (
            distribution.probabilities(c)[0].sum(axis=2)[i] for c, i in (("normal", one), ("reduce", other))
        )
        assert sum((pairs[a, b] - (n := count * first[a] * second[b])) ** 2 / n for a in (0, 1) for b in (0, 1)) < 16.3
    both = Counter(tuple(pick.input for pick in d.normal.nodes[0]) for d in drawn)
    assert both[0, 0] / count == pytest.approx(0.6 * 0.3, abs=0.02)


def test_a_sample_depends_on_its_seed_and_its_number_alone() -> None:
    start = CategoricalDistribution.uniform(4, provenance())
    many = [start.sample(3, number) for number in range(50)]
    assert [start.sample(3, number) for number in (49, 7, 0)] == [many[49], many[7], many[0]]
    assert len({genotype.network() for genotype in many}) == 50
    assert start.sample(4, 0) not in many
    assert not {genotype.network() for genotype in many} & {start.sample(4, n).network() for n in range(50)}


@pytest.mark.parametrize("nodes", [1, 3, 4])
def test_round_trip(nodes: int) -> None:
    distribution = categorical(nodes)
    data = distribution_bytes(distribution)
    read = load_distribution(data, "run.safetensors")
    assert isinstance(read, CategoricalDistribution)
    assert distribution_bytes(read) == data
    assert read.provenance == distribution.provenance
    assert read.top(3) == distribution.top(3)
    assert sorted(read.tensors()) == [
        f"logits.{cell}.{state}" for cell in ("normal", "reduce") for state in range(2, 2 + nodes)
    ]
    assert read.tensors()["logits.reduce.2"].shape == (2, 2, 7)
    assert read.shared_settings() == {"nodes": nodes}


def test_the_logits_belong_to_the_distribution() -> None:
    logits = {cell: (np.zeros((2, 2, 3), np.float32),) for cell in ("normal", "reduce")}
    distribution = CategoricalDistribution("darts", 1, OPS, logits, provenance())
    logits["normal"][0][0, 1, 2] = 9
    assert picks(distribution.mode().normal) == [(("max_pool_3x3", 0),) * 2]
    with pytest.raises(ValueError, match="read-only"):
        distribution.logits["normal"][0][0, 1, 2] = 9


def altered(values: dict[str, np.ndarray | None] | None = None, **settings: object) -> bytes:
    """A file with other tensors (None: without) or settings, under a right digest."""
    arrays, document = tensors.decode(distribution_bytes(categorical(2)), "x")
    merged = {name: array for name, array in {**arrays, **(values or {})}.items() if array is not None}
    return tensors.encode(merged, document | {"settings": document["settings"] | settings})


GOOD = np.zeros((2, 2, 7), np.float32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(nodes="2"), 'a categorical needs "space" (text), "nodes" (whole number)'),
        (altered(nodes=True), 'a categorical needs "space"'),
        (altered(more=1), 'a categorical needs "space"'),
        (altered(nodes=0), "nodes: 0 is not from 1 to 32"),
        (altered(nodes=10**9), "nodes: 1000000000 is not from 1 to 32"),
        (altered(nodes=1), "unknown tensor 'logits.normal.3' (nodes: 1)"),
        (altered(nodes=3), "the tensor 'logits.normal.4' is missing (nodes: 3)"),
        (altered(space="dart"), "unknown space 'dart': did you mean 'darts'?"),
        (altered(operations=[]), "operations: there is none"),
        (altered(operations=["none", *OPS]), "operations[0]: unknown op 'none'"),
        (altered(operations=["skip_connect"] * 7), "operations[1]: skip_connect is there twice"),
        (altered(operations=list(OPS)), "logits.normal.2: has shape [2, 2, 7]; [2, 2, 3] is needed"),
        (altered({"logits.reduce.3": None}), "the tensor 'logits.reduce.3' is missing"),
        (altered({"logits.other.2": GOOD}), "unknown tensor 'logits.other.2'"),
        (altered({"logits.normal.2": GOOD[:1]}), "logits.normal.2: has shape [1, 2, 7]; [2, 2, 7] is needed"),
        (altered({"logits.normal.2": GOOD.astype(int)}), "logits.normal.2: is of type int64"),
        (altered({"logits.normal.2": GOOD + np.nan}), "logits.normal.2: has values that are not finite"),
        (altered({"logits.reduce.2": GOOD.astype(float) + 1e300}), "logits.reduce.2: has values beyond 1e+30"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        load_distribution(data, "run.safetensors")
    assert str(caught.value).startswith("run.safetensors: ")
    assert message in str(caught.value)


def test_what_was_made_in_python_is_checked_too() -> None:
    with pytest.raises(ValueError, match="logits: is for \\['normal'\\]; \\['normal', 'reduce'\\] are needed"):
        CategoricalDistribution("darts", 1, OPS, {"normal": (np.zeros((2, 2, 3)),)}, provenance())
    with pytest.raises(ValueError, match="logits.normal: is of 2 nodes; 1 are needed"):
        replace(categorical(2), nodes=1)


def test_networks_that_the_distribution_is_not_over() -> None:
    distribution = categorical(4)
    for name, message in {
        "pc-darts-cifar10": None,
        "nasnet-a": "the normal cell is none of the distribution's, which are of the space 'darts' and have 4 nodes",
    }.items():
        genotype = published.load(name).genotype
        if message is None:
            assert distribution.log_probability(genotype) < 0
        else:
            with pytest.raises(UsageError, match=message):
                distribution.log_probability(genotype)
    twice = ("skip_connect", 0)
    narrow = one_node(NORMAL)
    with pytest.raises(UsageError, match=r"normal.nodes\[0\] has sep_conv_3x3, which the distribution is not over"):
        narrow.log_probability(cells_of((("sep_conv_3x3", 0), twice), (twice, twice)))
    with pytest.raises(UsageError, match=r"reduce.nodes\[0\] has 3 picks"):
        narrow.log_probability(cells_of((twice, twice), (twice, twice, twice)))
