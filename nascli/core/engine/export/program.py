"""A network as a program of torch.export, and its file."""

import io
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from nascli.core.engine.export.metadata import FILE

_WHERE_FROM = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")
"""What torch notes on every operator about the code that it comes from, paths on this machine included."""


def program_of(network: nn.Module, images: Tensor) -> ExportedProgram:
    """The operators of a network for batches of any size. images: two or more like those that it will get."""
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program = torch.export.export(network, (images[:2],), dynamic_shapes={"images": {0: batch}})
    for node in program.graph.nodes:
        for key in _WHERE_FROM:
            node.meta.pop(key, None)
    return program


def pt2_bytes(program: ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """The program's file, with the facts in its extra file `nascli.json`."""
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={FILE: json.dumps(facts, ensure_ascii=False, indent=1)})
    return stream.getvalue()


def load_pt2(content: bytes) -> nn.Module:
    """The program in the bytes of its file."""
    return torch.export.load(io.BytesIO(content)).module()
