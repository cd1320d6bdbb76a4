"""What is kept of each convolution is counted right, and what is gone is named."""

import numpy as np
import pytest

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.registry import SUPERNETS
from nascli.visualize.supernets.kept import kind, of_genotype, of_posterior
from tests.visualize.examples import channels, posterior, small_graph


def test_shares_per_source_by_hand() -> None:
    graph = small_graph("densenet121")
    kept = {name: range(sum(conv.sources)) for name, conv in graph.masked.items()}
    sizes = graph.masked["stage0.layer1.conv1"].sources
    assert sizes == (8, 4)
    one = of_genotype(
        ChannelsGenotype.of("densenet121", 4, (2, 2, 2, 2), kept | {"stage0.layer1.conv1": [0, 1, 9, 10, 11]})
    )
    conv = one.convolutions["stage0.layer1.conv1"]
    assert conv.shares == (2 / 8, 3 / 4)
    assert conv.channels == pytest.approx(5)
    assert conv.share == pytest.approx(5 / 12)
    assert one.share() == pytest.approx(1 - 7 / graph.mask_size)


@pytest.mark.parametrize("dropped", ["conv1", "conv2"])
def test_both_convolutions_of_a_dropped_branch_are_gone(dropped: str) -> None:
    """If the second has no inputs, nothing reads the first; if the first has none, the second is a constant."""
    graph = small_graph("resnet-mb")
    kept = {name: range(sum(conv.sources)) for name, conv in graph.masked.items()}
    genotype = ChannelsGenotype.of("resnet-mb", 4, (2, 2, 2), kept | {f"stage1.block1.branch0.{dropped}": []})
    found = of_genotype(genotype)
    assert {name for name, conv in found.convolutions.items() if conv.dead} == {
        "stage1.block1.branch0.conv1",
        "stage1.block1.branch0.conv2",
    }
    assert found.summary[0].endswith(f"{len(kept) - 2} of {len(kept)} convolutions")


def test_nothing_dropped_is_all_kept() -> None:
    graph = small_graph("enas")
    kept = {name: range(sum(conv.sources)) for name, conv in graph.masked.items()}
    found = of_genotype(ChannelsGenotype.of("enas", 4, (2, 2, 2), kept))
    assert found.share() == 1
    assert not any(conv.dead for conv in found.convolutions.values())
    assert "keeps 100.0 %" in found.summary[0]
    assert "100.0 % of the convolutions' weights" in found.summary[0]


@pytest.mark.parametrize("name", SUPERNETS)
def test_shares_add_up_to_the_genotypes(name: str) -> None:
    genotype = channels(name)
    assert of_genotype(genotype).share() == pytest.approx(genotype.kept_share)


def test_candidates_keep_the_expected_share_on_average() -> None:
    artifact = posterior("densenet121", 1)
    masks = np.array([artifact.mask(0, number) for number in range(2000)])
    expected = of_posterior(artifact)
    assert masks.mean() == pytest.approx(expected.share(), abs=0.01)
    for group in artifact.graph.groups:
        share = expected.convolutions[group.conv].shares[group.source]
        assert masks[:, group.start : group.start + group.size].mean() == pytest.approx(share, abs=0.05)


def test_kinds_tell_kernels_apart() -> None:
    resnet = small_graph("resnet50-inflated")
    assert [kind(resnet, f"stage0.block0.conv2.kernel{number}") for number in range(4)] == [
        "1×1",
        "3×3",
        "3×3 dilated by 2",
        "5×5 dilated by 2",
    ]
    enas = small_graph("enas")
    assert {kind(enas, name) for name in enas.masked} == {"1×1", "sep 3×3", "sep 5×5"}
