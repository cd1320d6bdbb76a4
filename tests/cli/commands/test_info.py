"""`nascli info`, `list` and `env`: figures of the papers, and what is known without loading anything."""

import json

import pytest

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import genotype_bytes
from nascli.registry import DATASETS, METHODS, SCENES, SPACES, SUPERNETS
from tests.artifacts.examples import bytes_of, categorical, mixture, posterior, trials


def facts(nascli, *arguments: object, stdin: bytes = b"") -> dict:
    done = nascli("info", *arguments, "--json", stdin=stdin)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_sizes_of_the_published_cell_at_both_scales(nascli):
    # Xu et al.: 3.6 M and 5.3 M; with the auxiliary tower 4,111,104 and 6,531,336.
    cifar = facts(nascli, "pc-darts-cifar10", "--dataset", "cifar10")
    assert cifar["parameters"] == 3_634_678
    assert cifar["parameters"] + cifar["auxiliary_parameters"] == 4_111_104
    assert cifar["settings"]["layers"] == 20
    imagenet = facts(nascli, "pc-darts-cifar10", "--dataset", "imagenet")
    assert imagenet["parameters"] == 5_270_560
    assert imagenet["parameters"] + imagenet["auxiliary_parameters"] == 6_531_336
    assert round(imagenet["multiply_adds"] / 1e6) == 571


def test_size_options_override_the_recipe(nascli):
    default = facts(nascli, "darts-v2", "--dataset", "cifar10")
    hundred = facts(nascli, "darts-v2", "--dataset", "cifar10", "--num-classes", 100)
    # The classifier of C = 36, two reductions and four concatenated nodes reads 36 * 4 * 4 channels.
    assert hundred["parameters"] - default["parameters"] == 90 * (36 * 4 * 4 + 1)
    assert hundred["settings"]["classes"] == 100
    small = facts(nascli, "darts-v2", "--layers", 8, "--channels", 16, "--image-size", 64)
    assert (small["settings"]["layers"], small["settings"]["channels"]) == (8, 16)
    half = facts(nascli, "darts-v2", "--layers", 8, "--channels", 16, "--image-size", 32)
    assert small["parameters"] == half["parameters"]
    assert small["multiply_adds"] == pytest.approx(4 * half["multiply_adds"], rel=1e-3)


def test_a_genotype_from_standard_input(nascli):
    data = genotype_bytes(published.load("enas"))
    piped = facts(nascli, "-", stdin=data)
    assert piped["parameters"] == facts(nascli, "enas")["parameters"]
    assert piped["file"] == "standard input"


def test_text_shows_size_and_origin(nascli):
    done = nascli("info", "pc-darts-cifar10")
    assert "3,634,678" in done.out
    assert "Xu et al." in done.out


def test_schema_accepts_what_nascli_writes(nascli):
    schema = json.loads(nascli("info", "--schema", "genotype").out)
    written = json.loads(genotype_bytes(published.load("nasnet-a")))
    assert set(written) <= set(schema["properties"])
    assert set(schema.get("required", [])) <= set(written)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give a file"),
        (["--schema", "genotyp"], 2, "unknown --schema 'genotyp': did you mean 'genotype'?"),
        (["nasnet-b"], 3, "no such file, and unknown published genotype 'nasnet-b': did you mean 'nasnet-a'?"),
        (["nasnet-a", "--dataset", "cifar01"], 2, "unknown dataset 'cifar01'"),
        (["nasnet-a", "--layers", "0"], 2, "layers: must be greater than or equal to 1 (got 0)"),
        (["nasnet-a", "--num-classes", "-3"], 2, "classes: must be greater than or equal to 1 (got -3)"),
        (["nasnet-a", "--image-size", "2"], 2, "image_size: must be greater than or equal to 4 (got 2)"),
    ],
)
def test_wrong_questions(arguments, code, message, nascli):
    done = nascli("info", *arguments)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"nascli: {message}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", published.names())
def test_every_published_cell_can_be_measured(name, nascli):
    assert facts(nascli, name)["parameters"] > 1_000_000


def test_lists_have_every_row(nascli):
    def listed(what: str, headings: int = 0) -> list[str]:
        done = nascli("list", what, "--json")
        assert done.code == 0
        rows = json.loads(done.out)
        text = nascli("list", what).out.splitlines()[headings:]
        assert [line.split()[0] for line in text] == [row["name"] for row in rows]
        return [row["name"] for row in rows]

    assert listed("methods") == list(METHODS)
    assert listed("datasets") == [*DATASETS, *SCENES]
    assert listed("genotypes") == list(published.names())
    assert listed("spaces", headings=1) == [*SPACES, *SUPERNETS]
    assert "pc-darts/cifar10" in listed("recipes")
    assert listed("supernets") == list(SUPERNETS)


def test_env_tells_versions_and_devices(nascli):
    import torch

    environment = json.loads(nascli("env", "--json").out)
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    assert len(environment["gpus"]) == torch.cuda.device_count()
    text = nascli("env").out
    assert torch.__version__.split("+")[0] in text
    assert environment["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert f"{environment['processor']} with {environment['instructions']}" in text
    assert environment["load"] is None or environment["load"] >= 0
    assert "in the last minute" in text or "unknown" in text


@pytest.mark.parametrize("value", [mixture(nodes=2, beta=False), categorical(nodes=2), trials(), posterior()])
def test_text_has_all_that_is_printed_of_a_picture(value, nascli, tmp_path):
    (tmp_path / "run.safetensors").write_bytes(bytes_of(value))
    picture = nascli("visualize", tmp_path / "run.safetensors", "--format", "txt", "-o", "-").out
    assert picture.strip()
    assert picture in nascli("info", tmp_path / "run.safetensors").out


def test_a_random_search_is_told_cell_by_cell(nascli, tmp_path):
    done = trials()
    (tmp_path / "run.safetensors").write_bytes(bytes_of(done))
    found = facts(nascli, tmp_path / "run.safetensors")
    assert (found["kind"], found["cells"], found["waiting"]) == ("trials", 3, 1)
    assert [row["number"] for row in found["trials"]] == [1, 2, 0]
    assert found["trials"][0]["accuracy"] == 0.75
    assert found["trials"][0]["skips"] == done.mode().share("skip_connect")
    lines = nascli("info", tmp_path / "run.safetensors").out.splitlines()
    (heading,) = (place for place, line in enumerate(lines) if line.startswith("rank "))
    assert lines[heading + 1].split()[:4] == ["1", "1", "75.00", "1.2500"]
