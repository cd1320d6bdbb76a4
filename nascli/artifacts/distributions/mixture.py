"""The mixture of PC-DARTS and DARTS: logits of the operations on every edge, and of the edges into every node."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from math import fsum, log
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.distributions.best_within import BestWithin, Way
from nascli.artifacts.distributions.budget import budget_of
from nascli.artifacts.distributions.entropy import Entropy
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits
from nascli.artifacts.distributions.logits import Floats, frozen, log_softmax, mean_logits, space_of, space_settings
from nascli.artifacts.distributions.uniforms import uniforms
from nascli.artifacts.provenance import Provenance
from nascli.seeds import derive_seed
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.names import NONE
from nascli.spaces.protocol import CellSpace, Decision


@dataclass(frozen=True)
class WeighedEdge:
    """One edge of a cell with the best operation on it that the space's derive rule may keep.

    `probability` is that operation's among all operations; `weight` is the edge's share of its node (1 where edges have
    no weights); `strength` is their product.
    """

    input: int
    node: int
    op: str
    probability: float
    weight: float
    strength: float


@dataclass(frozen=True, eq=False)
class MixtureDistribution:
    """What a mixture search has learnt about its cells (PC-DARTS, Eq. 1 and 2).

    `alpha` is [edges, operations] and `beta` [edges] for each type of cell, as logits, in the order of the space's
    edges and operations; `beta` is None where edges have no weights (DARTS). Raises ValueError where names, shapes,
    types or values don't fit.
    """

    kind: ClassVar[str] = "mixture"
    noun: ClassVar[str] = "mixture"
    data: ClassVar[None] = None
    limits: ClassVar[CellLimits] = NO_LIMITS

    space: CellSpace
    alpha: Mapping[str, Floats]
    beta: Mapping[str, Floats] | None

    def __post_init__(self) -> None:
        edges = len(self.space.edges())
        object.__setattr__(self, "alpha", self._frozen(self.alpha, "alpha", (edges, len(self.space.operations))))
        if self.beta is not None:
            object.__setattr__(self, "beta", self._frozen(self.beta, "beta", (edges,)))

    def _frozen(self, values: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> Mapping[str, Floats]:
        """Read-only copies, checked."""
        if values.keys() != set(self.space.cells):
            raise ValueError(f"{name}: is for {sorted(values)}; {list(self.space.cells)} are needed")
        return {cell: frozen(values[cell], f"{name}.{cell}", shape) for cell in self.space.cells}

    def probabilities(self, cell: str) -> Floats:
        """Softmax of alpha over the operations: [edges, operations], float64."""
        return np.exp(log_softmax(self.alpha[cell]))

    def edge_weights(self, cell: str) -> Floats:
        """Softmax of beta over the edges into each node: [edges], float64; ones where there is no beta."""
        return np.exp(self._log_edge_weights(cell))

    def _log_edge_weights(self, cell: str) -> Floats:
        targets = np.array([node for _, node in self.space.edges()])
        logs = np.zeros(len(targets))
        if self.beta is not None:
            for node in np.unique(targets):
                logs[targets == node] = log_softmax(self.beta[cell][targets == node])
        return logs

    def strengths(self, cell: str) -> Floats:
        """The weight of every operation on every edge in its node's sum: [edges, operations], float64."""
        return np.exp(self._log_strengths(cell))

    def _log_strengths(self, cell: str) -> Floats:
        """Logarithms still rank the operations of an edge whose strengths all round to 0 because of beta."""
        logs: Floats = self._log_edge_weights(cell)[:, None] + log_softmax(self.alpha[cell])
        return logs

    def strongest(self, cell: str) -> tuple[WeighedEdge, ...]:
        """Each edge, in the order of alpha's rows, with its best operation; ties go to the first."""
        operations = self.space.operations
        allowed = [column for column, op in enumerate(operations) if op != NONE or self.space.keeps_none]
        found = []
        rows = zip(
            self.space.edges(),
            self._log_strengths(cell),
            self.probabilities(cell),
            self.edge_weights(cell),
            strict=True,
        )
        for (source, node), logs, probabilities, weight in rows:
            best = max(allowed, key=logs.__getitem__)
            probability, share = float(probabilities[best]), float(weight)
            found.append(WeighedEdge(source, node, operations[best], probability, share, probability * share))
        return tuple(found)

    def mode(self) -> CellGenotype:
        """The cells that the mixture stands for, by the derive rule of its space."""
        return self.space.keep({cell: self._log_strengths(cell).tolist() for cell in self.space.cells})

    @classmethod
    def uniform(cls, space: CellSpace) -> Self:
        """The mixture in which all operations and all edges weigh the same."""
        alpha = np.zeros((len(space.edges()), len(space.operations)), np.float32)
        return cls(space, dict.fromkeys(space.cells, alpha), None)

    @classmethod
    def mean(cls, several: Sequence[Self]) -> Self:
        """The mixture of the mean logits of several over the same space: alpha, and beta where there is one."""
        return cls.assemble(several[0].settings(), mean_logits([other.tensors() for other in several]))

    def sample(self, seed: int, number: int) -> CellGenotype:
        """Draw `number` of the sequence `seed`: the derive rule on strengths with Gumbel noise on their logarithms.

        So each edge's operation is drawn by softmax among those that the rule may keep. Where the rule keeps some edges
        of a node, these are drawn without replacement, each time in proportion to the strengths that are left (Kool et
        al., ICML 2019, "Stochastic Beams and Where to Find Them").
        """
        noisy = {}
        for cell in self.space.cells:
            logs = self._log_strengths(cell)
            # Half a step up, since 0 has no logarithm.
            uniform = uniforms(logs.size, derive_seed(seed, "sample", cell, number)) + 2.0**-54
            noisy[cell] = (logs - np.log(-np.log(uniform)).reshape(logs.shape)).tolist()
        return self.space.keep(noisy)

    def mode_within(self, limits: CellLimits) -> CellGenotype:
        """The strongest cells within limits: each node has as many edges as without limits, each with one operation.

        A limit that the mode meets changes nothing. Raises UsageError for limits that no cell of the space can meet,
        or that it rules out.
        """
        mode = self.mode()
        return mode if budget_of(self.space, limits).allows(mode) else next(iter(self.ranking(limits))).genotype

    def ranking(self, limits: CellLimits = NO_LIMITS) -> BestWithin:
        """All cells that the derive rule might keep within limits, the strongest first.

        Every node keeps its number of edges, each from another state and with one operation. A cell is as strong as
        the product of the strengths of what it keeps; so the strongest of all is the mode.
        """
        return BestWithin(self.space, budget_of(self.space, limits), self._parts)

    mode_ranking = ranking

    @cached_property
    def _parts(self) -> list[tuple[Decision, list[Way]]]:
        """The ways to make each decision, the strongest first, ties in the order of its options."""
        return [(one, sorted(self._ways(one), key=lambda way: -way[1])) for one in self.space.decisions()]

    def _ways(self, decision: Decision) -> Iterator[Way]:
        row = {edge: row for row, edge in enumerate(self.space.edges())}
        column = {op: column for column, op in enumerate(self.space.operations)}
        own = self._log_strengths(decision.cell)
        values = [float(own[row[pick.input, decision.node], column[pick.op]]) for pick in decision.options]
        for way in combinations(range(len(values)), decision.draws):
            if len({decision.options[option].input for option in way}) == decision.draws:
                yield way, fsum(values[option] for option in way)

    def top(self, count: int, limits: CellLimits = NO_LIMITS) -> tuple[tuple[CellGenotype, None], ...]:
        """The `count` strongest cells within limits, the strongest first (`ranking`); none has a probability.

        Returns fewer if there are no more.
        """
        return tuple((ranked.genotype, None) for ranked in islice(self.ranking(limits), count))

    def entropy(self, cell: str) -> float:
        """Mean entropy of the operations on an edge, in nats: log(operations) when undecided, 0 when decided."""
        logs = log_softmax(self.alpha[cell])
        return float(-(np.exp(logs) * logs).sum(axis=1).mean())

    def undecided(self) -> Entropy:
        """The mean entropy of the operations on an edge, over all types of cells."""
        mean = fsum(map(self.entropy, self.space.cells)) / len(self.space.cells)
        return Entropy(mean, log(len(self.space.operations)), per_edge=True)

    def facts(self) -> dict[str, Any]:
        """What it mixes, and how decided it is, as JSON."""
        return {
            "kind": self.kind,
            **space_settings(self.space),
            "edge_weights": self.beta is not None,
            "entropy": {cell: self.entropy(cell) for cell in self.space.cells},
        }

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """The settings that a search must share with this distribution to continue from it."""
        return {"space": self.space.name, "nodes": self.space.nodes}

    def tensors(self) -> dict[str, Floats]:
        """All that was learnt, under its names in a file: "alpha.normal", …, "beta.reduce"."""
        named = {f"alpha.{cell}": self.alpha[cell] for cell in self.space.cells}
        if self.beta is not None:
            named |= {f"beta.{cell}": self.beta[cell] for cell in self.space.cells}
        return named

    def settings(self) -> dict[str, Any]:
        """What the tensors describe, as JSON."""
        return space_settings(self.space)

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        space = space_of(settings, cls.kind)
        groups: dict[str, dict[str, Floats]] = {}
        for name, values in tensors.items():
            group, _, cell = name.partition(".")
            groups.setdefault(group, {})[cell] = values
        if stray := groups.keys() - {"alpha", "beta"}:
            raise ValueError(f"unknown tensor {min(stray)[:60]!r}: a mixture has alpha and beta")
        return cls(space, groups.get("alpha", {}), groups.get("beta"))
