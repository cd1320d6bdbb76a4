"""`--table`: what cells are really worth, told by `info`, `search`, `finetune` and `visualize`."""

import json
import re
import shutil
from functools import cache

import numpy as np
import pytest

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.load import load_artifact
from nascli.cli.descriptions import truth as descriptions
from nascli.spaces import cell_space
from tests import truth_table
from tests.artifacts.examples import bytes_of, categorical, mixture, posterior, trials
from tests.truth_table import CELLS, RANKS, accuracies, lines, with_convolutions, written

TINY = ["--epochs", 2, "--limit-train", 60, "--layers", 3, "--channels", 4, "--batch-size", 16]
TABLE = ["--table", "table.csv"]
RANDOM = ["search", "--method", "random", "--space", "nas-bench-201", "--table", "table.csv"]


@pytest.fixture(autouse=True)
def _tables_are_read_once(monkeypatch):
    truth_table.read_once(monkeypatch)
    truth_table.parsed_once(monkeypatch)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Accuracies that 3x3 convolutions make: columns valid, test and upside-down."""
    return written(tmp_path_factory.mktemp("table"))


@pytest.fixture
def here(table, tmp_path, monkeypatch):
    """A working folder with the table."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(table, tmp_path / "table.csv")
    return tmp_path


@cache
def searched() -> dict[str, bytes]:
    """Files of searches of all kinds."""
    distributions = {
        "benchmark.st": mixture(space="nas-bench-201"),
        "uniform.st": CategoricalDistribution.uniform(cell_space("nas-bench-201")),
        "darts.st": mixture(),
        "trials.st": trials(),
        "channels.st": posterior(),
    }
    return {name: bytes_of(distribution) for name, distribution in distributions.items()}


def truth(nascli, *arguments: object) -> dict:
    done = nascli("info", *arguments, "--table", "table.csv", "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)["truth"]


def convolutions(text: str) -> int:
    return text.count("nor_conv_3x3")


@pytest.mark.parametrize("count", [0, 3, 6])
def test_info_of_a_cell_has_its_worth_by_every_column(count, here, nascli):
    text = with_convolutions(count)
    found = truth(nascli, text)
    assert (found["architecture"], found["cells"]) == (text, CELLS)
    rows = {row["column"]: row for row in found["columns"]}
    assert list(rows) == ["valid", "test", "upside-down"]
    for name, accuracy in accuracies(count).items():
        assert rows[name]["accuracy"] == accuracy
        best, median = max(accuracies(0)[name], accuracies(6)[name]), accuracies(1)[name]
        assert (rows[name]["best"], rows[name]["median"], rows[name]["gap"]) == (best, median, best - accuracy)
        assert "expected" not in rows[name]
    assert rows["test"]["rank"] == rows["valid"]["rank"] == RANKS[count]
    assert rows["test"]["better"] == pytest.approx((RANKS[count] - 1) / CELLS)
    # Upside down, cells with fewer convolutions are the better ones: 0, 4096, 10,240, 14,080 and so on.
    better = {0: 0, 3: 4096 + 6144 + 3840, 6: CELLS - 1}[count]
    assert (rows["upside-down"]["rank"], rows["upside-down"]["better"]) == (better + 1, better / CELLS)


def test_info_as_text(here, nascli):
    text = nascli("info", with_convolutions(4), "--table", "table.csv").out.splitlines()
    (row,) = [line for line in text if line.startswith("test ")]
    assert row.split() == ["test", "65.00", "26", "of", "15,625", "0.2%", "30.00", "95.00", "20.00"]
    assert with_convolutions(4) in text


def test_the_expectation_is_exact(here, nascli):
    """Accuracies are linear in the number of convolutions, whose mean is the sum of their probabilities."""
    distribution = categorical(space="nas-bench-201", scale=2.0)
    (here / "run.safetensors").write_bytes(bytes_of(distribution))
    mean = sum(float(np.exp(row[0][3]) / np.exp(row[0]).sum()) for row in distribution.logits)
    found = truth(nascli, "run.safetensors", "--expected")
    rows = {row["column"]: row["expected"] for row in found["columns"]}
    expected = {"valid": 20 + 10 * mean, "test": 5 + 15 * mean, "upside-down": 90 - 10 * mean}
    assert rows == pytest.approx(expected, rel=1e-6)
    mode = [pick.op for pick in distribution.mode().picks()]
    assert found["columns"][1]["accuracy"] == 5 + 15 * mode.count("nor_conv_3x3")
    (row,) = [line for line in descriptions.truth_table(found).splitlines() if line.startswith("test ")]
    assert row.split()[-1] == f"{5 + 15 * mean:.2f}"


def test_trials_are_called_candidates_as_well(here, nascli):
    for option in ("--trials", "--candidates"):
        assert nascli(*RANDOM, option, 7, "-q", "-o", f"{option[2:]}.safetensors").code == 0
    assert (here / "trials.safetensors").read_bytes() == (here / "candidates.safetensors").read_bytes()


def test_random_search_tries_a_thousand_by_the_first_column_of_validation(here, nascli):
    done = nascli(*RANDOM, "--trials", 1000, "-o", "run.safetensors")
    assert (done.code, done.out) == (0, "run.safetensors\n")
    assert {path.name for path in here.iterdir()} == {"run.safetensors", "table.csv"}  # no run directory
    found = load_artifact("run.safetensors")
    cells = found.value.distribution.done
    assert sorted(cell.number for cell in cells) == list(range(1000))
    for cell in cells:
        count = [pick.op for pick in cell.genotype.picks()].count("nor_conv_3x3")
        assert cell.accuracy == pytest.approx(accuracies(count)["valid"] / 100)
        assert cell.reported == pytest.approx(accuracies(count)["test"] / 100)
        assert cell.loss is None
    ranked = [cell.accuracy for cell in cells]
    assert ranked == sorted(ranked, reverse=True)
    # Of 1,000 uniform cells a binomial share, C(6, 1) 4^5 / 5^6 = 39.3 %, has one convolution; its deviation is 1.54 %.
    assert abs(ranked.count(0.3) / 1000 - 0.393) < 0.0615
    count = [pick.op for pick in found.value.distribution.mode().picks()].count("nor_conv_3x3")
    assert f"best of 1,000 by valid: test {5 + 15 * count:.2f} %, rank {RANKS[count]:,} of 15,625" in done.err
    config = found.provenance.config
    assert (config["space"], config["choose_by"], config["column"]) == ("nas-bench-201", "valid", "test")


def test_the_columns_may_be_chosen(here, nascli):
    done = nascli(*RANDOM, "--trials", 200, "--choose-by", "upside-down", "--column", "valid", "-q")
    assert (done.code, done.err) == (0, "")
    best = load_artifact("run.safetensors").value.distribution.done[0]
    assert (best.accuracy, best.reported) == (0.9, 0.2)  # no convolution at all
    told = nascli(*RANDOM, "--trials", 20, "--choose-by", "test", "-o", "other.safetensors")
    assert "chosen by test, which is also reported: the best of many looks better than it is" in told.err


def test_the_draws_are_those_of_the_seed(here, nascli):
    for name, words in {"a": [], "b": ["--seed", 0], "c": ["--seed", 1]}.items():
        assert nascli(*RANDOM, "--trials", 50, *words, "-q", "-o", name).code == 0
    drawn = {
        name: {cell.number: cell.genotype.network() for cell in load_artifact(name).value.distribution.done}
        for name in "abc"
    }
    assert (here / "a").read_bytes() == (here / "b").read_bytes()
    assert drawn["a"] != drawn["c"]
    more = nascli(*RANDOM, "--trials", 60, "-q", "-o", "more", "--json")
    assert json.loads(more.out)["path"] == "more"
    longer = {cell.number: cell.genotype.network() for cell in load_artifact("more").value.distribution.done}
    assert {number: longer[number] for number in range(50)} == drawn["a"]


def test_what_random_search_finds_is_derived_told_and_drawn(here, nascli):
    assert nascli(*RANDOM, "--trials", 30, "-q").code == 0
    assert nascli("derive", "run.safetensors", "--format", "nas-bench-201", "-q").code == 0
    text = (here / "cell.txt").read_text().strip()
    found = truth(nascli, "run.safetensors")
    assert found["architecture"] == text
    assert found["columns"][0]["accuracy"] == 20 + 10 * convolutions(text)
    shown = nascli("info", "run.safetensors").out
    lines = [line.split() for line in shown.splitlines()]
    assert ["rank", "number", "accuracy", "(%)", "reported", "(%)", "skips", "(%)"] in lines
    assert ["chosen", "by", "valid"] in lines
    assert ["reported", "test"] in lines
    assert "looked up in a table, valid, not trained" in shown
    drawn = nascli("visualize", "run.safetensors", "-o", "-", "--format", "txt").out
    assert drawn.startswith("30 cells looked up in a table, best first\n")


def test_a_result_that_exists_is_not_replaced(here, nascli):
    assert nascli(*RANDOM, "-q").code == 0
    before = (here / "run.safetensors").read_bytes()
    again = nascli(*RANDOM, "--trials", 9)
    assert (again.code, again.out) == (2, "")
    assert "--overwrite" in again.err
    assert (here / "run.safetensors").read_bytes() == before
    piped = nascli(*RANDOM, "-q", "-o", "-")
    assert piped.raw == before


def test_a_result_that_exists_is_not_replaced_by_resuming_nothing(here, nascli):
    """There is no run to resume: the options may be quite others."""
    assert nascli(*RANDOM, "-q").code == 0
    before = (here / "run.safetensors").read_bytes()
    done = nascli(*RANDOM, "--trials", 9, "--resume", "-q")
    assert (here / "run.safetensors").read_bytes() == before
    assert done.code == 2


@pytest.mark.parametrize(
    "arguments",
    [RANDOM, ["search", "--space", "nas-bench-201", "--table", "table.csv", *TINY]],
    ids=["random", "pc-darts"],
)
def test_the_table_is_not_replaced_by_the_result(arguments, here, nascli):
    before = (here / "table.csv").read_bytes()
    done = nascli(*arguments, "-o", "table.csv", "--overwrite", "-q")
    assert (here / "table.csv").read_bytes() == before
    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize("method", ["pc-darts", "parsec"])
def test_a_search_tells_the_worth_of_what_it_would_derive(method, here, nascli):
    """Of each epoch the cell, as text, and its accuracy; at the end that of the result. Nothing learns from it."""
    quick = ["--arch-lr", 1.0, *(["--arch-warmup-epochs", 0] if method == "pc-darts" else ["--samples", 2])]
    search = ["search", "--method", method, "--space", "nas-bench-201", *TINY, *quick]
    done = nascli(*search, "--table", "table.csv")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (here / "run.run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["true_accuracy"] == pytest.approx((5 + 15 * convolutions(row["genotype"])) / 100)
    text = nascli("derive", "run.safetensors", "--format", "nas-bench-201", "-o", "-").out.strip()
    assert rows[-1]["genotype"] == text
    told = f"what it derives is worth: test {5 + 15 * convolutions(text):.2f} %, rank {RANKS[convolutions(text)]:,} of"
    assert told in done.err
    assert f"true accuracy {rows[1]['true_accuracy']:.2%}" in done.err

    blind = nascli(*search, "-q", "-o", "blind.safetensors")
    assert blind.code == 0, blind.err
    assert (here / "blind.safetensors").read_bytes() == (here / "run.safetensors").read_bytes()
    rows = [json.loads(line) for line in (here / "blind.run" / "metrics.jsonl").read_text().splitlines()]
    assert not any("true_accuracy" in row for row in rows)
    assert rows[-1]["genotype"] == text

    drawn = nascli("visualize", "blind.run", "--table", "table.csv")
    assert (drawn.code, drawn.err) == (0, "")
    (line,) = [line for line in drawn.out.splitlines() if line.startswith("blind.run")]
    assert line.split()[1:3] == [f"{5 + 15 * convolutions(text):.2f}", f"{RANKS[convolutions(text)]:,}"]
    both = nascli("visualize", "run.run", "blind.run", "--table", "table.csv", "--column", "valid", "-o", "truth.svg")
    assert (both.code, both.out) == (0, "truth.svg\n")
    assert (here / "truth.svg").read_text().startswith("<?xml")


def test_a_resumed_search_says_that_its_table_is_missing(here, nascli):
    search = ["search", "--method", "darts", "--space", "nas-bench-201", *TINY]
    assert nascli(*search, *TABLE, "-q").code == 0
    (here / "run.safetensors").unlink()
    lost = "earlier epochs have accuracies from a table: give --table to go on with them"
    assert lost in nascli(*search, "--resume").err
    (here / "run.safetensors").unlink()
    assert lost not in nascli(*search, *TABLE, "--resume").err


def test_a_finetune_tells_it_too(here, nascli):
    (here / "run.safetensors").write_bytes(bytes_of(mixture(space="nas-bench-201"), method="darts"))
    done = nascli("finetune", "run.safetensors", *TINY, "--table", "table.csv", "--column", "valid")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (here / "tuned.run" / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["true_accuracy"] == pytest.approx((20 + 10 * convolutions(row["genotype"])) / 100)
    assert re.search(r"what it derives is worth: valid \d\d\.00 %", done.err)


def test_a_genotype_is_drawn_with_its_worth(here, nascli):
    done = nascli("visualize", with_convolutions(5), "--table", "table.csv", "--title", "Mine")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "Mine: test 80.00 %, rank 2 of 15,625"


NEEDED = "names a column of a table: give --table, too"
OTHER = "table.csv knows cells of the space nas-bench-201, not those of darts: leave --table out"
SEARCHED = "table.csv knows cells of the space nas-bench-201; this search is over"
NO_PROBABILITY = "gives cells no probability: leave --expected out"
ONE = with_convolutions(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--column", "test"], f"--column {NEEDED}"),
        (["search", "--choose-by", "valid"], f"--choose-by {NEEDED}"),
        (["finetune", "benchmark.st", "--column", "test"], f"--column {NEEDED}"),
        (["visualize", "benchmark.st", "--column", "test"], f"--column {NEEDED}"),
        (["info", "uniform.st", "--expected"], "--expected is for the accuracies of a table: give --table, too"),
        (["info", "benchmark.st", "--expected", *TABLE], f"benchmark.st is a mixture, which {NO_PROBABILITY}"),
        (["info", "trials.st", "--expected", *TABLE], f"trials.st is a random search, which {NO_PROBABILITY}"),
        (["info", ONE, "--expected", *TABLE], f"is a genotype, which {NO_PROBABILITY}"),
        (["info", "darts-v1", *TABLE], OTHER),
        (["info", "darts.st", *TABLE], OTHER),
        (["info", "trials.st", *TABLE], OTHER),
        (["info", "channels.st", *TABLE], "channels.st is a posterior, which stands for no cell: leave --table out"),
        (["info", "--supernet", "enas", *TABLE], "--supernet takes no file and no table"),
        (["search", *TABLE], f"{SEARCHED} cells of the space darts: leave --table out, or give --space nas-bench-201"),
        (["search", "--method", "random", *TABLE], f"{SEARCHED} cells of the space darts: leave --table out, or"),
        (["search", "--method", "pgnas", *TABLE], f"{SEARCHED} channels of resnet-mb: leave --table out"),
        (["finetune", "darts.st", *TABLE], f"{SEARCHED} cells of the space darts"),
        (["visualize", "darts-v1", *TABLE], OTHER),
        (
            ["visualize", "benchmark.st", *TABLE],
            "a table goes with a genotype, a model, or the run directories of searches",
        ),
        (
            ["visualize", ONE, *TABLE, "-o", "table.csv", "--format", "txt", "--overwrite"],
            "table.csv is what the result is made from",
        ),
        ([*RANDOM, "--column", "tets"], "table.csv: unknown column 'tets': did you mean 'test'? Known: test, upside-"),
        ([*RANDOM, "--choose-by", "vlaid"], "table.csv: unknown column 'vlaid': did you mean 'valid'?"),
        (["visualize", ONE, *TABLE, "--column", "tets"], "table.csv: unknown column 'tets'"),
        (["search", "--space", "nas-bench-201", *TABLE, "--choose-by", "test"], "--choose-by is for random search"),
        (["info", "-", "--table", "-"], "'-' is given twice, but standard input can be read once"),
        (["visualize", "-", "--table", "-"], "'-' is given twice, but standard input can be read once"),
        ([*RANDOM, "--dry-run"], "a table takes seconds and no memory: leave --dry-run out"),
        ([*RANDOM, "--trials", 10_001], "trials: must be less than or equal to 10000 (got 10001)"),
        ([*RANDOM, "-o", "no/run.st"], "no/run.st cannot be written: there is no folder no"),
    ],
)
def test_what_does_not_go_together_is_one_line_and_exit_code_2(arguments, message, here, nascli):
    for name, content in searched().items():
        (here / name).write_bytes(content)
    assert_one_line(arguments, 2, message, here, nascli)


HEADER, *ROWS = lines()
FIRST = next(row for row in ROWS if row.startswith(with_convolutions(0, "none")))
REST = [row for row in ROWS if row != FIRST]
DARTS = (
    "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], "
    "reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"
)


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (None, "", "no such file: bad.csv"),
        ([HEADER, FIRST, *REST[1:]], "line 15625: ", "is the last, and 1 of the 15,625 architectures of nas-bench-201"),
        (
            [HEADER, FIRST, FIRST],
            "line 3: ",
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2| is on line 2 already",
        ),
        ([HEADER, FIRST.replace(",5,", ",101,")], "line 2: ", "101 is not an accuracy in per cent, from 0 to 100"),
        ([HEADER, FIRST.replace(",20,", ",high,")], "line 2: ", "'high' is not a number"),
        (
            [HEADER, FIRST.replace("none", "non", 1)],
            "line 2: ",
            "node 1, edge 0: unknown op 'non': did you mean",
        ),
        (["architecture,test", f'"{DARTS}",50'], "line 2: ", "the space darts has too many cells for a table"),
        (["cell,test", f"{ONE},50"], "line 1: ", "has no column 'architecture'"),
    ],
)
def test_a_bad_table_is_one_line_with_its_place_and_exit_code_3(content, place, message, here, nascli):
    if content is not None:
        (here / "bad.csv").write_text("\n".join(content) + "\n")
    told = assert_one_line(["info", ONE, "--table", "bad.csv"], 3, message, here, nascli)
    assert f"bad.csv{place and ': '}{place}" in told


@pytest.mark.parametrize("command", [RANDOM[:-2], ["visualize", ONE]], ids=lambda words: words[0])
def test_every_command_that_takes_a_table_tells_of_a_bad_one(command, here, nascli):
    (here / "bad.csv").write_text("\n".join([HEADER, FIRST, FIRST]) + "\n")
    told = assert_one_line([*command, "--table", "bad.csv"], 3, "is on line 2 already", here, nascli)
    assert "bad.csv: line 3: " in told


def assert_one_line(arguments, code, message, folder, nascli):
    """That a command fails so, and leaves all files as they are. Returns what it says."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = nascli(*arguments)
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert done.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    return done.err
