"""Random search where the true accuracy of every cell is known: nothing is trained, and nothing here needs torch."""

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits
from nascli.artifacts.distributions.trials import Trial, TrialsDistribution
from nascli.artifacts.truth import TruthTable
from nascli.settings.random_search import RandomSettings
from nascli.spaces import cell_space


def trials_by_table(
    space: str,
    settings: RandomSettings,
    seed: int,
    table: TruthTable,
    choose_by: str,
    report: str,
    limits: CellLimits = NO_LIMITS,
) -> TrialsDistribution:
    """Uniformly drawn cells, as many as `trials`, ordered by their accuracies in a table; none is trained.

    choose_by: the column that orders them. report: the column that is reported of them. limits: of what is drawn.
    """
    cells_of = cell_space(space, settings.nodes)
    uniform = CategoricalDistribution.uniform(cells_of, limits)
    cells = [uniform.sample(seed, number) for number in range(settings.trials)]
    trials = [
        Trial(cell, table.accuracy(cell, choose_by) / 100, None, number, table.accuracy(cell, report) / 100)
        for number, cell in enumerate(cells)
    ]
    return TrialsDistribution(cells_of, tuple(sorted(trials, key=Trial.place)), ())
