"""The maps that a detector reads of any network, and what the detector costs."""

from itertools import pairwise

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.detector import DetectorSettings, layout_of
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.published import load
from nascli.artifacts.load import load_artifact
from nascli.core.nn.build import build_network
from nascli.core.nn.detector import build_detector
from nascli.core.nn.graph_network import GraphModules
from nascli.graphs.builder import Builder
from nascli.graphs.detector import DetectorLayout
from nascli.graphs.graph import Shape
from nascli.graphs.taps import Backbone, backbone
from nascli.registry import SUPERNETS
from nascli.spaces.network_settings import DataShape, NetworkSettings
from nascli.supernets import stages_of, supernet

CONVS = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
SETTINGS = DetectorSettings(extra_channels=16, anchor_min=0.2, anchor_max=0.9)


def cells(name, stem, *, layers=6, side=64, channels=4, classes=3):
    genotype = load_artifact(name).value.genotype
    settings = NetworkSettings(
        classes=classes, image_channels=3, image_size=side, layers=layers, channels=channels, stem=stem
    )
    return genotype, settings, genotype.graph(settings)


def channels_kept(name):
    """A super-network, and the smaller one in which every convolution keeps its first half."""
    whole = supernet(name, 8, stages_of(name, 1), classes=3, image_channels=3, image_size=64)
    kept = {conv: range(-(-sum(op.sources) // 2)) for conv, op in whole.masked.items()}
    genotype = ChannelsGenotype.of(name, 8, stages_of(name, 1), kept)
    return whole, genotype.graph(DataShape(classes=3, image_channels=3, image_size=64))


# The widest map at stride 16 of a DARTS network has the four nodes of its cells, of twice the channels of the first.
@pytest.mark.parametrize(
    ("name", "stem", "strides", "channels", "taps"),
    [
        ("darts-v2", "imagenet", (16, 32), (4 * 8, 4 * 16), ("cells.3.relu", "cells.5.concat")),
        ("darts-v2", "cifar", (2, 4), (4 * 8, 4 * 16), ("cells.3.relu", "cells.5.concat")),
        ("pc-darts-imagenet", "imagenet", (16, 32), (4 * 8, 4 * 16), ("cells.3.relu", "cells.5.concat")),
        (CONVS, "imagenet", (16, 32), (8, 16), ("cells.3.nodes.3.relu", "relu")),
        (CONVS, "cifar", (2, 4), (8, 16), ("cells.3.nodes.3.relu", "relu")),
    ],
)
def test_the_taps_of_networks_of_cells(name, stem, strides, channels, taps):
    found = backbone(cells(name, stem)[2])
    assert found.strides == strides
    assert found.taps == taps
    assert [found.graph.shapes[tap].channels for tap in taps] == list(channels)
    assert ("16 and 32" in found.notice) == (stem == "cifar")


@pytest.mark.parametrize("name", SUPERNETS)
def test_the_taps_of_super_networks_and_of_those_cut_from_them(name):
    strides = (16, 32) if SUPERNETS[name].stride == 32 else (2, 4)
    for graph in channels_kept(name):
        found = backbone(graph)
        assert found.strides == strides
        assert "classifier" not in found.graph.by_name


def test_maps_have_the_strides_that_are_said_and_the_values_of_the_whole_network():
    side = 75
    graph = cells("darts-v2", "imagenet", side=side, layers=3)[2]
    found = backbone(graph)
    whole = build_network(graph, seed=0).eval()
    part = GraphModules(found.graph).eval()
    part.load_state_dict({name: value for name, value in whole.state_dict().items() if name in part.state_dict()})
    assert len(part.state_dict()) == len(whole.state_dict()) - 2  # without the classifier
    images = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        wanted = whole.values(images, found.taps)
        values = part.run(found.graph.steps(found.taps), {"image": images}, keep=found.taps)
    for tap, stride in zip(found.taps, found.strides, strict=True):
        assert values[tap].shape[-1] == -(-side // stride)
        torch.testing.assert_close(values[tap], wanted[tap])


def test_maps_of_strides_16_and_32_are_taken_where_there_is_a_coarser_one():
    build = Builder(1, 128)
    last = "image"
    for stride, times in ((8, 8), (16, 2), (32, 2), (64, 2)):
        last = build.unmasked_conv(f"at{stride}", last, 4, 3, stride=times)
    build.classify(last, 3)
    found = backbone(build.graph())
    assert (found.strides, found.taps, found.notice) == ((16, 32), ("at16", "at32"), "")
    assert "at64" not in found.graph.by_name


def test_what_cannot_be_a_backbone():
    build = Builder(3, 16)
    build.classify(build.norm("norm", build.unmasked_conv("conv", "image", 4, 3)), 2)
    with pytest.raises(ValueError, match="one resolution"):
        backbone(build.graph())
    genotype, settings, _ = cells("darts-v2", "cifar", side=4)
    layout_of(genotype, settings, SETTINGS)  # maps of 2 and 1 pixels
    build = Builder(3, 2)
    first = build.unmasked_conv("first", "image", 4, 3, stride=2)
    build.classify(build.unmasked_conv("second", first, 4, 3, stride=2), 2)
    with pytest.raises(ValueError, match="one (pixel|resolution)"):
        backbone(build.graph())


def test_the_costs_of_head_and_smaller_maps_by_hand():
    build = Builder(1, 64)
    fine = build.unmasked_conv("fine", "image", 6, 3, stride=16)
    coarse = build.unmasked_conv("coarse", fine, 10, 3, stride=2)
    build.classify(coarse, 3)
    found = backbone(build.graph())
    assert found == Backbone(found.graph, ("fine", "coarse"), (16, 32))
    layout = DetectorLayout(found, classes=3, extra_channels=8)
    assert layout.maps == (Shape(6, 4), Shape(10, 2), Shape(8, 1))
    assert layout.default_boxes == 6 * (16 + 4 + 1)
    body = 1 * 6 * 9 * 16 + 6 * 10 * 9 * 4
    # 1x1 from 10 to 4 on 2x2; depthwise 3x3 to 1x1; 1x1 from 4 to 8
    extra = 10 * 4 * 4 + 4 * 9 + 4 * 8
    # On each map: twice a depthwise 3x3, a 1x1 to 6 boxes of 4 classes (one is the background), one to 6 of 4 numbers.
    heads = 16 * 6 * (2 * 9 + 24 + 24) + 4 * 10 * (2 * 9 + 24 + 24) + 1 * 8 * (2 * 1 + 24 + 24)
    assert found.graph.multiply_adds == body
    assert layout.size.multiply_adds == body + extra + heads


@pytest.mark.parametrize(("name", "stem"), [("darts-v2", "imagenet"), (CONVS, "imagenet")])
def test_the_size_is_that_of_the_network_that_is_built(name, stem):
    genotype, settings, _ = cells(name, stem, side=96)
    layout = layout_of(genotype, settings, SETTINGS)
    data = DataInfo(
        dataset="coco",
        classes=("a", "b", "c"),
        channels=3,
        image_size=96,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        train_images=1,
        test_images=1,
        fingerprint="",
    )
    network = build_detector(layout, SETTINGS, data, seed=0).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == layout.size.parameters
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        maps = list(network.backbone(torch.zeros(1, 3, 96, 96)).values())
        answers = network.head(maps)
    # torch counts the taps of a 3x3 that see nothing but padding, as on maps of one pixel: 8 of 9, twice for each head.
    assert [one.shape[1:] for one in maps] == [(one.channels, one.side, one.side) for one in layout.maps]
    padding = sum(2 * 8 * one.channels for one in layout.maps if one.side == 1)
    body = layout.backbone.graph
    # The same for dilated and large kernels in the backbone, which `Graph.sizes` is tested for.
    with torch.inference_mode(), FlopCounterMode(display=False) as own:
        network.backbone.body.run(body.steps(layout.backbone.taps), {"image": torch.zeros(1, 3, 96, 96)})
    behind = layout.size.multiply_adds - body.multiply_adds
    assert counter.get_total_flops() // 2 - own.get_total_flops() // 2 == behind + padding
    assert answers["cls_logits"].shape == (1, layout.default_boxes, 4)


def test_the_published_network_on_coco():
    """PC-DARTS, Table 5: 1.2 G multiply-adds at 320 x 320. The backbone alone has them; see the README."""
    genotype = load("pc-darts-imagenet").genotype
    settings = NetworkSettings(classes=80, image_channels=3, image_size=320, layers=14, channels=48, stem="imagenet")
    layout = layout_of(genotype, settings, DetectorSettings(extra_channels=512, anchor_min=0.2, anchor_max=0.95))
    assert [one.side for one in layout.maps] == [20, 10, 5, 3, 2, 1]
    assert layout.default_boxes == 6 * (400 + 100 + 25 + 9 + 4 + 1)
    assert round(layout.backbone.graph.multiply_adds / 1e9, 1) == 1.2
    # Sandler et al., Section 6.2: 512, 256, 256 and 128 channels behind a backbone of 8 x 48 and 16 x 48.
    channels = [384, 768, 512, 256, 256, 128]
    assert [one.channels for one in layout.maps] == channels
    extras = 0
    for (before, side), (after, smaller) in pairwise(zip(channels[1:], (10, 5, 3, 2, 1), strict=True)):
        inner = after // 2
        extras += before * inner * side**2 + inner * 9 * smaller**2 + inner * after * smaller**2
    # Twice a depthwise 3x3, of which one tap sees a map of one pixel; 1x1 to 6 boxes of 81 classes and of 4 numbers.
    heads = sum(
        one.channels * one.side**2 * (2 * min(9, (2 * one.side - 1) ** 2) + 6 * 81 + 6 * 4) for one in layout.maps
    )
    # Hooks on all convolutions of the built detector count 1,185,427,200 and, 2 x 8 x 128 on padding, 155,678,144.
    assert layout.backbone.graph.multiply_adds == 1_185_427_200
    assert extras + heads == 155_678_144 - 2 * 8 * 128
    assert layout.size.multiply_adds == 1_341_103_296
