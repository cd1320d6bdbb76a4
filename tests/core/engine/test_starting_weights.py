"""Training that starts from the weights of a search: where it starts, and which files are refused."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

import nascli
from nascli.artifacts.load import LoadedArtifact, load_artifact, read_artifact
from nascli.core.engine.sizing import derived_network, shape_of
from nascli.core.engine.starting_weights import check_data, inherited_weights
from nascli.core.engine.train import TrainJob
from nascli.core.nn.graph_modules import ConstantMaps
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.errors import UsageError
from tests.artifacts.examples import bytes_of, mixture
from tests.core.engine.kept import digits, genotype_file, mask_of, masked, run_file

CPU = Runtime(torch.device("cpu"))
SMALL = {"dataset": "digits", "limit_train": 120, "epochs": 3, "batch_size": 25, "method": "pgnas"}


def config(**given) -> nascli.TrainConfig:
    return nascli.TrainConfig(**{**SMALL, "weights": "inherited", **given})


def job(run: LoadedArtifact, genotype: LoadedArtifact, **given) -> TrainJob:
    settled = config(**given)
    data = open_data(settled, device=CPU.device)
    found = genotype.value.genotype
    settings, graph = derived_network(found, settled, shape_of(data.info))
    return TrainJob(found, graph, settings, settled, data, CPU, inherited_weights(genotype, run, settled))


@pytest.fixture(scope="module")
def run() -> LoadedArtifact:
    return run_file(digits(limit_train=120))


@pytest.fixture(scope="module")
def genotype(run) -> LoadedArtifact:
    return genotype_file(run, mask_of(run))


def test_a_training_starts_where_the_masked_super_network_stands(run, genotype):
    begun = job(run, genotype, validation=0.4)
    batches = begun._data.batches(begun._held_out, 100)
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    logits = masked(run, images, mask_of(run))
    metrics = begun.epoch_metrics()
    assert metrics["validation_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-5)
    assert metrics["validation_accuracy"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    # The mask matters here: with everything kept the loss is another one.
    whole = masked(run, images, mask_of(run) | True)
    assert abs(F.cross_entropy(whole, labels).item() - metrics["validation_loss"]) > 0.01


def test_what_is_left_of_an_empty_branch_is_trained_too(run, genotype):
    begun = job(run, genotype)
    modules = begun.network.named_modules()
    constants = {name: module.value.detach().clone() for name, module in modules if isinstance(module, ConstantMaps)}
    assert constants
    assert all(value.abs().max() > 0 for value in constants.values())
    begun.step()
    for name, before in constants.items():
        assert (begun.network.get_submodule(name).value != before).any(), name


def test_the_seed_decides_the_tower_alone(run):
    data = digits(limit_train=50, image_size=32)
    large = run_file(data, "enas")
    found = genotype_file(large, mask_of(large))
    given = {"space": "enas", "image_size": 32, "limit_train": 50, "auxiliary": 0.4}
    one, other = (job(large, found, seed=seed, **given).network.state_dict() for seed in (0, 1))
    different = {name.partition(".")[0] for name in one if not torch.equal(one[name], other[name])}
    assert different == {"auxiliary"}


def test_the_run_itself_and_nothing_else_is_taken(run, genotype):
    inherited_weights(genotype, run, config())
    inherited_weights(genotype, None, config(weights="fresh"))
    with pytest.raises(UsageError, match=r"cell\.json was derived from another run .*run\.safetensors"):
        inherited_weights(genotype, run_file(run.value.distribution.data, seed=1), config())
    wide = run_file(run.value.distribution.data, width=5)
    with pytest.raises(UsageError, match="has weights of resnet-mb of width 5 .*cut from resnet-mb of width 4"):
        inherited_weights(genotype, wide, config())
    orphan = dataclasses.replace(
        genotype,
        value=genotype.value.model_copy(
            update={"provenance": genotype.provenance.model_copy(update={"made_from": None})}
        ),
    )
    with pytest.raises(UsageError, match="does not say which run"):
        inherited_weights(orphan, run, config())
    with pytest.raises(UsageError, match="cells, which inherit no weights"):
        inherited_weights(load_artifact("darts-v1"), run, config())
    with pytest.raises(UsageError, match="is a mixture and holds no weights"):
        inherited_weights(genotype, read_artifact(bytes_of(mixture()), "mixed.safetensors"), config())


def test_configuration_and_files_must_say_the_same(run, genotype):
    with pytest.raises(UsageError, match=r"or the run \([0-9a-f]{12}\) that cell.json was derived from, with --from"):
        inherited_weights(genotype, None, config())
    with pytest.raises(UsageError, match="wants fresh ones"):
        inherited_weights(genotype, run, config(weights="fresh"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 9}, "are for images of 1x8x8, not of 1x9x9"),
        ({"channels": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}, "not of 3x8x8"),
        ({"classes": tuple("abcdefghij")}, "are for the 10 classes of digits"),
    ],
)
def test_images_of_another_kind_are_refused(run, genotype, changes, message):
    data = run.value.distribution.data
    inherited = inherited_weights(genotype, run, config())
    check_data(inherited, data)
    with pytest.raises(UsageError, match=message):
        check_data(inherited, data.model_copy(update=changes))
