from dataclasses import replace

import pytest

from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import LoadedArtifact, load_artifact, read_artifact
from nascli.artifacts.model import model_bytes
from nascli.cli.options.of_file import inherited, inherited_by_all
from nascli.errors import UsageError
from tests.artifacts.examples import bytes_of, channels_genotype, channels_model_file, posterior, provenance


def cell(name: str, method: str, **config) -> LoadedArtifact:
    """A genotype that `method` found with `config`."""
    loaded = load_artifact("darts-v1")
    provenance = loaded.provenance.model_copy(update={"method": method, "config": config})
    return LoadedArtifact(loaded.value.model_copy(update={"provenance": provenance}), loaded.sha256, name)


A = cell("a", "darts", dataset="digits", skip_corrupt=False)
B = cell("b", "darts", dataset="digits", skip_corrupt=False, image_size=16)
C = cell("c", "darts", dataset="cifar10", skip_corrupt=True, data_dir="pictures")
D = cell("d", "pc-darts")


def test_one_file_passes_on_what_it_has():
    assert inherited_by_all([C], {}) == {
        "method": "darts",
        "dataset": "cifar10",
        "skip_corrupt": True,
        "data_dir": "pictures",
        "space": "darts",
    }


def test_a_file_without_images_goes_along_with_those_that_have_some():
    published = cell("p", "darts")
    for cells in ([published, C], [C, published], [C, C]):
        assert inherited_by_all(cells, {}) == inherited_by_all([C], {})


@pytest.mark.parametrize(
    ("cells", "given", "message"),
    [
        ([A, D], {}, "a comes with method 'darts', d with 'pc-darts': say with --method"),
        ([A, C], {}, "a comes with dataset 'digits', c with 'cifar10': say with --dataset"),
        ([A, B], {}, "a comes with image_size None, b with 16: say with --image-size"),
        ([B, A], {}, "b comes with image_size 16, a with None: say with --image-size"),
        ([cell("p", "darts"), A, C], {}, "a comes with dataset 'digits', c with 'cifar10'"),
        ([C, D], {"dataset": "digits"}, "c comes with method 'darts', d with 'pc-darts'"),
    ],
)
def test_files_that_disagree_ask_to_be_told(cells, given, message):
    with pytest.raises(UsageError) as caught:
        inherited_by_all(cells, given)
    assert message in str(caught.value)


def test_what_is_given_needs_no_agreement():
    assert inherited_by_all([A, D], {"method": "darts"})["dataset"] == "digits"
    assert inherited_by_all([A, B], {"image_size": 32})["dataset"] == "digits"
    # The pictures of another data set are not those that are given.
    assert inherited_by_all([C, A], {"dataset": "digits"}) == {
        "method": "darts",
        "dataset": "digits",
        "skip_corrupt": False,
        "space": "darts",
    }


SEARCH = {"dataset": "digits", "limit_train": 500, "image_size": 8, "settings": {"held_out": 0.2}}


def run() -> LoadedArtifact:
    """A posterior with the search that made it."""
    return read_artifact(bytes_of(posterior(), seed=9, config=SEARCH), "run")


def derived(supernet: str = "resnet-mb") -> LoadedArtifact:
    """A genotype of channels that was chosen from it."""
    origin = provenance(stage="derive", method="pgnas", config={"choice": "ranked"}, made_from=run().ancestor())
    file = GenotypeFile(genotype=channels_genotype(), provenance=origin)
    return read_artifact(genotype_bytes(file).replace(b"resnet-mb", supernet.encode()), supernet)


IMAGES = {"method": "pgnas", "dataset": "digits", "image_size": 8}


def test_a_posterior_passes_on_its_network_and_the_images_that_it_held_out():
    network = {"space": "resnet-mb", "width": 4, "depth": 1, "pooling_paths": False, "noise": "dropout"}
    assert inherited(run(), {}) == IMAGES | network | {"held_out": 0.2, "seed": 9, "limit_train": 500}
    # Of other images neither their whereabouts nor their number count.
    assert inherited(run(), {"dataset": "cifar10"}) == network | {"method": "pgnas", "held_out": 0.2, "seed": 9}


def test_what_another_method_has_no_setting_for_is_left_out():
    assert inherited(run(), {"method": "pc-darts"}).keys() & {"space", "width", "depth", "held_out"} == set()


def test_a_genotype_of_channels_passes_on_whose_recipe_counts():
    assert inherited(derived(), {}) == IMAGES | {"space": "resnet-mb"}
    with pytest.raises(
        UsageError, match="resnet-mb-inflated with 'resnet-mb-inflated': train them one after the other"
    ):
        inherited_by_all([derived(), derived("resnet-mb-inflated")], {})
    assert inherited_by_all([derived(), derived("resnet-mb-inflated")], {"space": "enas"})["dataset"] == "digits"


def test_a_model_without_training_passes_on_the_images_of_the_search_behind_it():
    origin = provenance(stage="derive", method="pgnas", config={"choice": "ranked"}, made_from=run().ancestor())
    model = read_artifact(model_bytes(replace(channels_model_file(), provenance=origin)), "model")
    assert inherited(model, {}) == IMAGES
