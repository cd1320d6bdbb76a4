"""The line at the end of a search, by hand; and what is said of disconnected cells, in Python."""

from collections.abc import Sequence
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nascli
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes
from nascli.artifacts.distributions.entropy import Entropy
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.artifacts.runs.rundir import RunDir
from nascli.core.engine.connection import disconnection
from nascli.core.engine.derive import Top, derive, derive_several
from nascli.core.engine.dry_run import plan_train
from nascli.core.engine.health import Agreement, Health, health
from nascli.core.engine.reporter import Silent
from nascli.errors import UsageError
from nascli.spaces import cell_space
from tests.artifacts.examples import bytes_of, channels_genotype, posterior, trials

BENCHMARK, DARTS = cell_space("nas-bench-201"), cell_space("darts")
FAULT = "the cell 'cell' is disconnected: nothing of the images reaches the output, and the network can only guess"
NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SOMETHING = "|skip_connect~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
SMALL: dict[str, Any] = {
    "space": "nas-bench-201", "epochs": 1, "limit_train": 60, "batch_size": 20, "layers": 3, "channels": 2,
}  # fmt: skip


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def notice(self, text: str) -> None:
        self.kept.append(text)


def edges(*ops: str | None, sure: float = 1e4) -> CategoricalDistribution:
    """Of the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3: decided for an operation, or None, all operations alike."""
    logits = np.zeros((6, 1, 5), np.float32)
    for row, op in enumerate(ops):
        if op is not None:
            logits[row, 0, BENCHMARK.operations.index(op)] = sure
    return CategoricalDistribution(BENCHMARK, list(logits))


def rows(genotypes: Sequence[str], *, warmup: int = 0, **last: float) -> list[dict[str, Any]]:
    """Of a search that would have derived these before its first step and after every epoch."""
    found: list[dict[str, Any]] = [
        {"epoch": epoch, "genotype": text, "architecture_frozen": epoch <= warmup}
        for epoch, text in enumerate(genotypes)
    ]
    found[-1] |= last
    return found


def test_of_categoricals() -> None:
    """Three of six edges are decided: half of 6 log 5 is left. Of equals the first operation is `none`."""
    end = health(rows("aababbb", drift_entropy=7.1), edges("skip_connect", "none", None, "skip_connect", None, None))
    assert end == Health(
        entropy=Entropy(pytest.approx(3 * log(5)), pytest.approx(6 * log(5)), drift=7.1),
        agreement=Agreement(last=3, epochs=6, warmup=0),
        skips=pytest.approx(2 / 6),
        nones=pytest.approx(4 / 6),
        disconnected="",
        idle=pytest.approx(1),
    )
    assert str(end) == (
        "entropy 4.83 of 9.66 nats (without images it would be 7.10), the same genotype in the last 3 of 6 epochs, "
        "skips 33%, none 67%, connected"
    )


def test_of_categoricals_that_say_nothing() -> None:
    """The rows are of a version that did not record drift."""
    end = health(rows("ab"), edges("skip_connect", "skip_connect"))
    assert str(end) == (
        f"entropy 6.44 of 9.66 nats, the same genotype in the last 1 of 1 epochs, skips 33%, none 67%, {FAULT}"
    )


def test_a_search_that_has_fallen_for_skips_says_what_to_do() -> None:
    """More than half of the picks, not exactly half; a random search of trained cells can derive nothing else."""
    half = health(rows("ab"), edges("skip_connect", "skip_connect", "skip_connect", *["nor_conv_3x3"] * 3))
    assert half is not None
    assert half.advice == ""
    more = health(rows("ab"), edges("skip_connect", "skip_connect", "skip_connect", None, *["nor_conv_3x3"] * 2))
    assert more is not None
    assert more.advice.startswith("more than half of the picks of a cell are skip connections or none, and few")
    assert "`derive --max-skips 2 --without-none`" in more.advice
    assert replace(more, entropy=None).advice == ""
    alpha = {cell: np.zeros((14, 8), np.float32) for cell in DARTS.cells}
    alpha["normal"][:, DARTS.operations.index("skip_connect")] = 1
    of_darts = health(rows("ab"), MixtureDistribution(DARTS, alpha, None))
    assert of_darts is not None
    assert "skip connections, and few" in of_darts.advice
    assert "`derive --max-skips 2`," in of_darts.advice


def test_of_a_mixture() -> None:
    """The mean of two types of cells, one undecided, one decided for skips; every cell of darts is connected."""
    alpha = {cell: np.zeros((14, 8), np.float32) for cell in DARTS.cells}
    alpha["reduce"][:, DARTS.operations.index("skip_connect")] = 1e4
    end = health(rows("aaaabb", warmup=2), MixtureDistribution(DARTS, alpha, None))
    assert end is not None
    assert end.entropy == Entropy(pytest.approx(log(8) / 2), pytest.approx(log(8)), per_edge=True)
    assert end.agreement == Agreement(last=2, epochs=3, warmup=2)
    assert str(end) == (
        "entropy 1.040 of 2.079 nats an edge, the same genotype in the last 2 of 3 epochs after the warm-up, skips 50%"
    )


@pytest.mark.parametrize(
    ("genotypes", "warmup", "agreement"),
    [
        ("aaaa", 0, "the same genotype in the last 3 of 3 epochs"),  # that before the first step is of no epoch
        ("aaaa", 2, "the same genotype in the last 1 of 1 epochs after the warm-up"),
        ("aaaa", 3, "no epoch after the warm-up"),
        ("abab", 0, "the same genotype in the last 1 of 3 epochs"),
    ],
)
def test_epochs_that_agree_are_the_last_ones_that_learnt(genotypes: str, warmup: int, agreement: str) -> None:
    end = health(rows(genotypes, warmup=warmup), edges())
    assert end is not None
    assert str(end.agreement) == agreement


def test_of_random_search_and_of_channels() -> None:
    """Random search does not learn gradually: only the picks of its best cell are reported."""
    cells = trials()
    assert str(health(rows("ab"), cells)) == f"skips {cells.mode().share('skip_connect'):.0%}"
    assert health(rows("ab"), posterior()) is None


@pytest.mark.parametrize("method", ["parsec", "darts", "pc-darts", "random"])
def test_every_search_of_cells_ends_with_it_and_python_has_the_same(method: str, tmp_path: Path) -> None:
    """Also the finetune that goes on with it. The entropy is that of the last row."""
    own = {"random": {"trials": 2}, "parsec": {"samples": 2}}.get(method, {})
    config: dict[str, Any] = {**SMALL, "method": method, "epochs": 2, **own}
    notes = Notes()
    run = nascli.search(nascli.SearchConfig(**config), nascli.Destination(tmp_path / "run.safetensors"), notes)
    nascli.finetune(run, nascli.FinetuneConfig(**config), nascli.Destination(tmp_path / "tuned.safetensors"), notes)
    told = [text for text in notes.kept if text.startswith("health: ")]
    for name, line in zip(("run", "tuned"), told, strict=True):
        written = RunDir(tmp_path / f"{name}.run").read_metrics()
        end = health(written, nascli.load_artifact(tmp_path / f"{name}.safetensors").distribution)
        assert end is not None
        assert line == f"health: {end}"
        assert end.skips == written[-1]["skip_share"]
        if end.entropy is not None:
            known = written[-1]["entropy" if method == "parsec" else "edge_entropy/cell"]
            assert (end.entropy.value, end.entropy.drift) == (known, written[-1].get("drift_entropy"))
            assert end.agreement is not None
            assert end.agreement.epochs + end.agreement.warmup == 2
        assert (end.entropy is None) is (method == "random")


def test_a_search_that_stands_for_no_cells_has_no_such_line(tmp_path: Path) -> None:
    """SPOS learns weights only. The mode of its uniform distribution is all `none`, and nobody derives it."""
    notes = Notes()
    config = nascli.SearchConfig(**{**SMALL, "method": "spos"})
    run = nascli.search(config, nascli.Destination(tmp_path / "run.safetensors"), notes)
    assert not [text for text in notes.kept if "health" in text or "disconnected" in text]
    assert health(RunDir(tmp_path / "run.run").read_metrics(), run.distribution) is None


def test_what_is_ranked_is_told_too() -> None:
    """All candidates are one cell, and it is disconnected."""
    run = nascli.search(nascli.SearchConfig(**{**SMALL, "method": "parsec", "samples": 2}))
    file = run.value
    assert isinstance(file, DistributionFile)
    sure = DistributionFile(edges(*["none"] * 6), file.provenance, file.weights)
    notes = Notes()
    config = nascli.DeriveConfig(method="parsec", dataset="digits", candidates=2, uniform=False)
    nascli.rank(read_artifact(distribution_bytes(sure), "run.safetensors"), config, reporter=notes)
    assert notes.kept[-1].startswith(f"{FAULT}: derive another (")


def loaded(distribution: Any) -> LoadedArtifact:
    return read_artifact(bytes_of(distribution), "run.safetensors")


def test_what_is_derived_is_told_where_it_is_disconnected() -> None:
    notes = Notes()
    derive(loaded(edges("none", "none", "none", "none", "none", "none")), reporter=notes)
    assert notes.kept == [f"{FAULT}: derive another (--without-none, --top, --sample), or search longer"]
    mixture = MixtureDistribution(BENCHMARK, {"cell": np.zeros((6, 5), np.float32)}, None)
    derive(loaded(mixture), reporter=notes)
    assert notes.kept[1:] == [f"{FAULT}: derive another (--without-none, --top, --sample), or search longer"]
    derive(loaded(edges("skip_connect", None, None, "skip_connect")), reporter=notes)
    derive(loaded(trials(done=3, waiting=0)), reporter=notes)
    assert len(notes.kept) == 2


def test_of_several_the_disconnected_ones_are_told_by_number() -> None:
    """Edge 0-3 alone is open: of its five operations `none` is the third likeliest, all others are connected."""
    logits = [values.copy() for values in edges("none", "none", "none", None, "none", "none").logits]
    logits[3][0] = [3, 5, 4, 2, 1]
    distribution = loaded(CategoricalDistribution(BENCHMARK, logits))
    notes = Notes()
    derive_several(distribution, Top(5), reporter=notes)
    assert notes.kept == ["disconnected cells, whose networks can only guess: 1 of 5 genotypes, number 3"]
    derive_several(distribution, Top(2), reporter=notes)
    assert len(notes.kept) == 1
    sure = loaded(edges("none", "none", "none", "none", "none", "none", sure=1e4))
    derive_several(sure, nascli.Sample(12), reporter=notes)
    assert notes.kept[1].endswith("12 of 12 genotypes, number 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …")


def test_a_disconnected_cell_is_trained_by_force_alone(tmp_path: Path) -> None:
    refused = nascli.TrainConfig(**SMALL)
    message = f"{FAULT}; --force trains it all the same"
    target = nascli.Destination(tmp_path / "model.safetensors")
    with pytest.raises(UsageError) as caught:
        nascli.train(NOTHING, refused, target)
    assert str(caught.value) == f"{NOTHING}: {message}"
    with pytest.raises(UsageError, match=message):
        plan_train(NOTHING, refused)
    notes = Notes()
    with pytest.raises(UsageError, match=message):
        nascli.train_all([SOMETHING, NOTHING], refused, target, notes)
    assert (notes.kept, list(tmp_path.iterdir())) == ([], [])
    forced = nascli.TrainConfig(**SMALL, force=True)
    model = nascli.train(NOTHING, forced, target)
    assert model.provenance.config["force"] is True
    assert plan_train(NOTHING, forced)["steps"] == 3
    assert nascli.train(SOMETHING, refused).kind == "model"


def test_channels_are_never_disconnected() -> None:
    assert disconnection(channels_genotype()) == ""
