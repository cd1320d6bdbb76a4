"""The ranking of a random search as text: the scores of the best cells and of the worst, and the best cell."""

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.ranking import RankingDistribution
from nascli.spaces.names import SKIP
from nascli.visualize.genotype_text import Trees
from nascli.visualize.scores import heading, summary

MOST_ROWS = 20
"""Cells that are listed one by one; of more, the best and the last."""


def describe_ranking(ranking: RankingDistribution) -> RenderableType:
    """A table of the cells, best first, and the best as trees."""
    trees = Trees(ranking.mode())
    if not ranking.candidates:
        return Group(heading(ranking), "", "the first to be trained", "", trees)
    return Group(heading(ranking), summary(ranking), "", _table(ranking), "", trees)


def _table(ranking: RankingDistribution) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    first = ranking.candidates[0]
    known = {"loss (nats)": first.loss, "reported (%)": first.reported}
    columns = [name for name, value in known.items() if value is not None]
    for column in ("rank", "number", "accuracy (%)", *columns, "skips (%)"):
        table.add_column(column, justify="right")
    rows = list(enumerate(ranking.candidates, start=1))
    listed = rows if len(rows) <= MOST_ROWS else [*rows[: MOST_ROWS - 1], rows[-1]]
    for rank, candidate in listed:
        if rank == len(rows) and len(listed) < len(rows):
            table.add_row("…")
        skips = candidate.genotype.share(SKIP)
        others = [] if candidate.loss is None else [f"{candidate.loss:.4f}"]
        others += [] if candidate.reported is None else [f"{100 * candidate.reported:.2f}"]
        accuracy = f"{100 * candidate.accuracy:.2f}"
        table.add_row(str(rank), str(candidate.number), accuracy, *others, f"{100 * skips:.0f}")
    return table
