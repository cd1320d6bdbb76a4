"""A ranking in parts: put together, they derive to the byte what one process derives."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from nascli.artifacts.load import LoadedArtifact, load_artifact, read_artifact
from nascli.artifacts.provenance import DataDescription
from nascli.artifacts.ranking_part import Shard, ranking_part_bytes
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.ranking import fast_enough
from nascli.core.engine.ranking.join import join
from nascli.core.engine.ranking.rank import rank
from nascli.core.engine.ranking.score_cells import CellScorer
from nascli.core.engine.ranking.score_channels import ChannelScorer
from nascli.core.engine.ranking.shard import rank_shard
from nascli.core.engine.search import search
from nascli.errors import ArtifactError, Interrupted, NascliError, UsageError
from tests.core.engine.ranking.example import files, run, settings, sizes_once
from tests.core.engine.ranking.test_score_weights import gaussian

FEW = settings(uniform=False)
OTHER = settings(uniform=False, seed=1)
TWO, THREE = ([Shard(number=number, count=count) for number in range(1, count + 1)] for count in (2, 3))


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


@cache
def cells(method: str) -> LoadedArtifact:
    sizes = {"limit_train": 60, "layers": 3, "channels": 4, "epochs": 1, "batch_size": 30}
    return search(SearchConfig(method=method, space="nas-bench-201", dataset="digits", **sizes))


@pytest.fixture
def five_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelScorer, "at_once", lambda self, images: 5)


def parts_of(
    start: LoadedArtifact, config: DeriveConfig, folder: Path, count: int = 3, **how: bool
) -> list[LoadedArtifact]:
    folder.mkdir(exist_ok=True)
    shards = (Shard(number=number, count=count) for number in range(1, count + 1))
    target = {shard.number: Destination(folder / f"part-{shard.number}.safetensors", **how) for shard in shards}
    return [rank_shard(start, Shard(number=n, count=count), config, place) for n, place in target.items()]


def whole_and_joined(
    start: LoadedArtifact, config: DeriveConfig, folder: Path, *, model: bool = False, parts: int = 3, count: int = 1
) -> dict[str, bytes]:
    """What both ways write; asserts that it is the same."""
    found = []
    for name in ("whole", "joined"):
        (folder / name).mkdir()
        target = Destination(folder / name / "cell.json")
        wanted = {"count": count, "model": folder / name / "model.safetensors" if model else None}
        if name == "whole":
            result = rank(start, config, target, **wanted)
        else:
            given = parts_of(start, config, folder / "parts", parts)
            result = join(start, given[::-1], None, target, **wanted)
        found.append((files(folder / name), result.best, result.rounds, result.probability))
    assert found[0] == found[1]
    return found[0][0]


@pytest.mark.usefixtures("five_together")
def test_a_posterior(tmp_path: Path) -> None:
    written = whole_and_joined(run(), settings(candidates=8), tmp_path, model=True, count=2)
    assert {*written} >= {"cell-1.json", "cell-2.json", "model.safetensors", "cell.ranking/candidates.jsonl"}
    assert b"shard" not in b"".join(written.values())
    # 16 networks are 4 groups: the first part has the first and the last one, which is one network.
    sizes = [len(load_artifact(tmp_path / "parts" / f"part-{n}.safetensors").value.scores) for n in (1, 2, 3)]
    assert sizes == [6, 5, 5]


@pytest.mark.parametrize("changes", [{"recalibrate": True}, {"max_params": 8_000, "seed": 4}])
def test_whatever_is_asked_of_a_posterior(tmp_path: Path, changes: dict[str, object]) -> None:
    whole_and_joined(run(), settings(candidates=3, uniform=False, **changes), tmp_path, parts=2)


@pytest.mark.usefixtures("five_together")
def test_a_part_has_the_forward_passes_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[list[bytes]] = []
    network = ChannelScorer._network
    monkeypatch.setattr(
        ChannelScorer,
        "_network",
        lambda self, masks, *rest: passes.append([mask.tobytes() for mask in masks]) or network(self, masks, *rest),
    )
    rank(run(), FEW)
    whole, passes[:] = sorted(passes), []
    parts_of(run(), FEW, tmp_path, 2)
    assert sorted(passes) == whole
    assert [len(masks) for masks in passes] == [5, 2, 5]


@pytest.mark.usefixtures("five_together")
def test_equal_networks_are_scored_by_one_part(tmp_path: Path) -> None:
    start, config = run(drop=0.003), settings(candidates=30, uniform=False)
    whole_and_joined(start, config, tmp_path)
    scored = [load_artifact(tmp_path / "parts" / f"part-{n}.safetensors").value for n in (1, 2, 3)]
    assert sum(len(part.scores) for part in scored) == scored[0].networks < 30


def test_more_parts_than_passes(tmp_path: Path) -> None:
    whole_and_joined(run(), settings(candidates=3, uniform=False), tmp_path, parts=3)
    assert load_artifact(tmp_path / "parts" / "part-3.safetensors").value.scores == ()


def test_a_gaussian_posterior(tmp_path: Path) -> None:
    whole_and_joined(gaussian(), settings(candidates=4), tmp_path, model=True)


@pytest.mark.parametrize("method", ["spos", "parsec", "darts"])
def test_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Whatever cells are together in a pass: their passes need not be those of the whole ranking."""
    monkeypatch.setattr("nascli.core.engine.ranking.score_cells.PER_PASS", 4)
    config = DeriveConfig(method=method, dataset="digits", candidates=5)
    whole_and_joined(cells(method), config, tmp_path, count=2, parts=2)


@pytest.mark.usefixtures("five_together")
def test_a_part_that_was_killed_goes_on(tmp_path: Path) -> None:
    config, shard = FEW, TWO[0]

    def scored(folder: Path, *, resume: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        rank_shard(run(), shard, config, Destination(folder / "part.safetensors", resume=resume))

    scored(tmp_path / "whole")
    expected = files(tmp_path / "whole")
    rows = expected["part.run/candidates.jsonl"]
    for cut in (len(rows) // 2, len(rows)):
        folder = tmp_path / str(cut)
        (folder / "part.run").mkdir(parents=True)
        (folder / "part.run" / "config.json").write_bytes(expected["part.run/config.json"])
        (folder / "part.run" / "candidates.jsonl").write_bytes(rows[:cut])
        scored(folder, resume=True)
        assert files(folder) == expected


@pytest.mark.usefixtures("five_together")
def test_a_part_resumes_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, passes = ChannelScorer.scores, []
    target = Destination(tmp_path / "part.safetensors")

    def stopped(self, masks, *rest):  # type: ignore[no-untyped-def]
        passes.append(masks)
        return scores(self, masks, *rest) if len(passes) == 1 else None

    def raising(rounds, stop, kept):  # type: ignore[no-untyped-def]
        return Interrupted("stopped", 2)

    with monkeypatch.context() as patched:
        patched.setattr(ChannelScorer, "scores", stopped)
        patched.setattr("nascli.core.engine.ranking.rounds.Rounds._interrupted", raising)
        with pytest.raises(Interrupted):
            rank_shard(run(), TWO[0], FEW, target)
    assert not (tmp_path / "part.safetensors").exists()
    again = replace(target, resume=True)
    with pytest.raises(UsageError, match=r"part\.run holds part 1/2 of a ranking, not part 2/2 of a ranking"):
        rank_shard(run(), TWO[1], FEW, again)
    with pytest.raises(UsageError, match=r"part\.run holds part 1/2 of a ranking, not a whole ranking"):
        rank(run(), FEW, Destination(tmp_path / "cell.json", tmp_path / "part.run", resume=True))
    with pytest.raises(UsageError, match="holds a run already: continue it with --resume"):
        rank_shard(run(), TWO[0], FEW, target)
    rank_shard(run(), TWO[0], FEW, again)
    fresh = rank_shard(run(), TWO[0], FEW)
    assert (tmp_path / "part.safetensors").read_bytes() == ranking_part_bytes(fresh.value)
    with pytest.raises(UsageError, match=r"part\.safetensors exists"):
        rank_shard(run(), TWO[0], FEW, target)


def test_a_limit_of_the_latency_is_measured_when_parts_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_enough, "SECONDS", 0.001)
    result = join(run(), three(), settings(uniform=False, max_latency=1e4))
    assert result.latencies[0].median_ms < 1e4
    assert result.best == rank(run(), FEW).best


def test_a_join_replaces_nothing_unasked(tmp_path: Path) -> None:
    target = Destination(tmp_path / "cell.json")
    parts = [tmp_path / f"part-{part.value.shard.number}.safetensors" for part in three()]
    for path, part in zip(parts, three(), strict=True):
        path.write_bytes(ranking_part_bytes(part.value))
    join(run(), parts, None, target)
    written = files(tmp_path)
    with pytest.raises(UsageError, match=r"cell\.json exists"):
        join(run(), parts, None, target)
    for again in (replace(target, overwrite=True), replace(target, resume=True)):
        join(run(), parts, None, again)
        assert files(tmp_path) == written
    with pytest.raises(UsageError, match=r"part-1\.safetensors is what the result is made from"):
        join(run(), parts, None, replace(target, overwrite=True), model=tmp_path / "part-1.safetensors")


@cache
def three() -> tuple[LoadedArtifact, ...]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ChannelScorer, "at_once", lambda self, images: 4)
        made = [rank_shard(run(), shard, FEW).value for shard in THREE]
    return tuple(read_artifact(ranking_part_bytes(part), f"part-{part.shard.number}") for part in made)


def forged(part: LoadedArtifact, **changes: object) -> LoadedArtifact:
    """A part with other content, in an intact file."""
    value = part.value
    origin = {name: changes.pop(name) for name in ("nascli", "data", "config") if name in changes}
    value = replace(value, provenance=value.provenance.model_copy(update=origin), **changes)
    return read_artifact(ranking_part_bytes(value), "forged")


def with_another_score(part: LoadedArtifact) -> LoadedArtifact:
    first, *others = part.value.scores
    return forged(part, scores=(replace(first, parameters=first.parameters + 1), *others))


FOREIGN = DataDescription(dataset="digits", fingerprint="other", train_images=300, classes=("0", "1"))


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (lambda a, b, c: (a, c), UsageError, "part 2/3 is missing: name its file, or score it with --shard 2/3"),
        (lambda a, b, c: (b,), UsageError, "parts 1/3, 3/3 are missing"),
        (lambda a, b, c: (a, b, c, b), UsageError, "part 2/3 is given twice: part-2"),
        (lambda a, b, c: (), UsageError, "no ranking part is given"),
        (lambda a, b, c: (a, b, forged(c, nascli="9.0")), ArtifactError, "forged was scored by nascli 9.0"),
        (lambda a, b, c: (a, b, forged(c, data=FOREIGN)), ArtifactError, "forged was scored on other images"),
        (lambda a, b, c: (a, b, forged(c, together=7)), ArtifactError, "score all parts on devices of one kind"),
        (lambda a, b, c: (a, b, forged(c, images=31)), ArtifactError, "images were 30 and are 31"),
        (lambda a, b, c: (a, b, forged(c, networks=13)), ArtifactError, "networks were 12 and are 13"),
        (lambda a, b, c: (a, b, with_another_score(c)), ArtifactError, "forged: its scores are not those of part 3/3"),
        (lambda a, b, c: (a, with_another_score(b), c), ArtifactError, "forged: its scores are not those of part 2/3"),
        (lambda a, b, c: (a, forged(b, scores=a.value.scores), c), ArtifactError, "not those of part 2/3"),
        (lambda a, b, c: (forged(a, scores=a.value.scores[:-1]), b, c), ArtifactError, "not those of part 1/3"),
        (
            lambda a, b, c: (a, b, rank_shard(run(), THREE[2], settings(seed=1, uniform=False))),
            ArtifactError,
            "seed was 0 and is 1",
        ),
        (
            lambda a, b, c: (a, rank_shard(run(), Shard(number=2, count=2), FEW)),
            ArtifactError,
            "of one division",
        ),
        (lambda a, b, c: (a, b, rank_shard(run(0.05), THREE[2], FEW)), ArtifactError, "of another file than"),
        (lambda a, b, c: (a, b, forged(c, config={"method": "pgnas", "more": 1})), ArtifactError, "forged: .*more"),
        (lambda a, b, c: (a, b, run()), UsageError, "a ranking part is needed here, not a distribution"),
    ],
)
def test_parts_that_are_no_ranking(
    tmp_path: Path, given: Callable[..., tuple[LoadedArtifact, ...]], error: type[NascliError], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        join(run(), given(*three()), None, Destination(tmp_path / "cell.json"))
    assert "\n" not in str(raised.value)
    assert not files(tmp_path)


def test_other_settings_than_those_of_the_parts() -> None:
    parts = [rank_shard(run(), Shard(number=1, count=1), FEW)]
    with pytest.raises(UsageError, match="the parts were scored with other settings: candidates was 12 and is 13"):
        join(run(), parts, settings(candidates=13, uniform=False))
    assert join(run(), parts, settings(workers=1, uniform=False)).best == rank(run(), FEW).best


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"shortlist": 3}, "leave --shortlist out"), ({"max_latency": 1.0}, "--max-latency .*: give it to --join")],
)
def test_what_a_part_cannot_do(changes: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        rank_shard(run(), THREE[0], settings(**changes))


def test_nothing_is_scored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranking = parts_of(cells("spos"), DeriveConfig(method="spos", dataset="digits", candidates=3), tmp_path, 1)
    of_posterior = three()
    for scorer in (ChannelScorer, CellScorer):
        monkeypatch.setattr(scorer, "scores", lambda *given: pytest.fail("scored again"))
    join(run(), of_posterior, model=tmp_path / "model.safetensors")
    join(cells("spos"), ranking)
