"""Reads files of tensors as numpy's arrays, and writes them from numpy's arrays or torch's tensors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import TensorSpec

from nascli.artifacts.files.tensor_file import RawTensor, decode_raw, encode_raw
from nascli.errors import ArtifactError
from nascli.faults import shorten

if TYPE_CHECKING:
    import torch

_NUMPY_TYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "U64": np.uint64,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "C64": np.complex64,
}
_NUMPY_NAMES = frozenset(np.dtype(known).name for known in _NUMPY_TYPES.values())


def encode(tensors: "Mapping[str, np.ndarray[Any, Any] | torch.Tensor]", document: Mapping[str, Any]) -> bytes:
    """The bytes of a file with these tensors and this JSON document; the same for the same content.

    Raises ValueError for a type that safetensors lacks, or a document with NaN in it.
    """
    # The arrays must live until they have been read through the specs' addresses.
    arrays = {name: _plain_array(tensor) for name, tensor in tensors.items()}
    specs = {
        name: TensorSpec(dtype=dtype, shape=shape, data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, (dtype, shape, array) in arrays.items()
    }
    return encode_raw(specs, document)


def decode(data: bytes, where: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """The tensors, by name in alphabetical order, and the document of a file.

    bfloat16, which numpy lacks, becomes float32 with the same values. Raises ArtifactError for anything but an intact
    file of nascli.
    """
    raw, document = decode_raw(data, where)
    return {name: _array(tensor, name, where) for name, tensor in raw.items()}, document


def _plain_array(tensor: "np.ndarray[Any, Any] | torch.Tensor") -> tuple[str, tuple[int, ...], np.ndarray[Any, Any]]:
    """A tensor's type, its shape, and its values as a little-endian array in one piece."""
    if not isinstance(tensor, np.ndarray):
        from nascli.artifacts.files import torch_tensors

        return torch_tensors.plain_array(tensor)
    if tensor.dtype.name not in _NUMPY_NAMES:
        raise ValueError(f"an array of type {tensor.dtype} cannot be written")
    return tensor.dtype.name, tensor.shape, np.ascontiguousarray(tensor, dtype=tensor.dtype.newbyteorder("<"))


def _array(tensor: RawTensor, name: str, where: str) -> np.ndarray[Any, Any]:
    try:
        if tensor.dtype == "BF16":
            # bfloat16 is the upper half of a float32.
            upper = np.frombuffer(tensor.data, dtype="<u2").astype(np.uint32)
            return (upper << 16).view(np.float32).reshape(tensor.shape)
        if tensor.dtype not in _NUMPY_TYPES:
            raise ArtifactError(
                f"{where}: the tensor {shorten(name)} is of type {tensor.dtype}, which cannot be read here"
            )
        dtype = np.dtype(_NUMPY_TYPES[tensor.dtype]).newbyteorder("<")
        return np.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape)
    except (ValueError, OverflowError) as error:
        raise ArtifactError(f"{where}: the tensor {shorten(name)} cannot be read: {error}") from None
