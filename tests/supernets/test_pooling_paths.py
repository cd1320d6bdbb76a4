"""Stand-ins after poolings: where they are, what they cost, and that they change nothing until they learn."""

import numpy as np
import pytest
import torch

from nascli.core.nn.build import build_network
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.errors import UsageError
from nascli.graphs.operations import AvgPool, DropPath, MaxPool
from nascli.graphs.slim import slim
from nascli.registry import SUPERNETS
from nascli.supernets import stages_of, supernet
from tests.supernets.masks import kept_by, random_mask
from tests.supernets.networks import images, network_of

POOLING = [name for name, row in SUPERNETS.items() if row.pools]


def small(name, side=32, *, depth=1, pooling_paths=True):
    """For 5 classes of images of 2 channels, width 4."""
    stages = stages_of(name, depth)
    return supernet(name, 4, stages, classes=5, image_channels=2, image_size=side, pooling_paths=pooling_paths)


def stand_ins(graph):
    return [name for name in graph.masked if name.endswith(".stand_in")]


@pytest.mark.parametrize("width", [36, 72])
def test_the_cells_of_enas_have_one_in_every_branch_that_pools(width):
    """Two in a normal cell, three in a reduction; width² weights each, doubled twice. By hand, 5 cells per stage."""
    name = "enas" if width == 36 else "enas-inflated"
    sizes = {"classes": 10, "image_channels": 3, "image_size": 32}
    plain, graph = (supernet(name, width, (5, 5, 5), **sizes, pooling_paths=flag) for flag in (False, True))
    assert len(stand_ins(graph)) == 15 * 2 + 2 * 3
    weights = 5 * 2 * (width**2 + (2 * width) ** 2 + (4 * width) ** 2) + 3 * ((2 * width) ** 2 + (4 * width) ** 2)
    assert graph.parameters == plain.parameters + weights
    for name in stand_ins(graph):
        assert isinstance(graph.by_name[graph.by_name[name].inputs[0]].op, AvgPool | MaxPool)
        (reader,) = graph.readers[name]
        assert isinstance(graph.by_name[reader].op, DropPath)


def test_densenet_has_one_after_the_stem_and_each_transition():
    sizes = {"classes": 1000, "image_channels": 3, "image_size": 224}
    graph = supernet("densenet121", 32, (6, 12, 24, 16), **sizes, pooling_paths=True)
    assert stand_ins(graph) == ["stem.stand_in", *(f"stage{stage}.transition.stand_in" for stage in (1, 2, 3))]
    assert graph.parameters == 7_978_856 + 64**2 + 128**2 + 256**2 + 512**2
    for name, count in zip(stand_ins(graph), (6, 12, 24, 16), strict=True):
        assert len(graph.readers[name]) >= count  # its stage's layers, and what comes after them


@pytest.mark.parametrize("name", [name for name in SUPERNETS if name not in POOLING])
def test_others_have_none(name):
    with pytest.raises(UsageError, match=f"no branch of {name} pools, .*; enas, enas-inflated, densenet121 have them"):
        small(name)


@pytest.mark.parametrize("name", ["enas", "densenet121"])
@pytest.mark.parametrize("training", [True, False])
def test_a_network_starts_as_the_plain_one_of_the_same_seed(name, training):
    graph, plain = small(name), small(name, pooling_paths=False)
    networks = [build_network(each, seed=3).train(training) for each in (graph, plain)]
    theirs = networks[1].state_dict()
    assert all(torch.equal(theirs[name], own) for name, own in networks[0].state_dict().items() if name in theirs)
    batch = images(graph, 4).float()
    masks = torch.ones(1, graph.mask_size)
    with torch.no_grad():
        assert torch.equal(networks[0](batch, masks=masks), networks[1](batch))
        assert networks[0](batch).std() > 0.01


@pytest.mark.parametrize("name", ["enas", "densenet121"])
def test_slim_networks_are_exact(name):
    """In double precision, with whole convolutions and sources dropped."""
    graph = small(name, 33, depth=2 if name == "densenet121" else 1)
    whole, batch = network_of(graph), images(graph, 2)
    for number in range(3):
        assert_exact(whole, random_mask(graph, number, drop=0.2, drop_whole=0.2 * (number + 0.5)), batch)


def test_a_dropped_branch_takes_its_pooling_with_it():
    """A stand-in of each kind of branch without a channel; then those of both branches that read one pooling."""
    graph = small("enas")
    whole, batch = network_of(graph), images(graph, 2)
    for name in stand_ins(graph)[1:4]:
        left = assert_exact(whole, without(graph, name), batch)
        assert name not in left.by_name
        (pooling,) = graph.by_name[name].inputs
        assert (pooling in left.by_name) == (len(graph.readers[pooling]) == 2)
    pair = graph.readers["stage0.cell0.states.0.avg_pool_3x3.pool"]
    assert len(pair) == 2
    assert "stage0.cell0.states.0.avg_pool_3x3.pool" not in assert_exact(whole, without(graph, *pair), batch).by_name


def without(graph, *names):
    mask = np.ones(graph.mask_size, np.bool_)
    for name in names:
        entries = graph.mask_ranges[name]
        mask[entries.start : entries.stop] = False
    return mask


def assert_exact(whole, mask, batch):
    left = slim(whole.graph, kept_by(whole.graph, mask))
    network = GraphNetwork(left.graph).double().eval()
    row = torch.from_numpy(mask[None].astype(np.float64))
    inherit(network, left, whole, row)
    with torch.no_grad():
        torch.testing.assert_close(network(batch), whole(batch, masks=row), rtol=0, atol=1e-9)
    return left.graph


def test_what_is_left_of_a_stand_in_starts_as_what_is_left_of_the_identity():
    """Inputs 0 and 2 of four are kept; of the outputs those that a sum reads, all four."""
    graph = small("enas")
    name = stand_ins(graph)[0]
    kept = {conv: [*range(sum(op.sources))] for conv, op in graph.masked.items()} | {name: [0, 2]}
    weight = build_network(slim(graph, kept).graph, seed=0).get_parameter(f"{name}.weight")
    assert weight[:, :, 0, 0].tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]
