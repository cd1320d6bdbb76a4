"""The mixture of PC-DARTS and DARTS: logits of the operations on every edge, and of the edges into every node."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.cell_genotype import CELL_INPUTS, CELL_NAMES, Cell, CellGenotype, Pick
from nascli.artifacts.logits import NONE, Floats, check_cells, check_operations, check_space, frozen, settings_of
from nascli.artifacts.provenance import Provenance
from nascli.registry import SPACES

PICKS_PER_NODE = 2


def edges(nodes: int) -> tuple[tuple[int, int], ...]:
    """The edges of a cell as (input state, node state), in the order of the rows of alpha: by node, then by input.

    >>> edges(2)
    ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    """
    return tuple((source, node) for node in range(CELL_INPUTS, CELL_INPUTS + nodes) for source in range(node))


@dataclass(frozen=True)
class Edge:
    """One edge of a cell with the best operation on it other than `none`.

    `probability` is that operation's among all, `none` included; `weight` is the edge's share of its node (1 where
    edges have no weights); `strength` is their product.
    """

    input: int
    node: int
    op: str
    probability: float
    weight: float
    strength: float


@dataclass(frozen=True, eq=False)
class MixtureDistribution:
    """What a mixture search has learnt of its cells (PC-DARTS, Eq. 1 and 2).

    `alpha` is [edges, operations] and `beta` [edges] for "normal" and "reduce", as logits; `beta` is None where edges
    have no weights (DARTS). Raises ValueError where names, shapes, types or values don't fit.
    """

    kind: ClassVar[str] = "mixture"

    space: str
    nodes: int
    operations: tuple[str, ...]
    alpha: Mapping[str, Floats]
    beta: Mapping[str, Floats] | None
    provenance: Provenance

    def __post_init__(self) -> None:
        check_space(self.space, self.nodes)
        check_operations(self.operations, SPACES[self.space].search_operations)
        edge_count = len(edges(self.nodes))
        object.__setattr__(self, "alpha", _frozen(self.alpha, "alpha", (edge_count, len(self.operations))))
        if self.beta is not None:
            object.__setattr__(self, "beta", _frozen(self.beta, "beta", (edge_count,)))

    def probabilities(self, cell: str) -> Floats:
        """Softmax of alpha over the operations: [edges, operations], float64."""
        return _softmax(self.alpha[cell].astype(np.float64))

    def edge_weights(self, cell: str) -> Floats:
        """Softmax of beta over the edges into each node: [edges], float64; ones where there is no beta."""
        rows = edges(self.nodes)
        if self.beta is None:
            return np.ones(len(rows))
        beta = self.beta[cell].astype(np.float64)
        nodes = np.array([node for _, node in rows])
        weights = np.empty(len(rows))
        for node in range(CELL_INPUTS, CELL_INPUTS + self.nodes):
            weights[nodes == node] = _softmax(beta[nodes == node])
        return weights

    def strengths(self, cell: str) -> Floats:
        """Edge weight times the largest probability of an operation other than `none`: [edges], float64."""
        return np.array([edge.strength for edge in self.strongest(cell)])

    def strongest(self, cell: str) -> tuple[Edge, ...]:
        """Each edge, in the order of alpha's rows, with its best operation other than `none` (of equals, the first)."""
        candidates = [column for column, op in enumerate(self.operations) if op != NONE]
        found = []
        for (source, node), row, weight in zip(
            edges(self.nodes), self.probabilities(cell), self.edge_weights(cell), strict=True
        ):
            best = max(candidates, key=row.__getitem__)
            probability, share = float(row[best]), float(weight)
            found.append(Edge(source, node, self.operations[best], probability, share, probability * share))
        return tuple(found)

    def mode(self) -> CellGenotype:
        """The cells that the mixture stands for: of every node its two strongest edges, each with its best operation.

        Of equally strong edges those from earlier states win; picks are in the order of their inputs; every node is
        concatenated. PC-DARTS, section 3.3, after DARTS, section 2.4.
        """
        return CellGenotype(space=self.space, normal=self._cell("normal"), reduce=self._cell("reduce"))

    def entropy(self, cell: str) -> float:
        """Mean entropy of the operations on an edge, in nats: log(operations) when undecided, 0 when decided."""
        probabilities = self.probabilities(cell)
        logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
        return float(-(probabilities * logs).sum(axis=1).mean())

    def shared_settings(self) -> dict[str, Any]:
        """What a search that goes on with this distribution must have in common with it."""
        return {"nodes": self.nodes}

    def tensors(self) -> dict[str, Floats]:
        """All that was learnt, under the names that it has in a file: "alpha.normal", …, "beta.reduce"."""
        named = {f"alpha.{cell}": self.alpha[cell] for cell in CELL_NAMES}
        if self.beta is not None:
            named |= {f"beta.{cell}": self.beta[cell] for cell in CELL_NAMES}
        return named

    def settings(self) -> dict[str, Any]:
        """What the tensors are about, as JSON."""
        return {"space": self.space, "nodes": self.nodes, "operations": list(self.operations)}

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], provenance: Provenance) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        space, nodes, operations = settings_of(settings, "mixture")
        groups: dict[str, dict[str, Floats]] = {}
        for name, values in tensors.items():
            group, _, cell = name.partition(".")
            groups.setdefault(group, {})[cell] = values
        if stray := groups.keys() - {"alpha", "beta"}:
            raise ValueError(f"unknown tensor {min(stray)[:60]!r}: a mixture has alpha and beta")
        return cls(space, nodes, operations, groups.get("alpha", {}), groups.get("beta"), provenance)

    def _cell(self, cell: str) -> Cell:
        found = self.strongest(cell)
        nodes = []
        for node in range(CELL_INPUTS, CELL_INPUTS + self.nodes):
            incoming = [edge for edge in found if edge.node == node]
            kept = sorted(incoming, key=lambda edge: -edge.strength)[:PICKS_PER_NODE]
            nodes.append(
                tuple(Pick(op=edge.op, input=edge.input) for edge in sorted(kept, key=lambda edge: edge.input))
            )
        return Cell(nodes=tuple(nodes), concat=tuple(range(CELL_INPUTS, CELL_INPUTS + self.nodes)))


def _softmax(logits: Floats) -> Floats:
    """Over the last axis, in float64."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return weights


def _frozen(values: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> Mapping[str, Floats]:
    """Read-only copies, checked."""
    check_cells(values, name)
    return {cell: frozen(values[cell], f"{name}.{cell}", shape) for cell in CELL_NAMES}
