import pytest

from nascli.artifacts.load import LoadedArtifact, load_artifact
from nascli.cli.inherit import inherited_by_all
from nascli.errors import UsageError


def cell(name: str, method: str, **config) -> LoadedArtifact:
    """A genotype that `method` found with `config`."""
    loaded = load_artifact("darts-v1")
    provenance = loaded.provenance.model_copy(update={"method": method, "config": config})
    return LoadedArtifact("genotype", loaded.value.model_copy(update={"provenance": provenance}), loaded.sha256, name)


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
    }
