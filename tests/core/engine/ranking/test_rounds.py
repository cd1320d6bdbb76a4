"""Rounds of scores: what is kept of them, and how a ranking goes on where it was stopped."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from nascli.core.engine.destination import Destination
from nascli.core.engine.ranking.held_out import held_out_images, rankable
from nascli.core.engine.ranking.rank import rank
from nascli.core.engine.ranking.rounds import SHORTLIST_SHARE
from nascli.core.engine.ranking.score_channels import ChannelScorer
from nascli.core.engine.reporter import Silent
from nascli.errors import ArtifactError, Interrupted, UsageError
from tests.core.engine.ranking.example import CPU, HELD_OUT_IMAGES, derive_in, files, run, settings, sizes_once


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


def test_equal_masks_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    scores = ChannelScorer.scores
    monkeypatch.setattr(
        ChannelScorer, "scores", lambda self, masks, *rest: asked.append(len(masks)) or scores(self, masks, *rest)
    )
    result = rank(run(drop=1e-6), settings(uniform=False))
    assert (asked, len(result.rounds[0].scores), result.best[0].number) == ([1], 12, 1)


def test_a_shortlist_is_of_the_best_on_a_tenth(tmp_path: Path) -> None:
    result = rank(run(), settings(shortlist=3), Destination(tmp_path / "cell.json"))
    first, last = result.rounds
    assert (first.images, last.images) == (round(SHORTLIST_SHARE * HELD_OUT_IMAGES), HELD_OUT_IMAGES)
    for name in ("posterior", "uniform"):
        best = sorted(first.of(name), key=lambda s: (-s.accuracy, s.loss, s.number))[:3]
        assert {s.number for s in last.of(name)} == {s.number for s in best}
    whole = {s.number: s.accuracy for s in rank(run(), settings()).rounds[0].of("posterior")}
    assert all(s.accuracy == whole[s.number] for s in last.of("posterior"))
    rows = (tmp_path / "cell.ranking" / "shortlist.jsonl").read_text().splitlines()
    assert len(rows) == 24
    assert len((tmp_path / "cell.ranking" / "candidates.jsonl").read_text().splitlines()) == 6


def test_the_first_tenth_has_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    start = run(limit_train=1400)
    data, images = held_out_images(rankable(start), settings(), CPU.device, Silent())
    asked: list[np.ndarray] = []
    scores = ChannelScorer.scores
    monkeypatch.setattr(
        ChannelScorer, "scores", lambda self, masks, few, *rest: asked.append(few) or scores(self, masks, few, *rest)
    )
    rank(start, settings(shortlist=2, candidates=3, uniform=False))
    few = np.bincount(data.train_labels[asked[0]], minlength=10)
    assert few.sum() == round(len(images) / 10)
    assert few.max() - few.min() <= 1


def test_scores_are_kept(tmp_path: Path) -> None:
    result = rank(run(), settings(), Destination(tmp_path / "cell.json"))
    lines = (tmp_path / "cell.ranking" / "candidates.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [score.row() for score in result.rounds[0].scores]
    assert {*json.loads(lines[0])} == {"population", "number", "accuracy", "loss", "parameters", "multiply_adds"}


@pytest.mark.parametrize("shortlist", [None, 4])
def test_killed_anywhere_it_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortlist: int | None
) -> None:
    monkeypatch.setattr(ChannelScorer, "per_pass", lambda self, images: 5)
    derive_in(tmp_path / "whole", shortlist=shortlist)
    expected = files(tmp_path / "whole")
    names = [f"cell.ranking/{name}.jsonl" for name in (["shortlist"] if shortlist else []) + ["candidates"]]
    for place, name in enumerate(names):
        for cut in (0, len(expected[name]) // 2, len(expected[name]) - 1):
            folder = tmp_path / f"{place}-{cut}"
            (folder / "cell.ranking").mkdir(parents=True)
            (folder / "cell.ranking" / "config.json").write_bytes(expected["cell.ranking/config.json"])
            for earlier in names[:place]:
                (folder / earlier).write_bytes(expected[earlier])
            (folder / name).write_bytes(expected[name][:cut])
            derive_in(folder, resume=True, shortlist=shortlist)
            assert files(folder) == expected


def test_a_signal_ends_it_after_the_pass_and_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelScorer, "per_pass", lambda self, images: 5)
    derive_in(tmp_path / "whole")
    scores, passes, resumed = ChannelScorer.scores, [], []

    def interrupted(self, masks, images, stop):  # type: ignore[no-untyped-def]
        passes.append(len(masks))
        if len(passes) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return scores(self, masks, images, stop)

    with monkeypatch.context() as patched:
        patched.setattr(ChannelScorer, "scores", interrupted)
        with pytest.raises(Interrupted, match=r"SIGINT after 10 of 12 candidates.*--resume"):
            derive_in(tmp_path / "stopped")
    with pytest.raises(UsageError, match="holds a run already: continue it with --resume"):
        derive_in(tmp_path / "stopped")
    with pytest.raises(UsageError, match="candidates was 12 and is 13"):
        derive_in(tmp_path / "stopped", resume=True, candidates=13)
    with monkeypatch.context() as patched:
        patched.setattr(
            ChannelScorer, "scores", lambda self, masks, *rest: resumed.append(len(masks)) or scores(self, masks, *rest)
        )
        derive_in(tmp_path / "stopped", resume=True)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    assert resumed == [2]


def test_a_signal_in_the_last_pass_of_the_first_round_does_not_wait_for_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, passes = ChannelScorer.scores, []

    def signalled_at_its_end(self, masks, images, stop):  # type: ignore[no-untyped-def]
        passes.append(len(images))
        found = scores(self, masks, images)
        os.kill(os.getpid(), signal.SIGINT)
        return found

    monkeypatch.setattr(ChannelScorer, "scores", signalled_at_its_end)
    with pytest.raises(Interrupted, match=r"SIGINT after \d+ of \d+ candidates.*--resume"):
        derive_in(tmp_path, shortlist=3)
    assert passes == [round(SHORTLIST_SHARE * HELD_OUT_IMAGES)]


def test_a_pass_that_was_cut_short_is_done_again_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelScorer, "per_pass", lambda self, images: 5)
    derive_in(tmp_path)
    path = tmp_path / "cell.ranking" / "candidates.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:8]))
    scores, resumed = ChannelScorer.scores, []
    monkeypatch.setattr(
        ChannelScorer, "scores", lambda self, masks, *rest: resumed.append(len(masks)) or scores(self, masks, *rest)
    )
    (tmp_path / "cell.json").unlink()
    derive_in(tmp_path, resume=True)
    assert resumed == [5, 2]


def test_scores_of_another_run_are_not_gone_on_with(tmp_path: Path) -> None:
    derive_in(tmp_path / "a")
    path = tmp_path / "a" / "cell.ranking" / "candidates.jsonl"
    path.write_text(path.read_text().replace("posterior", "uniform", 1))
    with pytest.raises(ArtifactError, match="not those of this run"):
        derive_in(tmp_path / "a", resume=True)
    path.write_text('{"population": "posterior"}\n')
    with pytest.raises(ArtifactError, match="a row is not that of a candidate"):
        derive_in(tmp_path / "a", resume=True)


def test_scores_that_cannot_be_are_not_gone_on_with(tmp_path: Path) -> None:
    derive_in(tmp_path)
    path = tmp_path / "cell.ranking" / "candidates.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    for broken in ({"accuracy": 9.0}, {"loss": -1.0}, {"accuracy": "high"}):
        path.write_text(json.dumps(row | broken) + "\n")
        with pytest.raises(ArtifactError, match="a row is not that of a candidate"):
            derive_in(tmp_path, resume=True)
