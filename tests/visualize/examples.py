"""Cells, distributions and runs to draw."""

from functools import cache
from math import exp, log

import numpy as np
from hypothesis import strategies as st

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.distributions.trials import Trial, TrialsDistribution
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.provenance import Provenance
from nascli.artifacts.runs.scores import Scored
from nascli.graphs.graph import Graph
from nascli.graphs.state import state_of
from nascli.registry import SUPERNETS
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick
from nascli.spaces.darts import Darts
from nascli.spaces.protocol import CellSpace
from nascli.supernets import stages_of, supernet
from nascli.visualize.cells.drawn_cell import DrawnCell
from nascli.visualize.runs.scored import Candidates

SPACE = cell_space("darts")
BENCHMARK = cell_space("nas-bench-201")
PROVENANCE = Provenance(nascli="0", stage="search", method=None, seed=0, config={}, data=None, made_from=None)

# Nothing reads node 3, and it is not in the output; only node 4 reads node 2; only node 3 reads c(k-1).
PARTLY_UNUSED = Cell(
    nodes=(
        (Pick(op="sep_conv_3x3", input=0), Pick(op="skip_connect", input=0)),
        (Pick(op="max_pool_3x3", input=1), Pick(op="conv_7x1_1x7", input=2)),
        (Pick(op="dil_conv_5x5", input=2),),
        (Pick(op="avg_pool_3x3", input=0),),
    ),
    concat=(4, 5),
)
GENOTYPE = CellGenotype(cells={"normal": PARTLY_UNUSED, "reduce": PARTLY_UNUSED})

# Node 1 has no path from the input, so the edges that read it add nothing; nothing reads node 2.
PARTLY_NONE = BENCHMARK.parse(
    "|none~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|none~2|", "an example"
)


def drawn_cell(cell: Cell, name: str = "normal") -> DrawnCell:
    """A cell of DARTS's space as pictures see it."""
    return DrawnCell(name, cell, SPACE)


@cache
def few_operations(nodes: int) -> CellSpace:
    """The space `darts` with two operations and `none`: as wide a map with a quarter of the fields."""
    return type("Few", (Darts,), {"operations": ("none", "dil_conv_3x3", "skip_connect")})(nodes)


@st.composite
def cells(draw: st.DrawFn, most_nodes: int = 6, most_picks: int = 4) -> Cell:
    """Any legal cell: any graph, several picks per node, the same pick twice, nodes that nobody reads."""
    operations = st.sampled_from(SPACE.known_operations)
    nodes = tuple(
        tuple(
            Pick(op=draw(operations), input=draw(st.integers(0, state - 1)))
            for _ in range(draw(st.integers(1, most_picks)))
        )
        for state in range(2, 2 + draw(st.integers(1, most_nodes)))
    )
    states = st.integers(2, len(nodes) + 1)
    return Cell(nodes=nodes, concat=tuple(draw(st.lists(states, min_size=1, unique=True))))


def benchmark_genotypes() -> st.SearchStrategy[CellGenotype]:
    """Any of the 15,625 of NAS-Bench-201."""
    return st.tuples(*[st.integers(0, 4)] * 6).map(BENCHMARK.genotype)


def mixture(
    nodes: int = 0, beta: bool = True, seed: int = 0, space: str | CellSpace = "darts", sharpness: float = 1.0
) -> MixtureDistribution:
    """A mixture of random logits."""
    generator = np.random.default_rng(seed)
    cells = cell_space(space, nodes) if isinstance(space, str) else space
    count = len(cells.edges())
    return MixtureDistribution(
        cells,
        {name: sharpness * generator.normal(size=(count, len(cells.operations))) for name in cells.cells},
        {name: generator.normal(size=count) for name in cells.cells} if beta else None,
    )


def categorical(
    nodes: int = 0, sharpness: float = 1.5, seed: int = 0, space: str | CellSpace = "darts"
) -> CategoricalDistribution:
    """A categorical of random logits: uniform for sharpness 0, nearly decided for 12."""
    generator = np.random.default_rng(seed)
    cells = cell_space(space, nodes) if isinstance(space, str) else space
    shapes = [(decision.draws, len(decision.options)) for decision in cells.decisions()]
    return CategoricalDistribution(cells, [sharpness * generator.normal(size=shape) for shape in shapes])


def search_rows(epochs: int, warm_up: int = 0) -> list[dict[str, object]]:
    """metrics.jsonl of a search whose numbers are known: train accuracy is epoch per cent, and so on."""
    return [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "lr": 0.1,
            "train_loss": 3 - epoch / 100,
            "train_accuracy": epoch / 100,
            "search_loss": 4 - epoch / 100,
            "search_accuracy": epoch / 200,
            "edge_entropy/normal": 2 - epoch / 50,
            "edge_entropy/reduce": 2 - epoch / 100,
            "skip_share": epoch / 1000,
            "architecture_frozen": epoch <= warm_up,
        }
        for epoch in range(1, epochs + 1)
    ]


def trials(
    count: int = 12, waiting: int = 0, nodes: int = 0, seed: int = 0, space: str = "darts"
) -> TrialsDistribution:
    """`count` random cells that were trained, and `waiting` ones that were not."""
    generator = np.random.default_rng(seed)
    uniform = CategoricalDistribution.uniform(cell_space(space, nodes))
    genotypes = [uniform.sample(seed, number) for number in range(count + waiting)]
    scores = [(float(x), float(2 - x)) for x in 0.9 + 0.02 * generator.normal(size=count).clip(-4, 4)]
    trials = [Trial(genotypes[n], *scores[n], n) for n in range(count)]
    ordered = tuple(sorted(trials, key=Trial.place))
    return TrialsDistribution(uniform.space, ordered, tuple(genotypes[count:]))


def trials_by_table(count: int = 12, seed: int = 0) -> TrialsDistribution:
    """Random cells of NAS-Bench-201 looked up in a table: 2 + 15 n per cent for n 3x3 convolutions, and one less."""
    uniform = CategoricalDistribution.uniform(BENCHMARK)
    cells = [uniform.sample(seed, number) for number in range(count)]
    scores = [(2 + 15 * round(6 * cell.share("nor_conv_3x3"))) / 100 for cell in cells]
    trials = [
        Trial(cell, score, None, number, score - 0.01)
        for number, (cell, score) in enumerate(zip(cells, scores, strict=True))
    ]
    return TrialsDistribution(BENCHMARK, tuple(sorted(trials, key=Trial.place)), ())


def parsec_rows(epochs: int, nodes: int = 0, speed: float = 1.0, space: str = "darts") -> list[dict[str, object]]:
    """metrics.jsonl of a search by PARSEC, the start included; entropies fall from their limits."""
    cells = cell_space(space, nodes)
    limits = {
        (decision.cell, decision.name): decision.draws * log(len(decision.options)) for decision in cells.decisions()
    }
    shares = dict(zip(cells.cells, (1.0, 0.7), strict=False))
    rows: list[dict[str, object]] = []
    for epoch in range(epochs + 1):
        done = speed * epoch / epochs if epochs else 0.0
        of_decisions = {
            f"entropy/{cell}/{name}": limit * (1 - done * shares[cell] * (0.6 + 0.1 * number / len(limits)))
            for number, ((cell, name), limit) in enumerate(limits.items())
        }
        of_cells = {
            f"entropy/{cell}": sum(of_decisions[f"entropy/{cell}/{name}"] for other, name in limits if other == cell)
            for cell in cells.cells
        }
        health = {
            "entropy": sum(of_cells.values()),
            **of_cells,
            **of_decisions,
            "mode_accuracy": 0.1 + 0.8 * done * (2 - done) / (1 + speed),
            "mode_probability": exp(-sum(of_cells.values())),
            "skip_share": 0.125 * done,
        }
        steps = {
            "lr": 0.025,
            "train_loss": 2.3 - 1.5 * done,
            "train_accuracy": 0.1 + 0.5 * done,
            "search_loss": 2.3 - 1.3 * done,
            "effective_samples": 1.2 + 6 * done * done,
            "samples": 16.0,
            "distinct_children": 16.0,
            "trained_children": 1.5 + 8 * done * done,
            "gradient_norm": 3.0,
            "seconds": 10.0,
        }
        rows.append({"epoch": epoch, "step": 10 * epoch, **(steps if epoch else {}), **health})
    return rows


def random_rows(epochs: int, each: int = 2) -> list[dict[str, object]]:
    """metrics.jsonl of a random search of `each` epochs per cell; the n-th scores 80 + (7 n mod 5) per cent."""
    scores: list[float] = []
    rows: list[dict[str, object]] = [{"epoch": 0, "step": 0, "trials_done": 0, "skip_share": 0.125}]
    for epoch in range(1, epochs + 1):
        row: dict[str, object] = {"epoch": epoch, "step": 10 * epoch, "train_loss": 1.5, "train_accuracy": 0.5}
        if epoch % each == 0:
            scores.append(0.8 + 7 * len(scores) % 5 / 100)
            row |= {"search_loss": 0.7, "search_accuracy": scores[-1]}
        if scores:
            row |= {"best_accuracy": max(scores), "mean_accuracy": sum(scores) / len(scores)}
        rows.append({**row, "trials_done": len(scores), "skip_share": 0.125})
    return rows


def small_graph(name: str, depth: int = 2) -> Graph:
    """A super-network of width 4."""
    size = SUPERNETS[name].stride
    return supernet(name, 4, stages_of(name, depth), classes=2, image_channels=1, image_size=size)


def channels(name: str = "resnet-mb", depth: int = 2, seed: int = 0) -> ChannelsGenotype:
    """A super-network of width 4 of which random shares are kept, and nothing of a fifth of its convolutions."""
    generator = np.random.default_rng(seed)
    kept = {}
    for conv, op in small_graph(name, depth).masked.items():
        share = generator.choice([0.0, 1.0], p=[0.2, 0.8]) * generator.random()
        kept[conv] = np.flatnonzero(generator.random(sum(op.sources)) < share).tolist()
    return ChannelsGenotype.of(name, 4, stages_of(name, depth), kept)


def posterior(name: str = "resnet-mb", depth: int = 2, spread: float = 2.0, seed: int = 0) -> PosteriorDistribution:
    """Random logits of p, of the standard deviation `spread`; the weights are all 1."""
    generator = np.random.default_rng(seed)
    size = SUPERNETS[name].stride
    data = DataInfo(
        dataset="folder",
        classes=("cat", "dog"),
        channels=1,
        image_size=size,
        mean=(0.5,),
        std=(0.2,),
        train_images=100,
        test_images=10,
        fingerprint="f" * 64,
    )
    graph = small_graph(name, depth)
    logits = {
        conv: (spread * generator.normal(size=len(op.sources))).clip(-13.8, 13.8).astype(np.float32)
        for conv, op in graph.masked.items()
    }
    weights = {entry: np.ones(shape, dtype) for entry, (shape, dtype) in state_of(graph).items()}
    return PosteriorDistribution(name, 4, stages_of(name, depth), data, logits, weights)


def candidate_rows(count: int = 40, images: int = 126, seed: int = 0) -> list[dict[str, object]]:
    """Scores of `count` candidates of each population: on average 96 % for the posterior, 85 % for the others."""
    generator = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for population, center, spread in (("posterior", 0.96, 0.01), ("uniform", 0.85, 0.04)):
        right = (images * generator.normal(center, spread, count)).round().clip(0, images)
        sizes = generator.normal(31_000, 2_000, count).round()
        rows += [
            {
                "population": population,
                "number": number,
                "accuracy": float(correct / images),
                "loss": float(2 * (1 - correct / images)),
                "parameters": int(parameters),
                "multiply_adds": int(10 * parameters),
            }
            for number, (correct, parameters) in enumerate(zip(right, sizes, strict=True), start=1)
        ]
    return rows


def candidates(count: int = 40, images: int = 126, seed: int = 0) -> Candidates:
    """The candidates of `candidate_rows`."""
    return Candidates.of(Scored.of(row, "an example") for row in candidate_rows(count, images, seed))


def pgnas_rows(epochs: int) -> list[dict[str, object]]:
    """metrics.jsonl of a search by PGNAS, the start included: p spreads out from 0.1 to [0.02, 0.7]."""
    rows: list[dict[str, object]] = []
    for epoch in range(epochs + 1):
        done = epoch / epochs
        health = {
            "supernet_accuracy": 0.1 + 0.85 * done,
            "supernet_loss": 2.3 - 2.1 * done,
            "sampled_accuracy": 0.1 + 0.8 * done,
            "sampled_loss": 2.3 - 2.0 * done,
            "kept_share": 0.9 - 0.3 * done,
            "drop_mean": 0.1 + 0.3 * done,
            "drop_min": 0.1 - 0.08 * done,
            "drop_max": 0.1 + 0.6 * done,
            "entropy": 80 + 30 * done,
        }
        steps = {
            "lr": 0.05,
            "train_loss": 2.3 - 2 * done,
            "train_accuracy": 0.1 + 0.8 * done,
            "penalty": 0.3 - 0.1 * done,
        }
        rows.append({"epoch": epoch, "step": 10 * epoch, **(steps if epoch else {}), **health})
    return rows
