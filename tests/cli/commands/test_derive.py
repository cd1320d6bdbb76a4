"""`nascli derive` and `info` on a distribution of categoricals: options, files, messages, tables."""

import json
from math import exp, log

import pytest

from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.load import load_artifact
from nascli.spaces.network_settings import NetworkSettings
from tests.artifacts.examples import bytes_of, categorical, mixture, trials

SIZED = {"layers": 5, "channels": 16, "stem": "cifar", "classes": 10, "image_channels": 1, "image_size": 8}
"""The network that the recipe for digits trains, on which the examples were searched."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the result of a search by sampling, and one by mixing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.safetensors").write_bytes(bytes_of(categorical()))
    (tmp_path / "mixture.safetensors").write_bytes(bytes_of(mixture()))
    return tmp_path


def config(path) -> dict:
    return json.loads(path.read_text())["provenance"]["config"]


def test_paths_on_standard_output_and_a_table_on_standard_error(here, nascli):
    done = nascli("derive", "run.safetensors", "--top", 3)
    assert (done.code, done.out) == (0, "cell-1.json\ncell-2.json\ncell-3.json\n")
    lines = done.err.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["cell-1.json", "cell-2.json", "cell-3.json"]
    assert [float(line.split()[1]) for line in lines[1:4]] == [round(value, 4) for _, value in categorical().top(3)]
    assert lines[-1] == "3 genotypes; different networks: 3"
    assert config(here / "cell-2.json") == {"choice": "top", "rank": 2}
    quiet = nascli("derive", "run.safetensors", "--top", 12, "-q", "-o", "best.json")
    assert (quiet.err, quiet.out.splitlines()[::11]) == ("", ["best-01.json", "best-12.json"])


def test_one_goes_where_it_is_told(here, nascli):
    for words in ([], ["--mode"], ["--top", 1], ["--sample", 1]):
        done = nascli("derive", "run.safetensors", *words, "-o", "one.json", "--overwrite")
        assert (done.code, done.out, done.err) == (0, "one.json\n", "")
    piped = nascli("derive", "run.safetensors", "--sample", 1, "-o", "-")
    assert piped.raw == (here / "one.json").read_bytes()
    assert config(here / "one.json") == {"choice": "sample", "seed": 0, "number": 1}


def test_samples_by_seed(here, nascli):
    for name, words in {"a": [], "b": ["--seed", 0], "c": ["--seed", 1]}.items():
        nascli("derive", "run.safetensors", "--sample", 3, *words, "-q", "-o", f"{name}.json")
    assert (here / "a-3.json").read_bytes() == (here / "b-3.json").read_bytes()
    assert config(here / "c-3.json") == {"choice": "sample", "seed": 1, "number": 3}


def test_json_lists_all(here, nascli):
    rows = json.loads(nascli("derive", "run.safetensors", "--top", 2, "-q", "--json").out)
    assert rows == [
        {
            "path": name,
            "artifact": "genotype",
            "sha256": sha256((here / name).read_bytes()),
            "log_probability": probability,
        }
        for name, (_, probability) in zip(("cell-1.json", "cell-2.json"), categorical().top(2), strict=True)
    ]
    assert len(json.loads(nascli("derive", "run.safetensors", "--top", 1, "--json").out)) == 1
    mode = json.loads(nascli("derive", "run.safetensors", "--json", "-o", "mode.json").out)
    assert mode["log_probability"] == categorical().log_probability(categorical().mode()) < rows[0]["log_probability"]


def test_repeated_samples_are_counted(here, nascli):
    (here / "sure.safetensors").write_bytes(bytes_of(categorical(scale=1e4)))
    done = nascli("derive", "sure.safetensors", "--sample", 25)
    assert done.err.splitlines()[-2:] == ["and 5 more", "25 genotypes; different networks: 1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top", 0], "from 1 to 10,000 genotypes can be derived at a time, not 0"),
        (["--sample", 10_001], "not 10,001"),
        (["--top", 2, "--sample", 2], "--mode, --top and --sample exclude each other"),
        (["--mode", "--top", 2], "exclude each other"),
        (["--seed", 1], "--seed is for the draws of --sample"),
        (["--top", 2, "--seed", 0], "--seed is for the draws of --sample"),
        (["--sample", 2, "--seed", -1], "the seed must be from 0"),
        (["--top", 2, "-o", "-"], "standard output takes one genotype"),
        (["--top", 2, "-o", "-", "--json"], "--json and '-o -' both need standard output"),
        (["--top", 2, "-o", "no/cell.json"], "no/cell-1.json cannot be written: there is no folder no"),
        (["--top", "two"], "Invalid value for '--top'"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(words, message, here, nascli):
    done = nascli("derive", "run.safetensors", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert len(list(here.iterdir())) == 2


def test_several_searches_are_one(here, nascli):
    (here / "other.safetensors").write_bytes(bytes_of(mixture(seed=1), seed=4))
    done = nascli("derive", "mixture.safetensors", "other.safetensors")
    assert (done.code, done.out, done.err) == (0, "cell.json\n", "")
    assert config(here / "cell.json") == {
        "choice": "mode",
        "mean_with": [{"sha256": sha256((here / "other.safetensors").read_bytes()), "seed": 4}],
    }
    assert "by pc-darts (of the mean with 1 more)" in nascli("info", "cell.json").out
    for words, message in (
        (["run.safetensors"], "run.safetensors does not have the same method as mixture.safetensors"),
        (["mixture.safetensors"], "mixture.safetensors is given twice"),
        (["other.safetensors", "--candidates", 3], "candidates are ranked with the weights of one search: give one"),
        (["other.safetensors", "-o", "other.safetensors"], "other.safetensors"),
    ):
        refused = nascli("derive", "mixture.safetensors", *words, *([] if "-o" in words else ["-o", "new.json"]))
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert message in refused.err
    assert not (here / "new.json").exists()


def test_a_mixture_has_its_mode_and_samples(here, nascli):
    assert nascli("derive", "mixture.safetensors", "--mode").out == "cell.json\n"
    assert "log_probability" not in (here / "cell.json").read_text()
    assert nascli("derive", "mixture.safetensors", "--sample", 2, "-q").out == "cell-1.json\ncell-2.json\n"
    done = nascli("derive", "mixture.safetensors", "--top", 2, "-o", "top.json")
    assert (done.code, done.err.splitlines()[0].split()) == (0, ["genotype", "skips"])
    found = [load_artifact(f"top-{rank}.json").value.genotype for rank in (1, 2)]
    assert found == [genotype for genotype, _ in mixture().top(2)]
    assert found[0] == mixture().mode()


def test_limits_are_about_the_network_that_is_trained(here, nascli):
    """By hand: the sizes of the recipe for digits, and of --layers and --channels."""
    small = mixture(nodes=2)
    (here / "mixture.safetensors").write_bytes(bytes_of(small))
    for words, network in (([], SIZED), (["--layers", 4, "--channels", 6], {**SIZED, "layers": 4, "channels": 6})):
        settings = NetworkSettings(**network)
        whole = small.mode().graph(settings).size
        limit = ["--max-params", whole.parameters - 1, "--max-macs", whole.multiply_adds]
        done = nascli("derive", "mixture.safetensors", *limit, *words, "-o", "small.json", "--overwrite")
        found = load_artifact("small.json").value
        size = found.genotype.graph(settings).size
        assert size.parameters < whole.parameters
        limits = CellLimits(max_params=whole.parameters - 1, max_macs=whole.multiply_adds, network=settings)
        assert found.genotype == small.mode_within(limits)
        assert found.provenance.config["network"] == settings.model_dump()
        better = found.provenance.config["better_beyond"]
        assert done.err == (
            f"note: {better:,} better {'cell is' if better == 1 else 'cells are'} beyond --max-params "
            f"{whole.parameters - 1:,} and --max-macs {whole.multiply_adds:,}; the best within has {size.parameters:,} "
            f"parameters and {size.multiply_adds:,} multiply-adds, with {settings.layers} cells and "
            f"{settings.channels} channels\n"
        )
        assert f"(within --max-params {whole.parameters - 1:,} and" in nascli("info", "small.json").out
    limit = mixture().mode().graph(settings).size.parameters
    several = nascli("derive", "run.safetensors", "--top", 3, "--max-params", limit, "-o", "few.json")
    assert "better cells (than the last of these) are beyond" in several.err
    assert [load_artifact(f"few-{rank}.json").value.provenance.config["rank"] for rank in (1, 2, 3)] == [1, 2, 3]


def test_a_random_search_knows_no_probabilities(here, nascli):
    (here / "trials.safetensors").write_bytes(bytes_of(trials()))
    lines = nascli("derive", "trials.safetensors", "--top", 2).err.splitlines()
    assert lines[0].split() == ["genotype", "skips"]
    assert [line.split()[0] for line in lines[1:3]] == ["cell-1.json", "cell-2.json"]


def test_info_of_the_distribution(here, nascli):
    distribution = categorical()
    facts = json.loads(nascli("info", "run.safetensors", "--json").out)
    assert facts["kind"] == "categorical"
    assert facts["entropy"]["total"] == pytest.approx(distribution.total_entropy())
    assert facts["entropy"]["total"] == pytest.approx(facts["entropy"]["normal"] + facts["entropy"]["reduce"])
    assert facts["largest_entropy"] == pytest.approx(
        {"normal": 25.142264678, "reduce": 25.142264678, "total": 4 * log(14 * 21 * 28 * 35)}
    )
    ((likeliest, most),) = distribution.top(1)
    mode = distribution.mode()
    assert facts["mode_log_probability"] == distribution.log_probability(mode)
    assert facts["top_probability"] == pytest.approx(exp(most))
    assert likeliest.network() != mode.network()
    assert facts["top_is_mode"] is False
    assert facts["mode_probability"] == exp(facts["mode_log_probability"])
    node = facts["likeliest"]["reduce"][1]
    assert node["node"] == 3
    assert node["entropy"] == distribution.entropies("reduce")[1]
    assert [len(draw) for draw in node["draws"]] == [3, 3]
    best = distribution.mode().cells["reduce"].nodes[1][1]
    assert (node["draws"][1][0]["op"], node["draws"][1][0]["input"]) == (best.op, best.input)
    assert node["draws"][1][0]["probability"] == distribution.probabilities("reduce")[1][1].max()


def test_info_as_text(here, nascli):
    text = nascli("info", "run.safetensors").out
    assert f"entropy {categorical().total_entropy():.2f} of 50.28 nats" in text
    lines = [line for line in text.splitlines() if line.count("←") == 3]
    assert len(lines) == 2 * 4 * 2
    best = categorical().likeliest("normal")[0][0]
    assert lines[0].split()[0] == "2"
    for choice in best:
        assert f"{choice.probability:.3f} {choice.op} ← {choice.input}" in lines[0]


def test_info_of_a_cell_that_was_chosen(here, nascli):
    nascli("derive", "run.safetensors", "--sample", 2, "--seed", 5, "-q")
    size = ["--layers", 3, "--channels", 4]
    text = nascli("info", "cell-2.json", *size).out
    assert "(sample: seed 5, number 2)" in text
    expected = categorical().log_probability(categorical().sample(5, 2))
    assert f"{expected:.4g}" in next(line for line in text.splitlines() if line.startswith("log-probability"))
    facts = json.loads(nascli("info", "cell-2.json", *size, "--json").out)
    assert facts["log_probability"] == expected
    assert "log_probability" not in json.loads(nascli("info", "darts-v1", *size, "--json").out)
