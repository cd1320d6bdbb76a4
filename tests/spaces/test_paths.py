"""Which cells are disconnected: by paths written out, by the benchmark's accuracies, and in cells of any wiring."""

import random
from itertools import combinations, pairwise

import pytest

from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import Cell, CellGenotype
from tests.truth_table import genotypes, of_the_benchmark

BENCHMARK = cell_space("nas-bench-201")
PATHS = (("0-3",), ("0-1", "1-3"), ("0-2", "2-3"), ("0-1", "1-2", "2-3"))
"""All ways through a cell of NAS-Bench-201."""


def edges(genotype: CellGenotype) -> dict[str, str]:
    """Its operations by edge."""
    nodes = enumerate(genotype.cells["cell"].nodes, start=1)
    return {f"{pick.input}-{node}": pick.op for node, picks in nodes for pick in picks}


@pytest.fixture(scope="module")
def benchmark_cells() -> tuple[CellGenotype, ...]:
    """All of them: it takes longer to make them than to look at them."""
    return genotypes()


def test_of_the_benchmarks_cells_341_are_disconnected(benchmark_cells: tuple[CellGenotype, ...]) -> None:
    """0-3 is `none`, and every other path is cut: with `none` on 1-2, one edge of 0-1, 1-3 and one of 0-2, 2-3.

    Of 0-1 and 1-3, and of 0-2 and 2-3, 9 of 25 pairs have a `none`: 9 * 9 = 81 cells without 1-2. With it (4 ways) and
    0-1 (4), 1-3 and 2-3 are `none`, 0-2 is any (5): 80. With it and without 0-1, 1-3 is any (5), and 9 of 0-2 and 2-3:
    4 * 45 = 180. Together 81 + 80 + 180 = 341.
    """
    found = set()
    for genotype in benchmark_cells:
        ops = edges(genotype)
        connected = any(all(ops[edge] != "none" for edge in path) for path in PATHS)
        assert genotype.disconnected_cells() == (() if connected else ("cell",)), ops
        if not connected:
            found.add(genotype)
    assert len(found) == 81 + 4 * 4 * 5 + 4 * 5 * 9 == 341


def test_they_are_the_ones_that_guess(benchmark_cells: tuple[CellGenotype, ...]) -> None:
    """In the benchmark they reach exactly 10 % on CIFAR-10's ten classes, and no other cell does."""
    table = of_the_benchmark()
    for genotype in benchmark_cells:
        assert (table.accuracy(genotype, "cifar10_test") == 10.0) is bool(genotype.disconnected_cells())


def drawn(seed: int, *, inputs: int, nodes: int) -> Cell:
    """A cell of any wiring, half of its picks `none`."""
    draw = random.Random(seed)
    picks = [
        [
            {"op": draw.choice(["none", "skip_connect"]), "input": draw.randrange(node)}
            for _ in range(draw.randint(1, 3))
        ]
        for node in range(inputs, inputs + nodes)
    ]
    concat = draw.sample(range(inputs, inputs + nodes), draw.randint(1, 2))
    return Cell.model_validate({"nodes": picks, "concat": concat})


@pytest.mark.parametrize("seed", range(60))
def test_live_states_are_those_of_all_chains_of_operations(seed: int) -> None:
    """By trying every chain of rising states from an input to one that is concatenated."""
    inputs, nodes = 2, 5
    cell = drawn(seed, inputs=inputs, nodes=nodes)
    linked = {(p.input, node) for node, picks in enumerate(cell.nodes, inputs) for p in picks if p.op != "none"}
    live: set[int] = set()
    read = set(cell.concat)
    for length in range(2, inputs + nodes + 1):
        for chain in combinations(range(inputs + nodes), length):
            if chain[-1] in cell.concat and all(link in linked for link in pairwise(chain)):
                read |= set(chain)
                live |= set(chain) if chain[0] < inputs else set()
    assert cell.live_states(inputs) == live
    assert cell.read_states(inputs) == read
    genotype = CellGenotype.model_construct(space="darts", cells={"normal": cell})
    assert genotype.disconnected_cells() == (() if live else ("normal",))


def test_the_cells_are_named_that_are_disconnected() -> None:
    """A path to one node of an output is enough to connect it."""
    skip, nothing = ({"op": op, "input": 1} for op in ("skip_connect", "none"))
    half = Cell.model_validate({"nodes": [[nothing], [skip]], "concat": [2, 3]})
    beside = Cell.model_validate({"nodes": [[nothing], [skip]], "concat": [2]})
    of = {(name, other): {"normal": name, "reduce": other} for name in (half, beside) for other in (half, beside)}
    names = {
        cells: CellGenotype.model_construct(space="darts", cells=named).disconnected_cells()
        for cells, named in of.items()
    }
    assert names == {
        (half, half): (),
        (half, beside): ("reduce",),
        (beside, half): ("normal",),
        (beside, beside): ("normal", "reduce"),
    }
