"""How a search of cells ended, in one line: how decided it is, what it would derive, and whether that can learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from nascli.artifacts.distributions.distribution import Distribution
from nascli.artifacts.distributions.entropy import Entropy
from nascli.core.engine.connection import disconnection
from nascli.core.engine.offers import StandsForCells
from nascli.metrics import DRIFT, FROZEN, GENOTYPE
from nascli.spaces.cell_genotype import Cell
from nascli.spaces.names import NONE, SKIP


@dataclass(frozen=True)
class Agreement:
    """The `last` of the `epochs` in which the architecture was learnt would all have derived the same cells.

    `warmup`: the epochs before, in which it was not learnt.
    """

    last: int
    epochs: int
    warmup: int

    def __str__(self) -> str:
        if not self.epochs:
            return "no epoch after the warm-up"
        learnt = f"{self.epochs} epochs{' after the warm-up' if self.warmup else ''}"
        return f"the same genotype in the last {self.last} of {learnt}"


@dataclass(frozen=True)
class Health:
    """The end of a search of cells.

    `entropy` and `agreement` are None in random search, which does not learn gradually. `skips` and `nones` are shares
    of the derived picks, 0 to 1; `nones` is None in a space that derives no `none`, where every cell is connected.
    `disconnected` says in words which cells are not (`disconnection`). `idle` is the share of picks that are skips or
    `none` in the cell that has most of them.
    """

    entropy: Entropy | None
    agreement: Agreement | None
    skips: float
    nones: float | None
    disconnected: str
    idle: float

    @property
    def advice(self) -> str:
        """What to do where most of the picks compute nothing, as in a search that fell for skips; otherwise empty."""
        if self.entropy is None or self.idle <= 1 / 2:
            return ""
        none, rule = ("", "") if self.nones is None else (" or none", " --without-none")
        return (
            f"more than half of the picks of a cell are skip connections{none}, and few such cells learn well: compare "
            f"`derive --max-skips 2{rule}`, or the mean of several seeds"
        )

    def __str__(self) -> str:
        parts = [str(part) for part in (self.entropy, self.agreement) if part is not None]
        parts.append(f"skips {self.skips:.0%}")
        if self.nones is not None:
            parts += [f"none {self.nones:.0%}", self.disconnected or "connected"]
        return ", ".join(parts)


def health(rows: Sequence[Mapping[str, Any]], distribution: Distribution) -> Health | None:
    """The health of a search, from its rows of metrics (`RunDir.read_metrics`) and its final distribution.

    None where it stands for no cells, so that no row has any: a search of channels, or one that only shares weights.
    """
    if not isinstance(distribution, StandsForCells) or not any(GENOTYPE in row for row in rows):
        return None
    entropy, genotype = distribution.undecided(), distribution.mode()
    return Health(
        None if entropy is None else replace(entropy, drift=rows[-1].get(DRIFT)),
        None if entropy is None else _agreement(rows),
        genotype.share(SKIP),
        genotype.share(NONE) if distribution.space.keeps_none else None,
        disconnection(genotype),
        max(map(_idle, genotype.cells.values())),
    )


def _idle(cell: Cell) -> float:
    ops = [pick.op for node in cell.nodes for pick in node]
    return (ops.count(SKIP) + ops.count(NONE)) / len(ops)


def _agreement(rows: Sequence[Mapping[str, Any]]) -> Agreement:
    epochs = [row for row in rows if row["epoch"] > 0 and GENOTYPE in row]
    learnt = [row[GENOTYPE] for row in epochs if not row.get(FROZEN)]
    same = takewhile(lambda text: text == learnt[-1], reversed(learnt))
    return Agreement(sum(1 for _ in same), len(learnt), len(epochs) - len(learnt))
