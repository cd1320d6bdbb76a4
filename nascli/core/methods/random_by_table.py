"""Random search where the true accuracy of every cell is known: nothing is trained, and nothing here needs torch."""

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.ranking import RankedCell, RankingDistribution
from nascli.artifacts.truth import TruthTable
from nascli.settings.random_search import RandomSettings
from nascli.spaces import cell_space


def ranked_by_table(
    space: str, settings: RandomSettings, seed: int, table: TruthTable, choose_by: str, report: str
) -> RankingDistribution:
    """As many uniform cells as `candidates`, ranked by what a table says of them instead of by training them.

    choose_by, report: the columns that rank them, and that are told of them.
    """
    cells_of = cell_space(space, settings.nodes)
    uniform = CategoricalDistribution.uniform(cells_of)
    cells = [uniform.sample(seed, number) for number in range(settings.candidates)]
    ranked = [
        RankedCell(cell, table.accuracy(cell, choose_by) / 100, None, number, table.accuracy(cell, report) / 100)
        for number, cell in enumerate(cells)
    ]
    return RankingDistribution(cells_of, tuple(sorted(ranked, key=RankedCell.place)), ())
