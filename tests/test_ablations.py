"""The files of examples/ablations: their commands are ones that nascli takes, with the papers' settings; one runs."""

import re
import runpy
import shlex
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.genotype import GenotypeFile, as_text, genotype_bytes
from nascli.artifacts.load import load_artifact
from nascli.cli.main import command
from nascli.cli.options.of_config import options, resolve
from nascli.config import DeriveConfig, SearchConfig, TrainConfig
from nascli.supernets import supernet

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


def test_random_networks_of_pgnas_have_a_fixed_dropout(monkeypatch, capsys):
    """Table 3: uniform dropout at the size of what PGNAS has found, 0.1 in a dry run, that does not learn."""
    listed = commands(monkeypatch, capsys, "pgnas_table3")
    searched = [given(words) for words in listed if words[0] == "search"]
    assert [(one.get("arch_lr_scale"), one.get("initial_dropout")) for one in searched] == [(None, None), (0, 0.1)] * 4
    scales = {one.settings.arch_lr_scale for one in configs(listed, "search")}
    assert len(scales) == 2
    assert min(scales) == 0


def test_cells_that_are_looked_up_have_no_edge_without_an_operation(monkeypatch, capsys):
    """Nor have those of digits, of another space, an option for it."""
    for name in ("parsec_samples", "pc_darts_k", "pc_darts_table3", "pc_darts_table4"):
        for words in commands(monkeypatch, capsys, name, "--small"):
            if words[0] == "derive":
                assert ("--without-none" in words) == ("-nodes-" not in words[1]), words
            else:
                assert "--without-none" not in words


def printed(monkeypatch, capsys, name: str, *words: object) -> dict[str, list[list[str]]]:
    """The rows of an ablation's tables, by their titles."""
    run(monkeypatch, name, "out", "--small", "--table", "truth.csv", "--seeds", 2, *words)
    found: dict[str, list[list[str]]] = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("**"):
            found[line.strip("*")] = rows = []
        elif line.startswith("| "):
            rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return {title: rows[2:] for title, rows in found.items()}


def searches(monkeypatch, errors):
    """Searches of 10 and 20 seconds whose cells have these errors; they run nothing."""
    import ablation

    def cells(study, method, *words, seeds=0, **rest):
        values = errors(method, words, rest.get("by_table", True))
        return [ablation.Found(one, 10.0 + 10 * k) for k, one in enumerate(values[: seeds or None])]

    monkeypatch.setattr(ablation.Ablation, "cells", cells)


def test_the_rows_of_pc_darts_table_3(monkeypatch, capsys):
    """By hand. Edge normalisation gives -2, -3, -4 and -5, two of 16 signs as much; partial channels 1, 2, -1 and 0, of
    which twelve of 16 signs give 2 or more.
    """
    known = {
        ("1", "--no-edge-normalization"): [8, 10], ("1", "--edge-normalization"): [6, 7],
        ("4", "--no-edge-normalization"): [9, 12], ("4", "--edge-normalization"): [5, 7],
    }  # fmt: skip
    searches(monkeypatch, lambda method, words, by_table: known[words[1:]])
    assert printed(monkeypatch, capsys, "pc_darts_table3") == {
        "PC-DARTS, Table 3": [
            ["no", "no", "9.00 ± 1.41", "15 ± 7", ""],
            ["no", "yes", "6.50 ± 0.71", "15 ± 7", "0.33"],
            ["K = 4", "no", "10.50 ± 2.12", "15 ± 7", "0.67"],
            ["K = 4", "yes", "6.00 ± 1.41", "15 ± 7", "0.33"],
        ],
        "What each changes, pairs of a seed": [
            ["edge normalisation", "-3.50 (4 pairs, chance 0.12)"],
            ["partial channels", "+0.50 (4 pairs, chance 0.75)"],
        ],
    }


def test_the_rows_of_pc_darts_figure_3(monkeypatch, capsys):
    known = {"1": [8, 10], "2": [9, 12], "4": [5, 7], "8": [6, 7]}
    searches(monkeypatch, lambda method, words, by_table: known[words[words.index("--partial-channels") + 1]])
    assert printed(monkeypatch, capsys, "pc_darts_k")["PC-DARTS, Figure 3"] == [
        ["1/1", "15 ± 7", "9.00 ± 1.41", ""],
        ["1/2", "15 ± 7", "10.50 ± 2.12", "0.67"],
        ["1/4", "15 ± 7", "6.00 ± 1.41", "0.33"],
        ["1/8", "15 ± 7", "6.50 ± 0.71", "0.33"],
    ]


def test_the_rows_of_pc_darts_table_4(monkeypatch, capsys):
    """Errors of 10, 20 and 30 per cent for the methods, plus epochs or nodes, plus one for the second seed."""

    def errors(method, words, by_table):
        base = 30 if method == "pc-darts" else 10 * int(words[words.index("--order") + 1])
        more = sum(int(words[words.index(name) + 1]) for name in ("--epochs", "--nodes") if name in words)
        assert by_table == ("--nodes" not in words)
        return [base + more + seed for seed in range(3)]

    searches(monkeypatch, errors)
    found = printed(monkeypatch, capsys, "pc_darts_table4", "--seeds", 3)
    assert found["Runs: test error (%)"] == [
        ["DARTS-v1", "10.00", "11.00", "12.00", "11.00 ± 1.00"],
        ["DARTS-v2", "20.00", "21.00", "", "20.50 ± 0.71"],
        ["PC-DARTS", "30.00", "31.00", "32.00", "31.00 ± 1.00"],
    ]
    assert found["Epochs: test error (%)"] == [
        ["DARTS-v1", "10.50 ± 0.71", "16.50 ± 0.71", "18.50 ± 0.71"],
        ["PC-DARTS", "30.50 ± 0.71", "36.50 ± 0.71", "38.50 ± 0.71"],
    ]
    assert found["Nodes, the inputs counted: test error (%)"] == [
        ["DARTS-v1", "13.50 ± 0.71", "14.50 ± 0.71", "15.50 ± 0.71"],
        ["PC-DARTS", "33.50 ± 0.71", "34.50 ± 0.71", "35.50 ± 0.71"],
    ]


def test_the_rows_of_parsec_figure_3(monkeypatch, capsys):
    """Entropies of 9 and 8, less 2 in the second epoch, for K of 8; 4 more for K of 16, whose modes are as good."""
    import ablation

    def rows(study, run_file):
        k, seed = (int(number) for number in re.findall(r"samples-(\d+)-seed(\d)", str(run_file))[0])
        starts = 9 - seed + (4 if k == 16 else 0)
        return [
            {"epoch": epoch, "entropy": starts - 2 * (epoch - 1), "mode_accuracy": 0.1 * (epoch + seed)}
            for epoch in (1, 2)
        ]

    monkeypatch.setattr(ablation.Ablation, "rows", rows)
    searches(monkeypatch, lambda method, words, by_table: {"8": [1, 2], "16": [3, 4]}[words[-1]])
    found = printed(monkeypatch, capsys, "parsec_samples")
    assert found["Entropy (nats), after epoch"] == [
        ["K = 8", "8.5 ± 0.7", "6.5 ± 0.7"],
        ["K = 16", "12.5 ± 0.7", "10.5 ± 0.7"],
    ]
    assert found["Accuracy of the mode (%), after epoch"] == [
        ["K = 8", "15.0 ± 7.1", "25.0 ± 7.1"],
        ["K = 16", "15.0 ± 7.1", "25.0 ± 7.1"],
    ]
    assert found["The cells"] == [["8", "1.50 ± 0.71", "15 ± 7", "0.33"], ["16", "3.50 ± 0.71", "15 ± 7", ""]]


def posteriors(monkeypatch, facts, cell=None):
    """Searches of PGNAS whose best candidates have the errors, sizes and held-out accuracies of `facts`, plus one per
    cent and ten parameters for the second seed; training on takes a half of the error. They run nothing.
    """
    import posterior

    def found(self, space, seed, *words, candidates=None):
        error, parameters, held_out = facts(space, words, candidates)
        file = cell or Path("cell.json")
        return posterior.Network(error + seed, parameters + 10 * seed, Path("run"), file, seed, held_out, 0.25)

    monkeypatch.setattr(posterior.Posterior, "found", found)
    monkeypatch.setattr(posterior.Posterior, "tuned", lambda self, one: replace(one, error=one.error / 2))
    trained = posterior.Network(3, 1000, Path("run"), Path("cell.json"), 0)
    monkeypatch.setattr(posterior.Posterior, "trained", lambda self, whole, seed: replace(trained, cell=whole))


HALF = ChannelsGenotype.of(
    "resnet-mb", 4, (1, 1, 1),
    {
        name: range(sum(conv.sources) // 2) if number else ()
        for number, (name, conv) in enumerate(
            supernet("resnet-mb", 4, (1, 1, 1), classes=1, image_channels=1, image_size=32).masked.items()
        )
    },
)  # fmt: skip
"""Half of the channels, and no first convolution."""


def test_the_rows_of_pgnas_table_3(monkeypatch, capsys):
    """Random networks have 8 % and go by PGNAS's dropout, 0.25; the full network keeps every channel."""
    kept = GenotypeFile(genotype=HALF, provenance=load_artifact("darts-v2").provenance)
    Path("cell.json").write_bytes(genotype_bytes(kept))

    def facts(space, words, candidates):
        assert words in ((), ("--initial-dropout", "0.2500", "--arch-lr-scale", "0"))
        return (8, 500, 0.5) if words else (4, 600, 0.5)

    posteriors(monkeypatch, facts)
    rows = printed(monkeypatch, capsys, "pgnas_table3")["PGNAS, Table 3"]
    expected = [("full", "3.00", "1,000"), ("random", "8.00", "500"), ("random, trained on", "4.00", "500")]
    assert rows[:4] == [["MI", "0", *one] for one in (*expected, ("PGNAS", "4.00", "600"))]
    assert rows[5] == ["MI", "1", "random", "9.00", "510"]
    assert [row[:3] for row in rows[8:10]] == [["M", "0", "full"], ["M", "0", "random"]]
    whole = load_artifact("cell-whole.json").value.genotype
    assert whole.kept_share == 1
    assert whole.channels.keys() == HALF.channels.keys()


def test_the_rows_of_pgnas_tables_4_to_6(monkeypatch, capsys):
    def facts(space, words, candidates):
        named = dict(zip(words[::2], words[1::2], strict=True))
        size = 100 if space == "resnet-mb-inflated" else 10
        more = float(named.get("--weight-prior", 0)) + 10 * float(named.get("--temperature", 0))
        return size + more + (candidates or 0) / 10, 1000, (candidates or 0) / 400

    posteriors(monkeypatch, facts)
    assert printed(monkeypatch, capsys, "pgnas_table4")["PGNAS, Table 4"] == [
        [prior, f"{100.5 + int(prior):.2f} ± 0.71", "1005 ± 7"] for prior in ("2", "5", "10", "20")
    ]
    assert printed(monkeypatch, capsys, "pgnas_table5")["PGNAS, Table 5: test error (%)"] == [
        ["2/3", "107.17 ± 0.71", "17.17 ± 0.71", "53.58 ± 0.35"],
        ["1/5", "102.50 ± 0.71", "12.50 ± 0.71", "51.25 ± 0.35"],
    ]
    assert printed(monkeypatch, capsys, "pgnas_table6")["PGNAS, Table 6"] == [
        ["10", "101.50 ± 0.71", "2.50 ± 0.00"],
        ["50", "105.50 ± 0.71", "12.50 ± 0.00"],
        ["200", "120.50 ± 0.71", "50.00 ± 0.00"],
    ]


def test_the_rows_of_pgnas_table_7(monkeypatch, capsys):
    """Of the channels half are dropped and all of the first convolution, and of the convolutions that one."""
    Path("cell.json").write_bytes(
        genotype_bytes(GenotypeFile(genotype=HALF, provenance=load_artifact("darts-v2").provenance))
    )
    masked = supernet("resnet-mb", 4, (1, 1, 1), classes=1, image_channels=1, image_size=32).masked
    inputs = [sum(conv.sources) for conv in masked.values()]
    channels = 1 - sum(count // 2 for count in inputs[1:]) / sum(inputs)
    posteriors(monkeypatch, lambda space, words, candidates: (1, 1, 1))
    expected = [f"{channels:.2f} ± 0.00", f"{1 / len(inputs):.2f} ± 0.00"]
    assert printed(monkeypatch, capsys, "pgnas_table7")["PGNAS, Table 7"] == [["MI", *expected], ["M", *expected]]


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["out", "--small", "--seeds", 0, "--dry-run"], "--seeds 0: at least one search is needed"),
        (["file", "--small"], "file is no folder: name one for the results"),
        (["file/deeper", "--small", "--table", "t.csv"], "file/deeper cannot be made: Not a directory"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, told, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as left:
        run(monkeypatch, "parsec_samples", *words)
    assert left.value.code == told
