"""PARSEC's distribution over cells: an independent categorical for every draw of every decision of a space."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement, islice, permutations
from math import exp, fsum, inf, log
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.distributions.best_first import best_first
from nascli.artifacts.distributions.best_within import BestWithin, Way
from nascli.artifacts.distributions.budget import budget_of
from nascli.artifacts.distributions.conditioned import Conditioned
from nascli.artifacts.distributions.entropy import Entropy
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits, limits_of
from nascli.artifacts.distributions.logits import (
    LARGEST,
    Floats,
    frozen,
    log_softmax,
    mean_logits,
    space_of,
    space_settings,
)
from nascli.artifacts.distributions.uniforms import uniforms
from nascli.artifacts.provenance import Provenance
from nascli.errors import UsageError
from nascli.seeds import derive_seed
from nascli.spaces.cell_genotype import CellGenotype, Pick
from nascli.spaces.protocol import CellSpace, Decision

Choices = NDArray[np.int64]
"""The index of the option that every draw of every decision takes, in order: [draws] for one child, or [children,
draws]."""

Value = Callable[[Floats, Sequence[int]], float]
"""What options of a decision are ranked by, from the log-probabilities of its draws."""

_GROUP = "logits"

LIMITS = ("max_params", "max_macs", "max_skips", "train_layers", "train_channels")
"""The settings of a search that limit what is drawn."""


class Choice(NamedTuple):
    """One value of a categorical, and how likely it is drawn."""

    op: str
    input: int
    probability: float


@dataclass(frozen=True, eq=False)
class CategoricalDistribution:
    """What PARSEC has learnt about its cells: p(alpha | pi), a product of categoricals (PARSEC, Eq. 4 and 5).

    `logits` holds one array per decision of the space, in order: [draws, options], where each row is a categorical. A
    network is a tuple of draws. The draws of one decision in another order give the same network, because a node is the
    sum of its picks and an operation on an edge has the same weights in all networks.

    With `limits` it is that distribution conditioned on them: p(alpha | pi) / P(within limits), and 0 beyond. Draws
    then depend on each other; what is said of one draw or of one decision is its marginal. Raises ValueError where
    shapes, types or values don't fit, UsageError where no cell is within the limits.
    """

    kind: ClassVar[str] = "categorical"
    noun: ClassVar[str] = "categorical"
    data: ClassVar[None] = None

    space: CellSpace
    logits: Sequence[Floats]
    limits: CellLimits = NO_LIMITS

    def __post_init__(self) -> None:
        if len(self.logits) != len(self.decisions):
            raise ValueError(f"{_GROUP}: are for {len(self.logits)} decisions; {len(self.decisions)} are needed")
        copies = tuple(
            frozen(values, _name(decision), (decision.draws, len(decision.options)))
            for decision, values in zip(self.decisions, self.logits, strict=True)
        )
        object.__setattr__(self, "logits", copies)
        if self.limits != NO_LIMITS:
            assert budget_of(self.space, self.limits).of_draws

    @classmethod
    def uniform(cls, space: CellSpace, limits: CellLimits = NO_LIMITS) -> Self:
        """Where a search begins: all logits are zero."""
        return cls(space, [np.zeros((row.draws, len(row.options)), np.float32) for row in space.decisions()], limits)

    @classmethod
    def mean(cls, several: Sequence[Self]) -> Self:
        """The distribution of the mean logits of several over the same space.

        The draws of a decision may change places without changing p(alpha | pi). So they are first put in the orders in
        which the distributions agree best, whichever distribution is given first.
        """
        aligned = [_aligned(decision) for decision in zip(*(other.logits for other in several), strict=True)]
        rows = [replace(several[0], logits=logits).tensors() for logits in zip(*aligned, strict=True)]
        return cls.assemble(several[0].settings(), mean_logits(rows))

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in the order of `logits`."""
        return self.space.decisions()

    @cached_property
    def log_probabilities(self) -> tuple[Floats, ...]:
        """Those of every option of every draw, whatever the limits, per decision: [draws, options], float64, finite."""
        return tuple(map(log_softmax, self.logits))

    @cached_property
    def _conditioned(self) -> Conditioned | None:
        """What the limits make of it, if there are any."""
        if self.limits == NO_LIMITS:
            return None
        rows = [draw for values in self.log_probabilities for draw in values]
        return Conditioned(budget_of(self.space, self.limits), rows)

    @property
    def log_mass(self) -> float:
        """The log-probability that independent draws are within the limits."""
        return 0.0 if self._conditioned is None else self._conditioned.log_mass

    @cached_property
    def log_marginals(self) -> tuple[Floats, ...]:
        """Those of every option of every draw within the limits, per decision: [draws, options]; -inf: never fits."""
        if self._conditioned is None:
            return self.log_probabilities
        left = iter(self._conditioned.log_marginals)
        return tuple(np.stack([next(left) for _ in range(decision.draws)]) for decision in self.decisions)

    def probabilities(self, cell: str) -> tuple[Floats, ...]:
        """The probabilities for the decisions about one type of cell: [draws, options] each. Each draw's sum to 1."""
        return tuple(np.exp(values) for _, values in self._decisions_about(cell))

    def entropies(self, cell: str) -> tuple[float, ...]:
        """The entropy of each decision about a type of cell, all its draws together, in nats."""
        return tuple(_entropy(values) for _, values in self._decisions_about(cell))

    def entropy(self, cell: str) -> float:
        """The entropy of one type of cell, in nats."""
        return fsum(self.entropies(cell))

    def total_entropy(self) -> float:
        """The entropy of p(alpha | pi), in nats: that of all types of cells together.

        With limits, -E[log p(alpha | pi, within)] = log P(within) - E[log p(alpha | pi)], which marginals suffice for.
        """
        if self._conditioned is None:
            return fsum(map(self.entropy, self.space.cells))
        pairs = zip(self.log_marginals, self.log_probabilities, strict=True)
        return max(0.0, self.log_mass - fsum(float((np.exp(own) * logs).sum()) for own, logs in pairs))

    def entropy_limit(self, cell: str) -> float:
        """The entropy of one type of cell if all options were equally likely, in nats."""
        return fsum(decision.draws * log(len(decision.options)) for decision, _ in self._decisions_about(cell))

    def undecided(self) -> Entropy:
        """The entropy of p(alpha | pi), with that of uniform draws as its limit."""
        return Entropy(self.total_entropy(), self._largest_entropy)

    @cached_property
    def _largest_entropy(self) -> float:
        """The entropy of uniform draws within the limits."""
        if self._conditioned is None:
            return fsum(map(self.entropy_limit, self.space.cells))
        return self.uniform(self.space, self.limits).total_entropy()

    def likeliest(self, cell: str, count: int = 3) -> tuple[tuple[tuple[Choice, ...], ...], ...]:
        """The `count` likeliest options of each draw of each decision, the likeliest first; ties keep their order."""
        return tuple(
            tuple(
                tuple(_choice(decision.options[option], draw[option]) for option in _by_falling_value(draw)[:count])
                for draw in values
            )
            for decision, values in self._decisions_about(cell)
        )

    def mode(self) -> CellGenotype:
        """The most probable draws within the limits; ties go to the first. Draws of one decision may agree."""
        return self._mode

    @cached_property
    def _mode(self) -> CellGenotype:
        free = self.space.genotype([int(draw.argmax()) for values in self.log_probabilities for draw in values])
        if budget_of(self.space, self.limits).allows(free):
            return free
        return next(iter(self.mode_ranking(NO_LIMITS))).genotype

    def mode_within(self, limits: CellLimits) -> CellGenotype:
        """The most probable draws within limits; the mode, if it is within them.

        Raises UsageError for limits that no cell of the space can meet, or that it rules out.
        """
        mode = self.mode()
        return mode if budget_of(self.space, limits).allows(mode) else next(iter(self.mode_ranking(limits))).genotype

    def mode_ranking(self, limits: CellLimits) -> BestWithin:
        """All networks within limits by the log-probability of their likeliest draws, as the mode has it."""
        return self._ranking(limits, _log_probability_in_order)

    def ranking(self, limits: CellLimits) -> BestWithin:
        """All networks within limits by their log-probability, as `top` has them."""
        return self._ranking(limits, _log_probability_in_any_order)

    def _ranking(self, limits: CellLimits, value: Value) -> BestWithin:
        parts = zip(self.decisions, (_ranked_outcomes(values, value) for values in self.log_probabilities), strict=True)
        return BestWithin(self.space, budget_of(self.space, self.limits.both(limits)), parts)

    def sample(self, seed: int, number: int) -> CellGenotype:
        """Child `number` of the sequence `seed`, drawn from p(alpha | pi), regardless of which others are drawn."""
        uniform = uniforms(self.numbers, derive_seed(seed, "sample", number))
        return self.space.genotype(self.draw(uniform).tolist())

    @cached_property
    def numbers(self) -> int:
        """How many uniform numbers a child is drawn from: one for each draw; with limits, one more for each cell."""
        draws = sum(decision.draws for decision in self.decisions)
        return draws if self._conditioned is None else draws + len(self.space.cells)

    def draw(self, uniform: NDArray[np.float64]) -> Choices:
        """Children alpha ~ p(alpha | pi) from uniform numbers in [0, 1).

        [numbers] or [children, numbers] -> [draws] or [children, draws]
        """
        if self._conditioned is not None:
            found = [self._conditioned.draw(own) for own in uniform.reshape(-1, self.numbers)]
            return np.array(found, np.int64).reshape(*uniform.shape[:-1], -1)
        drawn = []
        rows = (draw for values in self.log_probabilities for draw in values)
        for row, column in zip(rows, uniform.T, strict=True):
            cumulative = np.exp(row).cumsum()
            # Rounding may keep the last sum from being 1. Scaled by it, no option of probability 0 is drawn.
            drawn.append(cumulative.searchsorted(column * cumulative[-1], side="right"))
        return np.array(drawn, np.int64).T

    def gradient(self, choices: Choices, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """The gradient of sum_k weights[k] log p(alpha_k | pi) with respect to the logits.

        It is sum_k weights[k] (onehot(alpha_k) - marginals). Without limits the marginals are the softmax. With limits
        they are what E[onehot(alpha)] is within them: the gradient of log p(alpha | pi) is onehot(alpha) - softmax, and
        that of log P(within), which is subtracted, E[onehot(alpha) | within] - softmax.
        choices: [children, draws]; weights: [children]. -> [draws, options] per decision
        """
        found, column = [], 0
        for values in self.log_marginals:
            gradient = -np.exp(values) * weights.sum()
            for draw in gradient:
                np.add.at(draw, choices[:, column], weights)
                column += 1
            found.append(gradient)
        return tuple(found)

    def top(self, count: int, limits: CellLimits = NO_LIMITS) -> tuple[tuple[CellGenotype, float], ...]:
        """The `count` most probable networks within limits with their log-probabilities, the most probable first.

        Each network appears once, with the probability of all orders of its draws together. So the first need not be
        the mode, which takes each draw's best: both draws of a decision may favour the same two options. Returns fewer
        if there are no more. Found best-first from the factorised distribution.
        """
        if self.limits.both(limits) != NO_LIMITS:
            best = islice(self.ranking(limits), count)
            return tuple((ranked.genotype, min(0.0, ranked.value - self.log_mass)) for ranked in best)
        factors = [_ranked_outcomes(values)[:count] for values in self.log_probabilities]
        combinations = best_first([[value for _, value in factor] for factor in factors])
        return tuple(
            (
                self.space.genotype([c for factor, at in zip(factors, positions, strict=True) for c in factor[at][0]]),
                value,
            )
            for positions, value in islice(combinations, count)
        )

    def log_probability(self, genotype: CellGenotype) -> float:
        """The log-probability of a network, in nats: of all orders of its draws together.

        The probabilities of all networks sum to 1. It is -inf for a network beyond the limits. Raises UsageError for
        one that cannot be drawn.
        """
        pairs = zip(self.log_probabilities, self._options_of(genotype), strict=True)
        if not budget_of(self.space, self.limits).allows(genotype):
            return -inf
        return min(0.0, fsum(_log_probability_in_any_order(*pair) for pair in pairs) - self.log_mass)

    def _options_of(self, genotype: CellGenotype) -> list[list[int]]:
        """The options that a genotype consists of, per decision. Raises UsageError if it cannot be drawn."""
        if genotype.space != self.space.name:
            raise UsageError(
                f"the cells are of the space {genotype.space!r}, the distribution's of {self.space.name!r}"
            )
        left = {cell: [list(node) for node in found.nodes] for cell, found in genotype.cells.items()}
        chosen: list[list[int]] = []
        for decision in self.decisions:
            nodes, index = left[decision.cell], decision.node - self.space.inputs
            mine = nodes[index][: decision.draws] if index < len(nodes) else []
            if len(mine) < decision.draws or any(pick not in decision.options for pick in mine):
                raise UsageError(
                    f"cells.{decision.cell}.nodes[{index}] does not belong to the distribution: it is not made of "
                    f"{decision.draws} of the options of decision {decision.name}"
                )
            del nodes[index][: decision.draws]
            chosen.append([decision.options.index(pick) for pick in mine])
        if self.space.genotype([o for options in chosen for o in options]).network() != genotype.network():
            raise UsageError(
                f"the cells do not belong to the distribution, whose cells are of the space {self.space.name!r} and "
                f"have {self.space.nodes} nodes"
            )
        return chosen

    def _decisions_about(self, cell: str) -> list[tuple[Decision, Floats]]:
        """The decisions about a type of cell, each with its log-probabilities within the limits."""
        return [pair for pair in zip(self.decisions, self.log_marginals, strict=True) if pair[0].cell == cell]

    def facts(self) -> dict[str, Any]:
        """How decided it is, how probable its mode is, and the likeliest options of each decision, as JSON."""
        cells = self.space.cells
        limits = {cell: self.entropy_limit(cell) for cell in cells}
        mode = self.log_probability(self.mode())
        ((likeliest, most),) = self.top(1)
        return {
            "kind": self.kind,
            **self.settings(),
            "entropy": {**{cell: self.entropy(cell) for cell in cells}, "total": self.total_entropy()},
            "largest_entropy": {**limits, "total": self._largest_entropy},
            "mode_probability": exp(mode),
            "mode_log_probability": mode,
            "top_probability": exp(most),
            "top_is_mode": likeliest.network() == self.mode().network(),
            "likeliest": {cell: self._facts_of_decisions(cell) for cell in cells},
        }

    def _facts_of_decisions(self, cell: str) -> list[dict[str, Any]]:
        decisions = (decision for decision, _ in self._decisions_about(cell))
        return [
            {
                "decision": decision.name,
                "node": decision.node,
                "entropy": entropy,
                "draws": [[choice._asdict() for choice in draw] for draw in draws],
            }
            for decision, entropy, draws in zip(decisions, self.entropies(cell), self.likeliest(cell), strict=True)
        ]

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """The settings that a search must share with this distribution to continue from it."""
        given = origin.config.get("settings")
        own = given if isinstance(given, dict) else {}
        limits = {name: own[name] for name in LIMITS if own.get(name) is not None}
        return {"space": self.space.name, "nodes": self.space.nodes, **limits}

    def tensors(self) -> dict[str, Floats]:
        """All that was learnt, under its names in a file: "logits.normal.2", …, by cell and decision."""
        return {_name(decision): values for decision, values in zip(self.decisions, self.logits, strict=True)}

    def settings(self) -> dict[str, Any]:
        """What the tensors describe, as JSON."""
        limits = {} if self.limits == NO_LIMITS else {"limits": self.limits.facts()}
        return {**space_settings(self.space), **limits}

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        limits = limits_of(settings["limits"]) if "limits" in settings else NO_LIMITS
        space = space_of({name: value for name, value in settings.items() if name != "limits"}, cls.kind)
        names = [_name(decision) for decision in space.decisions()]
        if stray := tensors.keys() - set(names):
            raise ValueError(f"unknown tensor {min(stray)[:60]!r} (nodes: {space.nodes})")
        if missing := set(names) - tensors.keys():
            raise ValueError(f"the tensor {min(missing)!r} is missing (nodes: {space.nodes})")
        try:
            return cls(space, [tensors[name] for name in names], limits)
        except UsageError as error:
            raise ValueError(f"limits: {error}") from None


def _aligned(several: Sequence[Floats]) -> list[Floats]:
    """The draws of each distribution, [draws, options], in the order nearest to the common mean.

    Found as k-means does: once from each distribution as a start, and the closest agreement is kept.
    """
    logs = [log_softmax(values) for values in several]
    orders = [list(order) for order in permutations(range(len(several[0])))]
    if len(orders) == 1:
        return list(several)
    best: tuple[float, list[list[int]]] | None = None
    for centre in logs:
        chosen: list[list[int]] = []
        while True:
            nearest = [min(orders, key=lambda order: _distance(own[order], centre)) for own in logs]
            if nearest == chosen:
                break
            chosen = nearest
            centre = np.mean([own[order] for own, order in zip(logs, chosen, strict=True)], axis=0)
        spread = sum(_distance(own[order], centre) for own, order in zip(logs, chosen, strict=True))
        if best is None or spread < best[0]:
            best = spread, chosen
    assert best is not None
    return [values[order] for values, order in zip(several, best[1], strict=True)]


def _distance(first: Floats, second: Floats) -> float:
    return float(np.square(first - second).sum())


def _name(decision: Decision) -> str:
    return f"{_GROUP}.{decision.cell}.{decision.name}"


def _choice(pick: Pick, log_probability: float) -> Choice:
    return Choice(pick.op, pick.input, float(np.exp(log_probability)))


def _entropy(logs: Floats) -> float:
    """The entropy of draws by their log-probabilities, in nats. [draws, options]"""
    return float(-(np.exp(logs) * np.maximum(logs, -LARGEST)).sum())


def _log_probability_in_order(values: Floats, order: Sequence[int]) -> float:
    """The log-probability of a decision's draws in this order."""
    return fsum(float(draw[option]) for draw, option in zip(values, order, strict=True))


def _log_probability_in_any_order(values: Floats, options: Sequence[int]) -> float:
    """The log-probability of drawing these options in any order."""
    terms = [_log_probability_in_order(values, order) for order in set(permutations(options))]
    largest = max(terms)
    return largest + log(fsum(exp(term - largest) for term in terms))


def _ranked_outcomes(values: Floats, value: Value = _log_probability_in_any_order) -> list[Way]:
    """The outcomes of a decision, each with its value (its log-probability), the likeliest first.

    Draws in any order are one outcome, which is returned in its likeliest order. Ties go to the outcome that is
    likelier in that order, then to the one whose first draw is likelier.
    """
    draws, options = values.shape

    def likeliest_order(outcome: tuple[int, ...]) -> tuple[int, ...]:
        return max(sorted(set(permutations(outcome))), key=lambda order: _log_probability_in_order(values, order))

    outcomes = [likeliest_order(outcome) for outcome in combinations_with_replacement(range(options), draws)]
    ranked = [(outcome, min(0.0, value(values, outcome))) for outcome in outcomes]
    ranked.sort(
        key=lambda row: (
            -row[1],
            -_log_probability_in_order(values, row[0]),
            [-values[0, o] for o in row[0][:1]],
            row[0],
        )
    )
    return ranked


def _by_falling_value(values: Floats) -> NDArray[np.intp]:
    """Positions by falling value; ties keep their order."""
    return np.argsort(-values, kind="stable")
