"""The trials of a random search as text: the accuracies of the best cells and the worst one, and the best cell."""

from statistics import mean, stdev

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.distributions.trials import TrialsDistribution
from nascli.spaces.names import SKIP
from nascli.visualize.cells.genotype_text import Trees

MOST_ROWS = 20
"""The most cells in the table; if there are more, it lists the best ones and the last."""


def describe_trials(trials: TrialsDistribution) -> RenderableType:
    """A table of the cells, best first, and the best as trees."""
    trees = Trees(trials.mode())
    if not trials.done:
        return Group(heading(trials), "", "the first to be trained", "", trees)
    return Group(heading(trials), summary(trials), "", _table(trials), "", trees)


def _table(trials: TrialsDistribution) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    first = trials.done[0]
    known = {"loss (nats)": first.loss, "reported (%)": first.reported}
    columns = [name for name, value in known.items() if value is not None]
    for column in ("rank", "number", "accuracy (%)", *columns, "skips (%)"):
        table.add_column(column, justify="right")
    rows = list(enumerate(trials.done, start=1))
    listed = rows if len(rows) <= MOST_ROWS else [*rows[: MOST_ROWS - 1], rows[-1]]
    for rank, trial in listed:
        if rank == len(rows) and len(listed) < len(rows):
            table.add_row("…")
        skips = trial.genotype.share(SKIP)
        others = [] if trial.loss is None else [f"{trial.loss:.4f}"]
        others += [] if trial.reported is None else [f"{100 * trial.reported:.2f}"]
        accuracy = f"{100 * trial.accuracy:.2f}"
        table.add_row(str(rank), str(trial.number), accuracy, *others, f"{100 * skips:.0f}")
    return table


def heading(trials: TrialsDistribution) -> str:
    """The number of cells, how they were judged, and how many wait."""
    count = len(trials.done)
    order = ", best first" if count > 1 else ""
    waiting = f", {len(trials.waiting)} still to train" if trials.waiting else ""
    how = "looked up in a table" if count and trials.done[0].loss is None else "trained"
    return f"{f'{count:,}' if count else 'no'} {'cell' if count == 1 else 'cells'} {how}{order}{waiting}"


def summary(trials: TrialsDistribution) -> str:
    """Best, mean ± standard deviation and worst accuracy in per cent; empty before a cell is trained."""
    accuracies = [100 * trial.accuracy for trial in trials.done]
    if not accuracies:
        return ""
    if len(accuracies) == 1:
        return f"accuracy {accuracies[0]:.2f} %"
    return (
        f"accuracy: best {accuracies[0]:.2f} %, mean {mean(accuracies):.2f} ± {stdev(accuracies):.2f} %, "
        f"worst {accuracies[-1]:.2f} %"
    )
