"""PARSEC's distribution over cells: for every draw of every node, a categorical over the pairs (input, operation)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import fsum, log
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.best_first import best_first
from nascli.artifacts.cell_genotype import CELL_INPUTS, CELL_NAMES, Cell, CellGenotype, Pick
from nascli.artifacts.logits import NONE, Floats, check_cells, check_operations, check_space, frozen, settings_of
from nascli.artifacts.provenance import Provenance
from nascli.errors import UsageError
from nascli.registry import SPACES
from nascli.seeds import derive_seed

DRAWS = 2
"""Of every node, as in the papers of this space: a node is the sum of two picks."""

_GROUP = "logits"


class Choice(NamedTuple):
    """One value of a categorical, and how likely it is drawn."""

    op: str
    input: int
    probability: float


@dataclass(frozen=True, eq=False)
class CategoricalDistribution:
    """What PARSEC has learnt of its cells: p(alpha | pi), a product of categoricals (PARSEC, Eq. 4 and 5).

    `logits` holds for "normal" and "reduce" an array per node: [draws, inputs, operations], where the n-th node, from
    0, has n + 2 inputs. Each draw of a node is one categorical over all its (input, operation) pairs. A network is a
    tuple of draws; the two draws of a node in the other order are the same network, because the node is their sum and
    an operation on an edge has the same weights for both. Raises ValueError where names, shapes, types or values don't
    fit.
    """

    kind: ClassVar[str] = "categorical"

    space: str
    nodes: int
    operations: tuple[str, ...]
    logits: Mapping[str, tuple[Floats, ...]]
    provenance: Provenance

    def __post_init__(self) -> None:
        check_space(self.space, self.nodes)
        check_operations(self.operations, _choosable(self.space))
        check_cells(self.logits, _GROUP)
        copies: dict[str, tuple[Floats, ...]] = {}
        for cell in CELL_NAMES:
            if len(self.logits[cell]) != self.nodes:
                raise ValueError(f"{_GROUP}.{cell}: is of {len(self.logits[cell])} nodes; {self.nodes} are needed")
            copies[cell] = tuple(
                frozen(values, f"{_GROUP}.{cell}.{state}", (DRAWS, state, len(self.operations)))
                for state, values in enumerate(self.logits[cell], CELL_INPUTS)
            )
        object.__setattr__(self, "logits", copies)

    @classmethod
    def uniform(cls, nodes: int, provenance: Provenance, space: str = "darts") -> Self:
        """Where a search begins: all logits zero, every operation of the space but `none`."""
        operations = _choosable(space)
        states = range(CELL_INPUTS, CELL_INPUTS + nodes)
        logits = {
            cell: tuple(np.zeros((DRAWS, state, len(operations)), dtype=np.float32) for state in states)
            for cell in CELL_NAMES
        }
        return cls(space, nodes, operations, logits, provenance)

    def probabilities(self, cell: str) -> tuple[Floats, ...]:
        """Of every choice, per node: [draws, inputs, operations], float64; each draw's sum to 1."""
        return tuple(np.exp(values) for values in self._log_probabilities[cell])

    def node_entropies(self, cell: str) -> tuple[float, ...]:
        """The entropy of each node, both draws together, in nats."""
        return tuple(float(-(np.exp(values) * values).sum()) for values in self._log_probabilities[cell])

    def entropy(self, cell: str) -> float:
        """The entropy of one type of cell, all nodes together, in nats."""
        return fsum(self.node_entropies(cell))

    def total_entropy(self) -> float:
        """The entropy of p(alpha | pi), in nats: that of both types of cell together."""
        return fsum(self.entropy(cell) for cell in CELL_NAMES)

    def entropy_limit(self) -> float:
        """The entropy of one type of cell where every choice is as likely as any, in nats."""
        states = range(CELL_INPUTS, CELL_INPUTS + self.nodes)
        return fsum(DRAWS * log(state * len(self.operations)) for state in states)

    def likeliest(self, cell: str, count: int = 3) -> tuple[tuple[tuple[Choice, ...], ...], ...]:
        """Per node, per draw, the `count` likeliest choices, the likeliest first; of equals, the first."""
        return tuple(
            tuple(
                tuple(
                    Choice(*self._pair(int(option)), float(np.exp(draw[option]))) for option in _falling(draw)[:count]
                )
                for draw in node.reshape(DRAWS, -1)
            )
            for node in self._log_probabilities[cell]
        )

    def mode(self) -> CellGenotype:
        """The most probable value of every draw; of equals, the first. Both draws of a node may agree."""
        return self._genotype(
            [self._picks(*(int(draw.argmax()) for draw in node.reshape(DRAWS, -1))) for node in self._factors()]
        )

    def sample(self, seed: int, number: int) -> CellGenotype:
        """Child `number` of the sequence `seed`, drawn from p(alpha | pi); whatever other children are drawn."""
        # numpy promises the bits of a bit generator for all its versions, but not what a Generator makes of them.
        bits = np.random.Philox(key=derive_seed(seed, "sample", number)).random_raw((2 * self.nodes, DRAWS))
        uniform = (bits >> np.uint64(11)) * 2.0**-53
        nodes = []
        for node, row in zip(self._factors(), uniform, strict=True):
            cumulative = np.exp(node.reshape(DRAWS, -1)).cumsum(axis=1)
            # Scaled by the last sum, which rounding keeps from being 1, so that no choice of probability 0 is drawn.
            drawn = (
                int(sums.searchsorted(u * sums[-1], side="right")) for sums, u in zip(cumulative, row, strict=True)
            )
            nodes.append(self._picks(*drawn))
        return self._genotype(nodes)

    def top(self, count: int) -> tuple[tuple[CellGenotype, float], ...]:
        """The `count` most probable networks with their log-probabilities, the most probable first: the mode.

        Every network once, its nodes' draws in the likelier order, so `log_probability` says the same of it. Fewer
        where there are no more. Found best-first from the factorised distribution.
        """
        factors = [self._ranked_pairs(node, count) for node in self._factors()]
        combinations = best_first([[value for _, value in factor] for factor in factors])
        return tuple(
            (
                self._genotype([factor[position][0] for factor, position in zip(factors, positions, strict=True)]),
                value,
            )
            for positions, value in islice(combinations, count)
        )

    def log_probability(self, genotype: CellGenotype) -> float:
        """log p(alpha | pi), in nats, of a network, its nodes' two picks drawn in the likelier order.

        Raises UsageError for a network that the distribution is not over.
        """
        terms = []
        for name, cell in genotype.cells():
            if (genotype.space, len(cell.nodes), cell.concat) != (self.space, self.nodes, self._concat()):
                raise UsageError(
                    f"the {name} cell is none of the distribution's, which are of the space {self.space!r} and have "
                    f"{self.nodes} nodes, all of them in concat"
                )
            for state, (node, values) in enumerate(
                zip(cell.nodes, self._log_probabilities[name], strict=True), CELL_INPUTS
            ):
                place = f"{name}.nodes[{state - CELL_INPUTS}]"
                if len(node) != DRAWS:
                    raise UsageError(f"{place} has {len(node)} picks; the distribution is over pairs of them")
                one, two = ((pick.input, self._operation(pick.op, place)) for pick in node)
                first, second = values
                terms.append(float(max(first[one] + second[two], first[two] + second[one])))
        return fsum(terms)

    def shared_settings(self) -> dict[str, Any]:
        """What a search that goes on with this distribution must have in common with it."""
        return {"nodes": self.nodes}

    def tensors(self) -> dict[str, Floats]:
        """All that was learnt, under the names that it has in a file: "logits.normal.2", …, by cell and state."""
        return {
            f"{_GROUP}.{cell}.{state}": values
            for cell in CELL_NAMES
            for state, values in enumerate(self.logits[cell], CELL_INPUTS)
        }

    def settings(self) -> dict[str, Any]:
        """What the tensors are about, as JSON."""
        return {"space": self.space, "nodes": self.nodes, "operations": list(self.operations)}

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], provenance: Provenance) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        space, nodes, operations = settings_of(settings, "categorical")
        check_space(space, nodes)
        states = range(CELL_INPUTS, CELL_INPUTS + nodes)
        names = {cell: [f"{_GROUP}.{cell}.{state}" for state in states] for cell in CELL_NAMES}
        needed = {name for cell in CELL_NAMES for name in names[cell]}
        if stray := tensors.keys() - needed:
            raise ValueError(f"unknown tensor {min(stray)[:60]!r} (nodes: {nodes})")
        if missing := needed - tensors.keys():
            raise ValueError(f"the tensor {min(missing)!r} is missing (nodes: {nodes})")
        logits = {cell: tuple(tensors[name] for name in names[cell]) for cell in CELL_NAMES}
        return cls(space, nodes, operations, logits, provenance)

    @cached_property
    def _log_probabilities(self) -> Mapping[str, tuple[Floats, ...]]:
        """Log-softmax of the logits over each draw's choices, in float64: finite, however decided a draw is."""
        return {cell: tuple(map(_log_softmax, self.logits[cell])) for cell in CELL_NAMES}

    def _factors(self) -> list[Floats]:
        """The log-probabilities of all nodes, the normal cell's first."""
        return [node for cell in CELL_NAMES for node in self._log_probabilities[cell]]

    def _ranked_pairs(self, node: Floats, count: int) -> list[tuple[tuple[Pick, ...], float]]:
        """The `count` most probable picks of a node, with their log-probabilities, in falling order.

        A pair in either order is one, with the likelier order. Of equals, those go first whose first draw is likelier,
        so the node's mode is the first of all.
        """
        first, second = node.reshape(DRAWS, -1)
        likeliest_first, likeliest_second = _falling(first), _falling(second)
        sums = np.add.outer(first[likeliest_first], second[likeliest_second]).ravel()
        found: dict[tuple[int, int], tuple[tuple[Pick, ...], float]] = {}
        for place in _falling(sums)[: 2 * count]:  # each pair is there twice at most
            row, column = divmod(int(place), second.size)
            one, two = int(likeliest_first[row]), int(likeliest_second[column])
            found.setdefault((min(one, two), max(one, two)), (self._picks(one, two), float(sums[place])))
        return list(found.values())[:count]

    def _pair(self, option: int) -> tuple[str, int]:
        """The operation and the input that a position among a draw's choices stands for."""
        source, op = divmod(option, len(self.operations))
        return self.operations[op], source

    def _picks(self, *options: int) -> tuple[Pick, ...]:
        return tuple(Pick(op=op, input=source) for op, source in map(self._pair, options))

    def _operation(self, op: str, place: str) -> int:
        if op not in self.operations:
            raise UsageError(f"{place} has {op}, which the distribution is not over: {', '.join(self.operations)}")
        return self.operations.index(op)

    def _genotype(self, nodes: Sequence[tuple[Pick, ...]]) -> CellGenotype:
        normal, reduce = nodes[: self.nodes], nodes[self.nodes :]
        return CellGenotype(
            space=self.space,
            normal=Cell(nodes=tuple(normal), concat=self._concat()),
            reduce=Cell(nodes=tuple(reduce), concat=self._concat()),
        )

    def _concat(self) -> tuple[int, ...]:
        return tuple(range(CELL_INPUTS, CELL_INPUTS + self.nodes))


def _choosable(space: str) -> tuple[str, ...]:
    """A network computes what it draws, so there is no `none` to draw."""
    return tuple(op for op in SPACES[space].search_operations if op != NONE)


def _log_softmax(logits: Floats) -> Floats:
    """Over all but the first axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=(1, 2), keepdims=True)
    values: Floats = shifted - np.log(np.exp(shifted).sum(axis=(1, 2), keepdims=True))
    values.setflags(write=False)
    return values


def _falling(values: Floats) -> NDArray[np.intp]:
    """Positions in falling order of the values; of equals, the first goes first."""
    return np.argsort(-values, kind="stable")
