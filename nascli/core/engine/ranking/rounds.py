"""Lines 9 and 10: every candidate is scored, in one round or in two, in steps that a killed run can go on from.

The scores are kept in the run directory as they come, pass by pass; they are all that a resumed run needs.
"""

import signal
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean
from typing import Any

import numpy as np

from nascli.artifacts.runs.rundir import RunDir
from nascli.artifacts.runs.scores import POPULATIONS, UNIFORM, YARDSTICKS, Scored, ranked
from nascli.config import DeriveConfig
from nascli.core.engine.ranking.candidates import Candidate, Scorer
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.signals import StopRequest, stop_on_signals
from nascli.data.splits import split
from nascli.distributed.ranks import world
from nascli.errors import ArtifactError, Interrupted
from nascli.seeds import derive_seed

SHORTLIST_SHARE = 0.1
"""Of the held-out images, stratified, on which all candidates are scored before the shortlist sees the others."""


@dataclass(frozen=True)
class Round:
    """The scores of one round, in the order of the candidates. images: how many they were scored on."""

    images: int
    scores: tuple[Scored, ...]

    def of(self, population: str) -> list[Scored]:
        """The scores of one population."""
        return [score for score in self.scores if score.population == population]

    @property
    def own(self) -> list[Scored]:
        """The scores of the distribution's own candidates, of which one is chosen."""
        return [score for score in self.scores if score.population not in YARDSTICKS]


@dataclass(frozen=True)
class Rounds:
    """Scores candidates in one round, or in two with a shortlist between them, and resumes a run that was stopped.

    labels: of all training images.
    """

    scorer: Scorer
    labels: np.ndarray
    config: DeriveConfig
    run: RunDir | None
    reporter: Reporter

    def score(self, candidates: Sequence[Candidate], images: np.ndarray) -> list[Round]:
        """The round, or both, on the training images at these indices. Raises ArtifactError, Diverged, Interrupted."""
        shortlist = self.config.shortlist
        if shortlist is None:
            return [self._round(candidates, images)]
        shares, seed = {"shortlist": SHORTLIST_SHARE}, derive_seed(self.config.seed, "shortlist")
        few = images[split(self.labels[images], shares, seed)["shortlist"]]
        first = self._round(candidates, few, shortlist=True)
        best = {
            (score.population, score.number)
            for population in POPULATIONS
            for score in ranked(first.of(population))[:shortlist]
        }
        finalists = [candidate for candidate in candidates if (candidate.population, candidate.number) in best]
        return [first, self._round(finalists, images)]

    def _round(self, candidates: Sequence[Candidate], images: np.ndarray, *, shortlist: bool = False) -> Round:
        """The scores of all candidates on these images. Equal networks are scored once."""
        scores = _Scores(candidates, self.run, shortlist=shortlist)
        # That of the first rank: it may depend on a machine's cores.
        size = world().from_first(lambda: self.scorer.per_pass(len(images)))
        scores.resume(size)
        self._begin(scores, len(candidates), len(images))
        stop, ranks = StopRequest(), world()
        with stop_on_signals(stop):
            while waiting := scores.waiting[: size * ranks.count]:  # line 9
                mine = waiting[size * ranks.rank :][:size]  # of the next passes, one for each rank
                drawn = [candidate.draw() for candidate in mine]
                found = self.scorer.scores(drawn, images, lambda: stop.signal_number is not None) if drawn else []
                if found is None or ranks.count > 1:
                    if ranks.any(found is None):
                        raise self._interrupted(stop, scores)
                    found = [score for part in ranks.gathered(found, "scores") for score in part]
                scores.add(found)  # line 10
                self.reporter.step(1, scores.done, _progress(scores.rows))
            if shortlist and ranks.any(stop.signal_number is not None):  # with the other round still to come
                raise self._interrupted(stop, scores)
        return Round(len(images), tuple(scores.rows))

    def _begin(self, scores: "_Scores", candidates: int, images: int) -> None:
        facts = {
            "candidates": candidates,
            "different": scores.total,
            "images": images,
            "in a pass": self.scorer.at_once(images),
        }
        self.reporter.begin(
            self.config.stage, facts, epochs=1, steps_per_epoch=scores.total, step=scores.done, unit="candidate"
        )

    def _interrupted(self, stop: StopRequest, scores: "_Scores") -> Interrupted:
        number = stop.signal_number or signal.SIGTERM  # another rank's
        kept = "no run directory, so nothing is kept"
        if self.run is not None:
            kept = f"the scores are in {self.run.path}; continue with --resume"
        name = signal.Signals(number).name
        done = f"{scores.done} of {scores.total} candidates"
        return Interrupted(f"stopped by {name} after {done}: {kept}", number)


class _Scores:
    """The scores of a round so far, in memory and in the run directory, where there is one.

    `rows`: scores of the candidates, in order, up to the first that has none. `waiting`: candidates that are still to
    be scored, one per network. `done` of `total` networks have a score.
    """

    def __init__(self, candidates: Sequence[Candidate], run: RunDir | None, *, shortlist: bool) -> None:
        self._candidates, self._run, self._shortlist = candidates, run, shortlist
        self._known: dict[Hashable, tuple[float, float]] = {}
        self.rows: list[Scored] = []
        self.waiting = different(candidates)
        self.total = len(self.waiting)

    @property
    def done(self) -> int:
        return self.total - len(self.waiting)

    def resume(self, size: int) -> None:
        """Take over the whole passes, of `size` networks, that an earlier process finished."""
        kept = world().from_first(self._read, "scores")
        if kept is None:
            return
        where = "the run directory" if self._run is None else str(self._run.path)
        known: dict[Hashable, tuple[float, float]] = {}
        rows = [Scored.of(row, where) for row in kept]
        for row, candidate in zip(rows, self._candidates, strict=False):
            if (row.population, row.number) != (candidate.population, candidate.number):
                raise ArtifactError(f"{where}: the scores are not those of this run: give --overwrite")
            known[candidate.twin_of] = (row.accuracy, row.loss)
        # An incomplete pass is done again: which candidates share a forward pass decides their scores' last bits.
        whole = self.total if len(known) == self.total else len(known) // size * size
        self._take(known[candidate.twin_of] for candidate in self.waiting[:whole])
        if self._run is not None:
            self._run.truncate_candidates(len(self.rows), shortlist=self._shortlist)

    def _read(self) -> list[Any] | None:
        """The rows that an earlier process has kept; None where nothing is kept."""
        return None if self._run is None else list(self._run.read_candidates(shortlist=self._shortlist))

    def add(self, found: Sequence[tuple[float, float]]) -> None:
        """Keep the accuracy and the loss of the next waiting candidates."""
        rows = self._take(found)
        if self._run is not None:
            self._run.append_candidates([row.row() for row in rows], shortlist=self._shortlist)

    def _take(self, found: Iterable[tuple[float, float]]) -> list[Scored]:
        """The rows that come with these scores."""
        scored = list(found)
        for candidate, score in zip(self.waiting, scored, strict=False):
            self._known[candidate.twin_of] = score
        del self.waiting[: len(scored)]
        waiting = self._candidates[len(self.rows) :]
        rows = [
            Scored(one.population, one.number, *self._known[one.twin_of], one.size.parameters, one.size.multiply_adds)
            for one in takewhile(lambda candidate: candidate.twin_of in self._known, waiting)
        ]
        self.rows += rows
        return rows


def round_of(
    candidates: Sequence[Candidate], found: Sequence[tuple[float, float]], images: int, run: RunDir | None
) -> Round:
    """The round of candidates whose networks, in the order of `different`, have these scores; they are kept in `run`.

    images: how many they were scored on.
    """
    if run is not None:
        run.truncate_candidates(0)
    scores = _Scores(candidates, run, shortlist=False)
    scores.add(found)
    return Round(images, tuple(scores.rows))


def different(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate of every network, in order: equal networks have the same score."""
    first: dict[Hashable, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.twin_of, candidate)
    return list(first.values())


def _progress(scores: Sequence[Scored]) -> dict[str, float]:
    """What is worth watching: how the distribution's candidates do, and later the uniform ones."""
    found = {}
    own = [score for score in scores if score.population not in YARDSTICKS]
    for prefix, those in (("", own), ("uniform_", [score for score in scores if score.population == UNIFORM])):
        if accuracies := [score.accuracy for score in those]:
            found[f"{prefix}best_accuracy"] = max(accuracies)
            found[f"{prefix}mean_accuracy"] = fmean(accuracies)
    return found
