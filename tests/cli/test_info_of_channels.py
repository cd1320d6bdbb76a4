"""`nascli info` of a posterior, of a genotype of channels, and of its model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.model import model_bytes
from nascli.core.nn.build import build_network
from nascli.core.nn.measure import count_parameters
from nascli.spaces.network_settings import DataShape
from tests.artifacts.examples import (
    bytes_of,
    channels_genotype,
    channels_model_file,
    data_info,
    gaussian,
    posterior,
    provenance,
)


def facts(nascli, path, data: bytes, *arguments: object) -> dict:
    path.write_bytes(data)
    done = nascli("info", path, *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def genotype_file(**origin: object) -> bytes:
    return genotype_bytes(
        GenotypeFile(genotype=channels_genotype(), provenance=provenance(stage="derive", method="pgnas", **origin))
    )


def assert_sizes_are_those_of_torch(found: dict, shape: DataShape) -> None:
    sizes = []
    for graph in (channels_genotype().graph(shape), channels_genotype().whole(shape)):
        network = build_network(graph, seed=0)
        network.requires_grad_(False)
        with FlopCounterMode(display=False) as counter:
            network(torch.randn(1, shape.image_channels, shape.image_size, shape.image_size))
        sizes.append({"parameters": count_parameters(network), "multiply_adds": counter.get_total_flops() // 2})
    slim, whole = sizes
    for name in slim:
        assert found[name] == slim[name]
        assert found["of_supernet"][name] == pytest.approx(slim[name] / whole[name])
    assert 0 < found["of_supernet"]["multiply_adds"] < 1


def test_a_genotype_is_measured_on_the_images_of_its_search(nascli, tmp_path):
    found = facts(nascli, tmp_path / "cell.json", genotype_file(data=data_info().description()))
    assert (found["kind"], found["supernet"], found["width"], found["stages"]) == (
        "channels",
        "resnet-mb",
        4,
        [1, 1, 1],
    )
    assert (found["dataset"], found["settings"]["image_size"]) == ("digits", 8)
    assert_sizes_are_those_of_torch(found, DataShape(classes=10, image_channels=1, image_size=8))
    larger = genotype_file(data=data_info().description(), config={"image_size": 12})
    assert facts(nascli, tmp_path / "cell.json", larger)["settings"]["image_size"] == 12


def test_a_genotype_is_measured_on_other_images_too(nascli, tmp_path):
    options = ("--dataset", "cifar10", "--num-classes", 7, "--image-size", 20)
    found = facts(nascli, tmp_path / "cell.json", genotype_file(data=data_info().description()), *options)
    assert_sizes_are_those_of_torch(found, DataShape(classes=7, image_channels=3, image_size=20))


def test_kept_shares_are_those_of_the_ranges(nascli, tmp_path):
    found = facts(nascli, tmp_path / "cell.json", genotype_file())
    # Channels whose number 3 divides are dropped, ceil(n / 3) of n, and all 4 of one convolution. A stage has the 1x1
    # convolutions of its skip, which read the stage's input, and two of 3x3 in each of its two branches.
    sizes = {"stage0": [16] * 4 + [4, 4], "stage1": [4] * 4 + [8, 8], "stage2": [8] * 4 + [16, 16]}
    kept = {part: sum(size - -(-size // 3) for size in each) for part, each in sizes.items()}
    kept["stage0"] -= 2
    for part in found["parts"]:
        assert part["channels"] == sum(sizes[part["part"]])
        assert part["kept"] == pytest.approx(kept[part["part"]] / part["channels"])
    assert found["kept"] == pytest.approx(sum(kept.values()) / found["channels"])
    # Table 7 of PGNAS: one of 18 convolutions has no channel left. What only that one read is gone with it.
    assert found["dropped_channels"] == pytest.approx(1 - sum(kept.values()) / 168)
    assert (found["dropped_convolutions"], found["gone_convolutions"]) == (1, 2)
    assert found["dropped_operations"] == pytest.approx(1 / 18)


def test_where_everything_is_kept_nothing_is_dropped(nascli, tmp_path):
    whole = GenotypeFile(genotype=gaussian().genotype, provenance=provenance(stage="derive", method="pgnas"))
    found = facts(nascli, tmp_path / "cell.json", genotype_bytes(whole))
    names = ("dropped_channels", "dropped_operations", "dropped_convolutions", "gone_convolutions")
    assert [found[name] for name in names] == [0, 0, 0, 0]
    lines = nascli("info", tmp_path / "cell.json").out.splitlines()
    rows = [line.split() for line in lines if line.startswith(("channels dropped", "operations dropped"))]
    assert rows == [["channels", "dropped", "0.0%"], ["operations", "dropped", "0.0%"]]


def test_a_models_sizes_are_those_of_its_weights(nascli, tmp_path):
    file = channels_model_file()
    found = facts(nascli, tmp_path / "model.safetensors", model_bytes(file))
    assert_sizes_are_those_of_torch(found, file.network)
    learnt = [values.size for name, values in file.weights.items() if "running" not in name and "tracked" not in name]
    assert found["parameters"] == sum(learnt)
    assert found["metrics"] == {"held_out_accuracy": 0.5}


def test_a_posterior_is_told_stage_by_stage(nascli, tmp_path):
    value = posterior()
    found = facts(nascli, tmp_path / "run.safetensors", bytes_of(value))
    assert (found["kind"], found["supernet"], found["groups"]) == ("posterior", "resnet-mb", 18)
    assert (found["parameters"], found["channels"]) == (value.graph.parameters, 168)
    drawn = np.mean([value.mask(0, number) for number in range(2000)], axis=0)
    assert found["expected_kept"] == pytest.approx(drawn.mean(), abs=0.005)
    by_stage: dict[str, list[float]] = {"stage0": [], "stage1": [], "stage2": []}
    for name, own in value.logits.items():
        by_stage[name.partition(".")[0]] += [1 / (1 + np.exp(-float(logit))) for logit in own]
    for part in found["parts"]:
        assert part["drop"]["least"] == pytest.approx(min(by_stage[part["part"]]))
        assert part["drop"]["greatest"] == pytest.approx(max(by_stage[part["part"]]))
        assert part["expected_kept"] == pytest.approx(1 - part["drop"]["mean"])
    assert sum(part["channels"] for part in found["parts"]) == 168


def test_a_posterior_of_even_odds_has_the_largest_entropy(nascli, tmp_path):
    even = replace(posterior(), logits={name: np.zeros_like(own) for name, own in posterior().logits.items()})
    found = facts(nascli, tmp_path / "run.safetensors", bytes_of(even))
    assert found["entropy"] == pytest.approx(168 * np.log(2))
    assert found["entropy"] == pytest.approx(found["largest_entropy"])
    sure = replace(posterior(), logits={name: np.full_like(own, -13.8) for name, own in even.logits.items()})
    assert facts(nascli, tmp_path / "sure", bytes_of(sure))["entropy"] < 0.003


def test_text_for_people(nascli, tmp_path):
    chosen = {
        "choice": "ranked",
        "rank": 1,
        "candidates": 200,
        "seed": 2026,
        "number": 17,
        "held_out_accuracy": 0.98125,
    }
    (tmp_path / "cell.json").write_bytes(genotype_file(config=chosen))
    (tmp_path / "run.safetensors").write_bytes(bytes_of(posterior()))
    cell = nascli("info", tmp_path / "cell.json").out
    assert "super-network" in cell
    assert "(ranked: rank 1, candidates 200, seed 2026, number 17, held out accuracy 0.9812)" in cell
    (stage,) = (line.split() for line in cell.splitlines() if line.startswith("stage 1"))
    assert stage[4:7] == ["56.2", "18", "32"]
    lines = nascli("info", tmp_path / "run.safetensors").out.splitlines()
    (heading,) = (line for line in lines if line.startswith("stage  "))
    assert heading.split()[:4] == ["stage", "block", "channels", "kept"]
    assert len([line for line in lines if line.startswith("stage ")]) == 4


@pytest.mark.parametrize(
    ("name", "arguments", "code", "message"),
    [
        ("cell.json", ["--layers", "8"], 2, "--layers size a network of cells; "),
        ("cell.json", ["--layers", "8", "--channels", "3"], 2, "--layers and --channels size a network of cells"),
        ("cell.json", ["--dataset", "cifar01"], 2, "unknown dataset 'cifar01'"),
        ("cell.json", ["--image-size", "2"], 2, "image_size: must be greater than or equal to 4 (got 2)"),
        ("cell.json", ["--num-classes", "-3"], 2, "classes: must be greater than or equal to 1 (got -3)"),
        ("run.safetensors", ["--dataset", "digits"], 2, "{} is a distribution; --dataset, --layers and so on size"),
    ],
)
def test_wrong_questions(name, arguments, code, message, nascli, tmp_path):
    (tmp_path / "cell.json").write_bytes(genotype_file())
    (tmp_path / "run.safetensors").write_bytes(bytes_of(posterior()))
    done = nascli("info", tmp_path / name, *arguments)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"nascli: {message.format(tmp_path / name)}")
    assert done.err.count("\n") == 1
