"""How decided a categorical distribution is, for its picture and its text."""

from math import exp, log

from nascli.artifacts.distributions.categorical import CategoricalDistribution


def summary(distribution: CategoricalDistribution) -> str:
    """The whole distribution on one line."""
    probability = exp(distribution.log_probability(distribution.mode()))
    return f"p(α | π): {distribution.undecided()}, mode probability {probability:.2g}"


def of_cell(distribution: CategoricalDistribution, cell: str) -> str:
    """One type of cell, for a heading."""
    return f"entropy {distribution.entropy(cell):.2f} of {distribution.entropy_limit(cell):.2f} nats"


def of_decisions(distribution: CategoricalDistribution, cell: str) -> dict[str, tuple[int, float, float]]:
    """For each decision about a type of cell, by name: its node, its entropy and the entropy's limit, in nats."""
    decisions = [decision for decision in distribution.decisions if decision.cell == cell]
    return {
        decision.name: (decision.node, entropy, decision.draws * log(len(decision.options)))
        for decision, entropy in zip(decisions, distribution.entropies(cell), strict=True)
    }


def of_nodes(distribution: CategoricalDistribution, cell: str) -> dict[int, tuple[float, float]]:
    """For each node, by its state: the entropy and the limit of all decisions about it together."""
    nodes: dict[int, tuple[float, float]] = {}
    for node, entropy, limit in of_decisions(distribution, cell).values():
        before = nodes.get(node, (0.0, 0.0))
        nodes[node] = before[0] + entropy, before[1] + limit
    return nodes
