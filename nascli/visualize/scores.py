"""The scores of a ranking in words, for its picture and its text."""

from statistics import mean, stdev

from nascli.artifacts.ranking import RankingDistribution


def heading(ranking: RankingDistribution) -> str:
    """How many cells there are."""
    count = len(ranking.candidates)
    order = ", best first" if count > 1 else ""
    waiting = f", {len(ranking.waiting)} still to train" if ranking.waiting else ""
    how = "ranked by a table" if count and ranking.candidates[0].loss is None else "trained"
    return f"{f'{count:,}' if count else 'no'} {'cell' if count == 1 else 'cells'} {how}{order}{waiting}"


def summary(ranking: RankingDistribution) -> str:
    """Best, mean ± standard deviation and worst accuracy in per cent; nothing before a cell is trained."""
    accuracies = [100 * candidate.accuracy for candidate in ranking.candidates]
    if not accuracies:
        return ""
    if len(accuracies) == 1:
        return f"accuracy {accuracies[0]:.2f} %"
    return (
        f"accuracy: best {accuracies[0]:.2f} %, mean {mean(accuracies):.2f} ± {stdev(accuracies):.2f} %, "
        f"worst {accuracies[-1]:.2f} %"
    )
