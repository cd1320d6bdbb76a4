"""Random search where the true accuracy of every cell is known: nothing is trained, and nothing here needs torch."""

from collections.abc import Mapping
from typing import Any

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.ranking import RankedCell, RankingDistribution
from nascli.artifacts.truth import TruthTable
from nascli.spaces.protocol import CellSpace


def ranked_by_table(
    space: CellSpace, settings: Mapping[str, Any], seed: int, table: TruthTable, choose_by: str, report: str
) -> RankingDistribution:
    """As many uniform cells as `candidates`, ranked by what a table says of them instead of by training them.

    choose_by, report: the columns that rank them, and that are told of them.
    """
    uniform = CategoricalDistribution.uniform(space)
    cells = [uniform.sample(seed, number) for number in range(settings["candidates"])]
    ranked = [
        RankedCell(cell, table.accuracy(cell, choose_by) / 100, None, number, table.accuracy(cell, report) / 100)
        for number, cell in enumerate(cells)
    ]
    return RankingDistribution(space, tuple(sorted(ranked, key=RankedCell.place)), ())
