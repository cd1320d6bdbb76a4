"""Reads files of tensors as torch's tensors, and prepares torch's tensors for writing."""

from typing import Any

import numpy as np
import torch

from nascli.artifacts.files.tensor_file import RawTensor, decode_raw
from nascli.errors import ArtifactError
from nascli.faults import shorten

_TYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}
_NAMES = {dtype: str(dtype).removeprefix("torch.") for dtype in _TYPES.values()}


def decode(data: bytes, where: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors, on the CPU and of the types that they were written with, and the document. Raises ArtifactError."""
    raw, document = decode_raw(data, where)
    return {name: _tensor(tensor, name, where) for name, tensor in raw.items()}, document


def plain_array(tensor: torch.Tensor) -> tuple[str, tuple[int, ...], np.ndarray[Any, Any]]:
    """The type's name, the shape, and the values in one piece of memory. Raises ValueError for an unknown type."""
    if tensor.dtype not in _NAMES:
        raise ValueError(f"a tensor of type {tensor.dtype} cannot be written")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    array = (plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy()
    return _NAMES[tensor.dtype], tuple(tensor.shape), array


def _tensor(raw: RawTensor, name: str, where: str) -> torch.Tensor:
    if raw.dtype not in _TYPES:
        raise ArtifactError(f"{where}: the tensor {shorten(name)} is of type {raw.dtype}, which cannot be read here")
    if not raw.data:
        return torch.empty(raw.shape, dtype=_TYPES[raw.dtype])
    return torch.frombuffer(raw.data, dtype=_TYPES[raw.dtype]).reshape(raw.shape)
