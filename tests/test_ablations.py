"""The files of examples/ablations: their commands are ones that nascli takes, with the papers' settings; one runs."""

import re
import runpy
import shlex
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nascli.artifacts.genotypes.genotype import as_text
from nascli.cli.main import command
from nascli.cli.options.of_config import options, resolve
from nascli.config import DeriveConfig, SearchConfig, TrainConfig

ABLATIONS = Path(__file__).parent.parent / "examples" / "ablations"
SHARED = ("ablation", "posterior")
NAMES = sorted(path.stem for path in ABLATIONS.glob("*.py") if path.stem not in SHARED)
CONFIGS = {"search": SearchConfig, "train": TrainConfig, "derive": DeriveConfig}


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """The scripts import their neighbours, as they do where they lie; nothing of that is left."""
    monkeypatch.syspath_prepend(ABLATIONS)
    monkeypatch.delenv("NASCLI_TEST_TABLE", raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    for name in SHARED:
        sys.modules.pop(name, None)


def run(monkeypatch, name: str, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    runpy.run_path(str(ABLATIONS / f"{name}.py"), run_name="__main__")


def commands(monkeypatch, capsys, name: str, *words: object) -> list[list[str]]:
    """The commands of an ablation, without `nascli`."""
    run(monkeypatch, name, "out", *words, "--dry-run")
    return [shlex.split(line)[1:] for line in capsys.readouterr().out.splitlines()]


@cache
def parser(name: str):
    return command(name)


@cache
def settings(name: str) -> set[str]:
    """The settings that a command has, by name."""
    return {option.name for option in options(CONFIGS[name])} if name in CONFIGS else set()


def given(words: list[str]) -> dict[str, object]:
    """The settings that a command is given, parsed as nascli does."""
    name, *rest = words
    found = parser(name).make_context(name, rest).params
    return {key: value for key, value in found.items() if key in settings(name) and value is not None}


def configs(listed: list[list[str]], stage: str) -> list:
    """The configurations of all commands of a stage, each once but for its seed."""
    different = {tuple(sorted({**given(words), "seed": 0}.items())) for words in listed if words[0] == stage}
    return [resolve(CONFIGS[stage], dict(values)) for values in sorted(different)]


def test_the_nine_tables_and_figures_are_there():
    assert NAMES == [
        "parsec_samples", "pc_darts_k", "pc_darts_table3", "pc_darts_table4",
        "pgnas_table3", "pgnas_table4", "pgnas_table5", "pgnas_table6", "pgnas_table7",
    ]  # fmt: skip


@pytest.mark.parametrize("small", [[], ["--small"]])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_nascli_takes(name, small, monkeypatch, capsys):
    """And every file that one of them takes was written by one before it."""
    listed = commands(monkeypatch, capsys, name, "--seeds", 1, *small)
    made: set[str] = set()
    for words in listed:
        for number, word in enumerate(words):
            if word.startswith("out/"):
                if words[number - 1] in ("-o", "--model"):
                    made.add(word)
                else:
                    assert word in made or word.endswith("-whole.json"), word
        given(words)
    for stage in ("search", "train"):
        configs(listed, stage)
    assert {words[0] for words in listed} >= {"search", "derive"}
    assert not Path("out").exists()


def test_the_papers_settings_by_default(monkeypatch, capsys):
    """Xu et al., Sections 4.2 and 4.4; Casale et al., Section 4.1."""
    listed = commands(monkeypatch, capsys, "pc_darts_table3")
    searches = configs(listed, "search")
    assert {(one.settings.partial_channels, one.settings.edge_normalization) for one in searches} == {
        (1, False), (1, True), (4, False), (4, True),
    }  # fmt: skip
    assert {(one.dataset, one.epochs, one.batch_size, one.settings.channels) for one in searches} == {
        ("cifar10", 50, 256, 16)
    }
    assert sum(words[0] == "search" for words in listed) == 20
    listed = commands(monkeypatch, capsys, "pc_darts_table3", "--dataset", "imagenet")
    assert {one.settings.partial_channels for one in configs(listed, "search")} == {1, 2}
    assert {given(words)["epochs"] for words in listed if words[0] == "train"} == {100}
    listed = commands(monkeypatch, capsys, "pc_darts_table4")
    searches = configs(listed, "search")
    assert {one.epochs for one in searches} == {50, 75, 100, 125}
    assert {one.settings.nodes for one in searches} == {3, 4, 5}
    assert {(one.method, one.settings.second_order) for one in searches} == {
        ("darts", False), ("darts", True), ("pc-darts", False),
    }  # fmt: skip
    searches = configs(commands(monkeypatch, capsys, "pc_darts_k"), "search")
    assert [one.settings.partial_channels for one in searches] == [1, 2, 4, 8]
    searches = configs(commands(monkeypatch, capsys, "parsec_samples"), "search")
    assert {(one.settings.samples, one.epochs, one.settings.arch_lr) for one in searches} == {
        (8, 100, 0.02), (16, 100, 0.02),
    }  # fmt: skip


def test_the_settings_of_pgnas(monkeypatch, capsys):
    """Zhou et al., Tables 3 to 7; the caption of Table 4 names SupNet-EI, its sizes are those of SupNet-MI."""
    searches = configs(commands(monkeypatch, capsys, "pgnas_table4"), "search")
    assert sorted(one.settings.weight_prior for one in searches) == [50, 150, 250, 500]
    assert {one.space for one in searches} == {"resnet-mb-inflated"}
    searches = configs(commands(monkeypatch, capsys, "pgnas_table5"), "search")
    assert {(one.space, round(one.settings.temperature, 2)) for one in searches} == {
        (space, tau) for space in ("enas-inflated", "resnet-mb") for tau in (0.2, 0.67)
    }
    listed = commands(monkeypatch, capsys, "pgnas_table6")
    assert [given(words)["candidates"] for words in listed if words[0] == "derive"] == [
        50, 500, 1500, 5000, 10_000, 20_000,
    ]  # fmt: skip
    for name in ("pgnas_table3", "pgnas_table7"):
        searches = configs(commands(monkeypatch, capsys, name), "search")
        assert {one.space for one in searches} == {"enas-inflated", "enas", "resnet-mb-inflated", "resnet-mb"}


class Truth:
    """A table in which a cell with n 3x3 convolutions has 5 + 15 n per cent."""

    def column(self, name, part):
        return part

    def worth(self, genotype, column):
        return SimpleNamespace(accuracy=5 + 15 * as_text(genotype).count("nor_conv_3x3"))


def test_one_of_them_runs_and_is_not_run_again(monkeypatch, capsys):
    monkeypatch.setenv("NASCLI_QUICK", "1")
    import ablation

    monkeypatch.setattr(ablation, "load_table", lambda path: Truth())
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8), np.arange(100) % 4
    np.savez("images.npz", images=images, labels=labels)
    words = ["--small", "--dataset", "npz", "--data-dir", "images.npz", "--seeds", 1, "--table", "truth.csv"]
    run(monkeypatch, "parsec_samples", "out", *words)
    printed = capsys.readouterr().out
    assert re.findall(r"\*\*(.*)\*\*", printed) == [
        "Entropy (nats), after epoch", "Accuracy of the mode (%), after epoch", "The cells",
    ]  # fmt: skip
    errors = [float(line.split("|")[2]) for line in printed.splitlines()[-2:]]
    assert set(errors) <= {95 - 15 * n for n in range(7)}
    before = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.safetensors")}
    assert len(before) == 2
    run(monkeypatch, "parsec_samples", "out", *words)
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("*.safetensors")} == before


def test_without_a_table_there_is_nothing_to_look_up(monkeypatch):
    monkeypatch.setenv("NASCLI_QUICK", "1")
    with pytest.raises(SystemExit, match="--small looks up true accuracies: give --table"):
        run(monkeypatch, "pc_darts_k", "out", "--small")
    assert not Path("out").exists()


def test_how_differences_are_told_from_chance(monkeypatch):
    """By hand: of the six ways to deal 1, 2, 3, 4 into pairs two have means that are 2 apart, four 1 or more."""
    from ablation import chance, paired, spread

    assert chance([1, 2], [3, 4]) == "0.33"
    assert chance([1, 3], [2, 4]) == "0.67"
    assert chance([1, 2], [1, 2]) == chance([1], [2, 3]) == ""
    # Of the eight ways to give 2, 3 and 4 signs two have a sum of 9, and four one of 5 or more, as 2 - 3 - 4 has.
    assert paired([3, 4, 5], [1, 1, 1]) == "+3.00 (3 pairs, chance 0.25)"
    assert paired([3, 1, 1], [1, 4, 5]) == "-1.67 (3 pairs, chance 0.5)"
    assert spread([1, 3]) == "2.00 ± 1.41"
    assert spread([2]) == "2.00"
