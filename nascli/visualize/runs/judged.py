"""What searches would have derived after each epoch, judged by a table of true accuracies."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from nascli.artifacts.truth import TOP, TruthTable, Worth
from nascli.errors import UsageError
from nascli.metrics import GENOTYPE
from nascli.spaces import space_of_text
from nascli.visualize.runs.curves import Rows, named_runs


@dataclass(frozen=True)
class Judged:
    """What the cells of every run are worth by a column of the table: by the run's name, then by epoch."""

    runs: Mapping[str, Mapping[int, Worth]]
    table: TruthTable
    column: str

    @classmethod
    def of(cls, runs: Mapping[str, Rows], table: TruthTable, column: str) -> "Judged":
        """Judge runs. Raises UsageError for runs that record no cells, or cells that the table doesn't know."""
        found = {name: _worths(name, rows, table, column) for name, rows in named_runs(runs).items()}
        return cls(found, table, column)

    def marks(self) -> tuple[tuple[str, float, int], ...]:
        """What to compare with: name, accuracy in per cent and rank of each mark."""
        count = len(self.table)
        return (
            ("best", self.table.best(self.column), 1),
            (f"top {TOP:.0%}", self.table.quantile(self.column, TOP), round(TOP * count)),
            ("median", self.table.median(self.column), (count + 1) // 2),
        )


def _worths(name: str, rows: Rows, table: TruthTable, column: str) -> dict[int, Worth]:
    texts = {
        row["epoch"]: str(row[GENOTYPE]) for row in rows if row.get(GENOTYPE) and isinstance(row.get("epoch"), int)
    }
    if not texts:
        run = f"run {name}" if name else "the run"
        raise UsageError(
            f"{run} does not record what it would have derived after each epoch: only searches of cells do"
        )
    worths = {}
    for epoch, text in sorted(texts.items()):
        space = space_of_text(text)
        if space is None:
            raise UsageError(f"{name}: epoch {epoch}: {text[:60]!r} is no genotype")
        worths[epoch] = table.worth(space.parse(text, f"{name}: epoch {epoch}"), column)
    return worths


def changes(worths: Mapping[int, Worth]) -> int:
    """How often the accuracy of the derived cell changed from one epoch to the next."""
    return sum(before.accuracy != after.accuracy for before, after in pairwise(worths.values()))
