"""How decided a categorical distribution is, for its picture and its text."""

from math import exp, log

from nascli.artifacts.categorical import DRAWS, CategoricalDistribution
from nascli.artifacts.cell_genotype import CELL_INPUTS, CELL_NAMES


def summary(distribution: CategoricalDistribution) -> str:
    """The whole distribution on one line."""
    limit = len(CELL_NAMES) * distribution.entropy_limit()
    probability = exp(distribution.log_probability(distribution.mode()))
    return (
        f"p(α | π): entropy {distribution.total_entropy():.2f} of {limit:.2f} nats, mode probability {probability:.2g}"
    )


def of_cell(distribution: CategoricalDistribution, cell: str) -> str:
    """A type of cell, for a heading."""
    return f"entropy {distribution.entropy(cell):.2f} of {distribution.entropy_limit():.2f} nats"


def of_nodes(distribution: CategoricalDistribution, cell: str) -> dict[int, tuple[float, float]]:
    """Of each node, by its state, the entropy of both draws together and the most that it could be, in nats."""
    choices = len(distribution.operations)
    entropies = enumerate(distribution.node_entropies(cell), start=CELL_INPUTS)
    return {state: (entropy, DRAWS * log(state * choices)) for state, entropy in entropies}
