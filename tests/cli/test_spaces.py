"""The search spaces on the command line: what they are, cells as text, and settings that do not go together."""

import json
import tomllib
from functools import cache
from math import comb

import pytest

from nascli.registry import SPACES
from tests.artifacts.examples import bytes_of, categorical, mixture, posterior
from tests.small_cells import SMALL_CELL
from tests.truth_table import architecture, with_convolutions

TINY = ["--epochs", 1, "--limit-train", 60, "--layers", 3, "--channels", 4, "--batch-size", 16, "-q"]
TINY_SEARCH = [*TINY, "--space", "nas-bench-201"]
RESNET_LIKE = architecture(
    "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "nor_conv_1x1", "skip_connect", "skip_connect"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@cache
def searched() -> dict[str, bytes]:
    """Files of searches over each kind of space."""
    return {
        "cells.safetensors": bytes_of(mixture()),
        "benchmark.safetensors": bytes_of(mixture(space="nas-bench-201")),
        "channels.safetensors": bytes_of(posterior()),
    }


def facts(nascli, *arguments: object) -> dict:
    done = nascli("info", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_spaces_are_listed_with_their_numbers(nascli):
    """Of DARTS two draws of each node from seven operations on every input, in any order: C(7n + 1, 2) of n inputs."""
    rows = {row["name"]: row for row in json.loads(nascli("list", "spaces", "--json").out)}
    darts, benchmark = rows["darts"], rows["nas-bench-201"]
    assert (darts["kind"], darts["cells"], darts["edges"]) == ("cells", ["normal", "reduce"], 14)
    assert (len(darts["operations"]), darts["operations"][0]) == (8, "none")
    nodes = [comb(7 * inputs + 1, 2) for inputs in (2, 3, 4, 5)]
    assert nodes == [105, 231, 406, 630]
    assert darts["networks"] == (105 * 231 * 406 * 630) ** 2
    assert (benchmark["kind"], benchmark["cells"], benchmark["edges"]) == ("cells", ["cell"], 6)
    assert benchmark["operations"] == ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    assert benchmark["networks"] == 15_625
    assert {row["kind"] for name, row in rows.items() if name not in SPACES} == {"channels"}

    head, *lines = nascli("list", "spaces").out.splitlines()
    assert head.split() == ["space", "kind", "cells", "edges", "operations", "number", "of", "cells"]
    text = {line.split()[0]: line.split()[1:] for line in lines}
    assert text["darts"][:6] == ["cells", "normal,", "reduce", "14", "8", "3.8e+19"]
    assert text["nas-bench-201"][:5] == ["cells", "cell", "6", "5", "15,625"]
    assert text["enas"][:3] == ["channels", "17", "cells"]


@pytest.mark.parametrize(
    ("text", "parameters", "multiply_adds", "of_cells"),
    [
        # Dong & Yang: 1.531546 M and 0.129306 M parameters. A 3x3 of the first stage costs 9 * 16^2 * 32^2
        # multiply-adds, and as many in the other stages, where channels double and sides halve.
        (with_convolutions(6), 1_531_546, 220_119_680, 15 * 6 * 9 * 16**2 * 32**2),
        (RESNET_LIKE, 129_306, 15_647_360, 15 * 2 * 16**2 * 32**2),
    ],
)
def test_sizes_of_the_benchmarks_cells(text, parameters, multiply_adds, of_cells, nascli):
    found = facts(nascli, text)
    assert (found["parameters"], found["multiply_adds"]) == (parameters, multiply_adds)
    stem, classifier = 9 * 3 * 16 * 32**2, 64 * 10
    # A residual block to 2 C: a 3x3 from C, a 3x3 from 2 C and a 1x1 from C, all on half the side; both cost the same.
    residuals = 2 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32) * 16**2
    assert multiply_adds == stem + of_cells + residuals + classifier
    assert (found["space"], found["nodes"], found["dataset"]) == ("nas-bench-201", 3, "cifar10")
    assert (found["settings"]["layers"], found["settings"]["channels"]) == (15, 16)


def test_a_cell_as_text_is_an_argument_a_file_and_standard_input(here, nascli):
    (here / "cell.txt").write_text(RESNET_LIKE + "\n")
    for arguments, stdin in (([RESNET_LIKE], b""), (["cell.txt"], b""), (["-"], RESNET_LIKE.encode())):
        done = nascli("info", *arguments, "--json", stdin=stdin)
        assert done.code == 0, done.err
        assert json.loads(done.out)["parameters"] == 129_306
    (here / "run.safetensors").write_bytes(bytes_of(mixture()))
    text = nascli("derive", "run.safetensors", "--format", "darts", "-o", "-").out
    assert text.startswith("Genotype(normal=[(")
    assert nascli("derive", "run.safetensors").code == 0
    assert facts(nascli, text)["parameters"] == facts(nascli, "cell.json", "--dataset", "cifar10")["parameters"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|none~0|", "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 1"),
        ("|none~0|+|none~0|none~1|", "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 2"),
        (
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|none~1|none~2|none~3|",
            "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 4",
        ),
        ("|none~0|+none~0|none~1|+|none~0|none~1|none~2|", "node 2: 'none~0|none~1|' does not stand between bars"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2", "node 3: '|none~0|none~1|none~2' does not stand between"),
        ("|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1: '|' does not stand between bars"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2: has 1 edge and needs 2, one from each state"),
        (
            "|none~0|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
            "node 1: has 2 edges and needs 1, one from each",
        ),
        ("|none~0|+|non~0|none~1|+|none~0|none~1|none~2|", "node 2, edge 0: unknown op 'non': did you mean 'none'?"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|~2|", "node 3, edge 2: unknown op ''"),
        ("|none~0|+|none~0|none|+|none~0|none~1|none~2|", "node 2, edge 1: 'none' names no state, as in none~1"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "node 2, edge 0: must come from ~0, not from ~1"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~x|", "node 3, edge 2: must come from ~2, not from ~x"),
        ("|none~ 0|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1, edge 0: must come from ~0, not from ~ 0"),
    ],
)
def test_a_malformed_cell_is_told_its_place(text, message, here, nascli):
    for command in (["info"], ["train", "--dry-run"], ["visualize"]):
        done = nascli(*command, text)
        assert (done.code, done.out) == (3, "")
        assert message in done.err
        assert done.err.count("\n") == 1
    (here / "cell.txt").write_text(text)
    assert nascli("info", "cell.txt").err.startswith("nascli: cell.txt: ")


def test_every_fault_of_a_cell_is_told_at_once(nascli):
    done = nascli("info", "|none~1|+|nine~0|none|+|none~0|none~1|none~2|")
    places = ["node 1, edge 0: must come from ~0", "node 2, edge 0: unknown op 'nine'", "node 2, edge 1: 'none' names"]
    assert [place in done.err for place in places] == [True] * 3
    assert done.err.count("node ") == 3


OF_CELLS = "give another --method, or one of these as --space: darts, nas-bench-201"
OF_CHANNELS = "give another --method, or one of these as --space: resnet-mb, "
STAGES = "3 stages of as many cells each: --layers is a multiple of 3, not"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--space", "nas-bench-210"], "unknown space 'nas-bench-210': did you mean 'nas-bench-201'?"),
        (["search", "--method", "pgnas", "--supernet", "resnet-bm"], "unknown space 'resnet-bm': did you mean"),
        (["finetune", "cells.safetensors", "--space", "dart"], "unknown space 'dart': did you mean 'darts'?"),
        (
            ["search", "--method", "darts", "--space", "enas"],
            f"darts searches cells, and enas is a space of channels: {OF_CELLS}",
        ),
        (
            ["search", "--supernet", "resnet-mb"],
            f"pc-darts searches cells, and resnet-mb is a space of channels: {OF_CELLS}",
        ),
        (
            ["search", "--method", "pgnas", "--space", "nas-bench-201"],
            f"pgnas searches channels, and nas-bench-201 is a space of cells: {OF_CHANNELS}",
        ),
        (
            ["finetune", "channels.safetensors", "--space", "darts"],
            f"pgnas searches channels, and darts is a space of cells: {OF_CHANNELS}",
        ),
        (["search", "--space", "nas-bench-201", "--layers", 4], f"{STAGES} 4"),
        (["search", "--method", "parsec", "--space", "nas-bench-201", "--layers", 8], f"{STAGES} 8"),
        (["search", "--method", "random", "--space", "nas-bench-201", "--layers", 5], f"{STAGES} 5"),
        (["search", "--space", "nas-bench-201", "--layers", 4, "--dry-run"], f"{STAGES} 4"),
        (["train", RESNET_LIKE, "--layers", 7], f"{STAGES} 7"),
        (["info", RESNET_LIKE, "--layers", 7], f"{STAGES} 7"),
        (
            ["info", RESNET_LIKE, "--image-size", 16, "--dataset", "imagenet"],
            "images of 16x16 are too small for the imagenet stem and 3 stages, which divide a side by 32",
        ),
        (["search", "--space", "nas-bench-201", "--nodes", 4], "cells of the space nas-bench-201 have 3 nodes, not 4"),
        (["search", "--nodes", 13], "nodes: must be less than or equal to 12 (got 13)"),
        (
            ["finetune", "cells.safetensors", "--space", "nas-bench-201", "--layers", 3],
            "over cells of the space darts, this search over those of nas-bench-201: give --space darts",
        ),
        (
            ["finetune", "benchmark.safetensors", "--method", "darts", "--space", "darts"],
            "over cells of the space nas-bench-201, this search over those of darts: give --space nas-bench-201",
        ),
        (
            ["finetune", "cells.safetensors", "--nodes", 3],
            "of 4 nodes, the network's have 3: give --nodes 4",
        ),
        (
            ["derive", "cells.safetensors", "--format", "nas-bench-201"],
            "the text form of nas-bench-201 is for its cells, not for a genotype of the space darts: use JSON",
        ),
        (
            ["derive", "benchmark.safetensors", "--format", "darts"],
            "the text form of darts is for its cells, not for a genotype of the space nas-bench-201: use JSON",
        ),
        (
            ["derive", "channels.safetensors", "--sample", 1, "--format", "nas-bench-201"],
            "the text form of nas-bench-201 is for its cells, not for a genotype of the space resnet-mb: use JSON",
        ),
        (
            ["derive", "benchmark.safetensors", "--format", "nas-bench-210"],
            "unknown --format 'nas-bench-210': did you mean 'nas-bench-201'?",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line_and_exit_code_2(arguments, message, here, nascli):
    files = searched()
    for name, content in files.items():
        (here / name).write_bytes(content)
    done = nascli(*arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert message in done.err
    assert done.err.count("\n") == 1
    assert {path.name for path in here.iterdir()} == files.keys()


def test_a_configuration_that_says_another_space_than_the_genotype_is_refused(here, nascli):
    (here / "other.toml").write_text('space = "nas-bench-201"\n')
    done = nascli("train", "darts-v1", "--config", "other.toml", *TINY)
    assert (done.code, done.out) == (2, "")
    assert "is for nas-bench-201, and the genotype is of darts: give space='darts'" in done.err
    assert [path.name for path in here.iterdir()] == ["other.toml"]


@pytest.mark.parametrize("stage", ["search", "train"])
def test_a_run_is_not_resumed_by_another_method(stage, here, nascli):
    command = [stage, *([] if stage == "search" else [SMALL_CELL]), *TINY, "--method"]
    small = ["--nodes", 1] if stage == "search" else []
    assert nascli(*command, "darts", *small, "-o", "one.safetensors", "-q").code == 0
    before = {path.name: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    for method in ("pc-darts", "random", "pgnas"):
        done = nascli(stage, *command[1:-1][: -len(TINY)], "--method", method, "--resume", "-o", "one.safetensors")
        told = f"nascli: cannot resume one.run with other settings: method was 'darts' and is {method!r}\n"
        assert (done.code, done.out, done.err) == (2, "", told)
    assert {path.name: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_recipe_of_another_space_is_refused(here, nascli):
    written = nascli("search", "--method", "parsec", *TINY_SEARCH, "--samples", 2, "--dry-run").out
    (here / "c.toml").write_text(written)
    done = nascli("search", "--config", "c.toml", "--space", "darts", "--dry-run")
    told = "the parsec recipe 'digits-nas-bench-201' for search is made for the space nas-bench-201, not for darts"
    assert (done.code, done.out, done.err) == (2, "", f"nascli: {told}\n")
    done = nascli("train", "darts-v1", "--recipe", "digits-nas-bench-201", "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert "is made for the space nas-bench-201, not for darts" in done.err


def test_genotypes_of_two_spaces_are_not_trained_by_one_recipe(here, nascli):
    done = nascli("train", "darts-v1", RESNET_LIKE, "--method", "darts", *TINY)
    assert (done.code, done.out) == (2, "")
    assert f"darts-v1 comes with space 'darts', {RESNET_LIKE[:59]}…" in done.err
    assert "with 'nas-bench-201': train them one after the other" in done.err
    assert done.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_derived_text_is_the_mode(here, nascli):
    distribution = categorical(space="nas-bench-201")
    (here / "run.safetensors").write_bytes(bytes_of(distribution))
    assert nascli("derive", "run.safetensors", "--format", "nas-bench-201").out == "cell.txt\n"
    best = [pick.op for pick in distribution.mode().picks()]
    assert (here / "cell.txt").read_text() == architecture(*best) + "\n"
    piped = nascli("derive", "run.safetensors", "--format", "nas-bench-201", "-o", "-")
    assert piped.out == (here / "cell.txt").read_text()
    several = nascli("derive", "run.safetensors", "--top", 3, "--format", "nas-bench-201", "-q")
    assert several.out.splitlines() == ["cell-1.txt", "cell-2.txt", "cell-3.txt"]
    texts = [(here / name).read_text() for name in several.out.splitlines()]
    assert texts[0] == piped.out
    assert len(set(texts)) == 3


def test_info_of_a_mixture_and_of_categoricals(here, nascli):
    (here / "mixture.safetensors").write_bytes(bytes_of(mixture(space="nas-bench-201")))
    found = facts(nascli, "mixture.safetensors")
    assert (found["kind"], found["space"], found["nodes"]) == ("mixture", "nas-bench-201", 3)
    assert len(found["operations"]) == 5
    assert list(found["entropy"]) == ["cell"]
    distribution = categorical(space="nas-bench-201")
    (here / "run.safetensors").write_bytes(bytes_of(distribution))
    found = facts(nascli, "run.safetensors")
    assert found["largest_entropy"] == pytest.approx({"cell": 9.656627475, "total": 9.656627475})  # 6 log 5
    rows = found["likeliest"]["cell"]
    assert [(row["decision"], row["node"]) for row in rows] == [
        ("0-1", 1),
        ("0-2", 2),
        ("1-2", 2),
        ("0-3", 3),
        ("1-3", 3),
        ("2-3", 3),
    ]
    assert [row["draws"][0][0]["op"] for row in rows] == [pick.op for pick in distribution.mode().picks()]
    lines = [line.split() for line in nascli("info", "run.safetensors").out.splitlines() if line.count("←") == 3]
    assert [line[0] for line in lines] == [row["decision"] for row in rows]


def test_from_a_search_to_a_model(here, nascli):
    """By text alone: what a search derives is trained, and the model knows its cell and its space."""
    done = nascli("search", "--method", "darts", *TINY_SEARCH)
    assert done.code == 0, done.err
    text = nascli("derive", "run.safetensors", "--format", "nas-bench-201", "-o", "-").out.strip()
    rows = [json.loads(line) for line in (here / "run.run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    assert rows[-1]["genotype"] == text
    for source in (text, "cell.json"):
        assert nascli("derive", "run.safetensors", "--overwrite").code == 0
        done = nascli("train", source, *TINY, "--overwrite", "--method", "darts")
        assert done.code == 0, done.err
        model = facts(nascli, "model.safetensors")
        assert (model["space"], model["provenance"]["config"]["space"]) == ("nas-bench-201", "nas-bench-201")
        assert model["provenance"]["config"]["recipe"] == "digits-nas-bench-201"
        size = facts(nascli, text, "--dataset", "digits", "--layers", 3, "--channels", 4)
        assert model["parameters"] == size["parameters"]
        evaluated = json.loads(nascli("eval", "model.safetensors", "--json", "-q").out)
        assert evaluated["parameters"] == size["parameters"]


def test_a_finetune_stays_in_the_space_of_its_search(here, nascli):
    assert nascli("search", "--method", "darts", *TINY_SEARCH).code == 0
    done = nascli("finetune", "run.safetensors", *TINY[:4], "--channels", 4, "--layers", 6, "--batch-size", 16, "-q")
    assert done.code == 0, done.err
    found = facts(nascli, "tuned.safetensors")
    assert found["space"] == "nas-bench-201"
    config = found["provenance"]["config"]
    assert (config["recipe"], config["settings"]["layers"]) == ("digits-nas-bench-201", 6)


def test_a_dry_run_prints_the_space(here, nascli):
    done = nascli("search", "--method", "parsec", *TINY_SEARCH, "--samples", 2, "--dry-run")
    assert done.code == 0, done.err
    values = tomllib.loads(done.out)
    assert (values["space"], values["nodes"], values["layers"]) == ("nas-bench-201", 3, 3)
    (here / "again.toml").write_text(done.out)
    again = nascli("search", "--config", "again.toml", "--dry-run", "-q")
    assert tomllib.loads(again.out) == values
