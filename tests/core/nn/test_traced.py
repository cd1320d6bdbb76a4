"""Trained networks are recorded by torch.jit.trace and by torch.onnx's older exporter as torch's operators alone."""

import io

import pytest
import torch

from nascli.artifacts.genotypes.genotype import parse_genotype
from nascli.core.nn.graph_network import TrainedNetwork
from nascli.graphs.slim import slim
from nascli.spaces.network_settings import NetworkSettings
from nascli.supernets import supernet
from tests.supernets.masks import kept_by, random_mask

SIZE = NetworkSettings(layers=3, channels=3, stem="cifar", classes=4, image_channels=2, image_size=8)

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's tracing warns of itself


def cells():
    picks = "[('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 1)]"
    cell = f"Genotype(normal={picks}, normal_concat=[2, 3], reduce={picks}, reduce_concat=[2, 3])"
    return parse_genotype(cell.encode(), "here").genotype.graph(SIZE)


def channels():
    whole = supernet("resnet-mb", 4, (1, 1, 1), classes=4, image_channels=2, image_size=8)
    return slim(whole, kept_by(whole, random_mask(whole, 1, drop=0.4, drop_whole=0.3))).graph


@pytest.mark.parametrize("graph", [cells, channels])
def test_what_is_traced_has_no_python_in_it_and_answers_alike(graph):
    """With gradients on and in channels-last layout, as `load_network` returns it: there, own functions are used."""
    torch.manual_seed(0)
    network = TrainedNetwork(graph()).eval().to(memory_format=torch.channels_last)
    traced = torch.jit.trace(network, torch.randn(2, 2, 8, 8))
    assert not [node for node in traced.inlined_graph.nodes() if "Python" in node.kind()]
    images = torch.randn(5, 2, 8, 8)
    torch.testing.assert_close(traced(images), network(images))


def test_the_older_exporter_writes_plain_operators():
    onnx = pytest.importorskip("onnx")
    stream = io.BytesIO()
    torch.onnx.export(
        TrainedNetwork(cells()).eval(),
        (torch.randn(2, 2, 8, 8),),
        stream,
        dynamo=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
    )
    nodes = onnx.load_from_string(stream.getvalue()).graph.node
    assert {node.domain for node in nodes} == {""}
    assert {"Conv", "MaxPool", "Gemm"} <= {node.op_type for node in nodes}
