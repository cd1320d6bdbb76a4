"""Scoring all candidates, in one round or in two, with progress, and in steps that a killed run can go on from.

The scores are kept in the run directory as they come, pass by pass; they are all that a resumed run needs.
"""

import signal
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nascli.artifacts.rundir import RunDir
from nascli.artifacts.scores import POPULATIONS, UNIFORM, Scored, best_first
from nascli.config import DeriveConfig
from nascli.core.engine.pool import CandidateScorer
from nascli.core.engine.ranking import Candidate, mean_and_deviation
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.signals import StopRequest, stop_on_signals
from nascli.data import DataModule
from nascli.data.splits import split
from nascli.errors import ArtifactError, Interrupted
from nascli.seeds import derive_seed

SHORTLIST_SHARE = 0.1
"""Of the held-out images, stratified, on which all candidates are scored before the shortlist sees the others."""


@dataclass(frozen=True)
class Round:
    """The scores of one round, in the order of the numbers: on how many images, and those of either population."""

    images: int
    scores: tuple[Scored, ...]

    def of(self, population: str) -> list[Scored]:
        """Those of one population."""
        return [score for score in self.scores if score.population == population]

    @property
    def own(self) -> list[Scored]:
        """Those of the distribution's own candidates, of which one is chosen."""
        return [score for score in self.scores if score.population != UNIFORM]


class Rounds:
    """Scores candidates in one round, or in two with a shortlist between them, and goes on where a run was stopped."""

    def __init__(
        self,
        scorer: CandidateScorer,
        run: RunDir | None,
        config: DeriveConfig,
        reporter: Reporter,
        data: DataModule,
        images: np.ndarray,
    ) -> None:
        self._scorer, self._run, self._config, self._reporter = scorer, run, config, reporter
        self._data, self._images = data, images

    def run(self, candidates: Sequence[Candidate]) -> list[Round]:
        shortlist = self._config.shortlist
        if shortlist is None:
            return [self._round(candidates, self._images, shortlist=False)]
        labels = self._data.train_labels[self._images]
        shares = {"shortlist": SHORTLIST_SHARE}
        few = self._images[split(labels, shares, derive_seed(self._config.seed, "shortlist"))["shortlist"]]
        first = self._round(candidates, few, shortlist=True)
        best = {
            (score.population, score.number)
            for population in POPULATIONS
            for score in best_first(first.of(population))[:shortlist]
        }
        finalists = [candidate for candidate in candidates if (candidate.population, candidate.number) in best]
        return [first, self._round(finalists, self._images, shortlist=False)]

    def _round(self, candidates: Sequence[Candidate], images: np.ndarray, *, shortlist: bool) -> Round:
        """The scores of all candidates on these images. Equal masks are scored once."""
        distinct: dict[Hashable, Candidate] = {}
        for candidate in candidates:
            distinct.setdefault(candidate.twin_of, candidate)
        queue = list(distinct)
        size = self._scorer.per_pass(len(images))
        known, written = self._resume(candidates, queue, size, shortlist)
        self._begin(candidates, images, len(known), len(queue))
        stop = StopRequest()
        with stop_on_signals(stop):
            while len(known) < len(queue):
                keys = queue[len(known) : len(known) + size]
                masks = [distinct[key].draw() for key in keys]
                results = self._scorer.scores(masks, images, lambda: stop.signal_number is not None)
                if results is None:
                    raise self._interrupted(stop, len(known), len(queue))
                known |= dict(zip(keys, results, strict=True))
                rows = _known_rows(candidates[len(written) :], known)
                written += rows
                if self._run is not None:
                    self._run.append_candidates([row.row() for row in rows], shortlist=shortlist)
                self._reporter.step(1, len(known), _progress(written))
        return Round(len(images), tuple(written))

    def _resume(
        self, candidates: Sequence[Candidate], queue: Sequence[Hashable], size: int, shortlist: bool
    ) -> tuple[dict[Hashable, tuple[float, float]], list[Scored]]:
        """The scores of the whole passes that an earlier process finished, and its rows."""
        if self._run is None:
            return {}, []
        rows = [Scored.of(row, str(self._run.path)) for row in self._run.read_candidates(shortlist=shortlist)]
        for row, candidate in zip(rows, candidates, strict=False):
            if (row.population, row.number) != (candidate.population, candidate.number):
                raise ArtifactError(f"{self._run.path}: the scores are not those of this run: start it --overwrite")
        known = {c.twin_of: (row.accuracy, row.loss) for c, row in zip(candidates, rows, strict=False)}
        # A pass is done as a whole or again: which candidates share a forward pass decides on their scores' last bits.
        whole = len(queue) if len(known) == len(queue) else len(known) // size * size
        known = {key: known[key] for key in queue[:whole]}
        written = _known_rows(candidates, known)
        self._run.truncate_candidates(len(written), shortlist=shortlist)
        return known, written

    def _begin(self, candidates: Sequence[Candidate], images: np.ndarray, done: int, total: int) -> None:
        facts = {
            "candidates": len(candidates),
            "different": total,
            "images": len(images),
            "in a pass": self._scorer.at_once(len(images)),
        }
        self._reporter.begin(self._config.stage, facts, epochs=1, steps_per_epoch=total, step=done, unit="candidate")

    def _interrupted(self, stop: StopRequest, done: int, total: int) -> Interrupted:
        assert stop.signal_number is not None
        kept = "no run directory, so nothing is kept"
        if self._run is not None:
            kept = f"the scores are in {self._run.path}; continue with --resume"
        name = signal.Signals(stop.signal_number).name
        return Interrupted(f"stopped by {name} after {done} of {total} candidates: {kept}", stop.signal_number)


def _known_rows(candidates: Sequence[Candidate], known: Mapping[Hashable, tuple[float, float]]) -> list[Scored]:
    """The scores of the candidates up to the first that has none yet."""
    rows = []
    for one in candidates:
        if one.twin_of not in known:
            break
        rows.append(
            Scored(one.population, one.number, *known[one.twin_of], one.size.parameters, one.size.multiply_adds)
        )
    return rows


def _progress(scores: Sequence[Scored]) -> dict[str, float]:
    """What is worth watching: how the distribution's candidates do, and uniform ones once it is their turn."""
    found = {}
    for uniform, prefix in ((False, ""), (True, "uniform_")):
        if accuracies := [score.accuracy for score in scores if (score.population == UNIFORM) is uniform]:
            found[f"{prefix}best_accuracy"] = max(accuracies)
            found[f"{prefix}mean_accuracy"] = mean_and_deviation(accuracies)[0]
    return found
