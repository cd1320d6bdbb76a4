"""A network as an ONNX file. Needs the packages of the extra `nascli[export]`."""

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from nascli.errors import NascliError, UsageError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "images", "logits"
LARGEST = (1 << 31) - 1
"""The most bytes of a file of protobuf."""


def check_packages() -> None:
    """Raise UsageError where a package is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(f"an export to ONNX needs {', '.join(missing)}: pip install 'nascli[export]'")


def onnx_bytes(program: ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """The program as ONNX, with the facts in `metadata_props`: texts as they are, all else as JSON.

    Raises NascliError for a network too large for one file.
    """
    made = torch.onnx.export(program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False)
    assert made is not None
    proto = made.model_proto
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
        del value.metadata_props[:]
    for part in (*proto.graph.node, *proto.graph.initializer, *proto.graph.value_info):
        del part.metadata_props[:]  # of the code that it comes from
    for part in proto.graph.value_info:
        dims = part.type.tensor_type.shape.dim
        if dims and dims[0].dim_param:
            dims[0].dim_param = "batch"
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    for name, fact in facts.items():
        text = fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
        proto.metadata_props.add(key=name, value=text)
    if proto.ByteSize() > LARGEST:
        raise NascliError("the network has more than 2 GiB, too much for an ONNX file: export it to a .pt2")
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def runtime_of(content: bytes) -> Callable[[Tensor], Any]:
    """The network in the bytes of a file, as onnxruntime runs it."""
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images.numpy()})[0]
