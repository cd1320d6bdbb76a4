"""Named tensors and one JSON document in a safetensors file, whose every bit is checked when it is read.

The document lies as text under the key "nascli" of the file's metadata. Its first entry, "sha256", is the digest of the
whole file with that digest's own digits set to zero, so that a change of any bit is found.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, TensorSpec, deserialize, serialize

from nascli.artifacts import strict_json
from nascli.errors import ArtifactError
from nascli.faults import shorten

if TYPE_CHECKING:
    import torch

METADATA_KEY = "nascli"
DIGEST_KEY = "sha256"
LARGEST_HEADER = 1 << 26
"""Bytes of names, shapes and document, 64 MiB: some hundred thousand tensors."""

_LENGTH_BYTES = 8
_NO_DIGEST = b"0" * 64
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


@dataclass(frozen=True)
class RawTensor:
    """A tensor as the file has it: safetensors' name of the type, the shape, the bytes (little-endian, row by row)."""

    dtype: str
    shape: tuple[int, ...]
    data: bytearray


def encode(tensors: "Mapping[str, np.ndarray[Any, Any] | torch.Tensor]", document: Mapping[str, Any]) -> bytes:
    """The bytes of a file with these tensors and this JSON document; the same for the same content.

    Raises ValueError for a type that safetensors lacks, or a document with NaN in it.
    """
    if DIGEST_KEY in document:
        raise ValueError(f"the document's key {DIGEST_KEY!r} is taken by the digest")
    text = strict_json.compact({DIGEST_KEY: _NO_DIGEST.decode(), **document})
    # The arrays must live until `serialize` has read them through the specs' addresses.
    arrays = {name: _plain_array(tensor) for name, tensor in tensors.items()}
    specs = {
        name: TensorSpec(dtype=dtype, shape=shape, data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, (dtype, shape, array) in arrays.items()
    }
    try:
        file = bytearray(serialize(specs, {METADATA_KEY: text}))
    except SafetensorError as error:
        raise ValueError(f"the tensors cannot be written: {error}") from None
    position = file.index(_NO_DIGEST)
    file[position : position + len(_NO_DIGEST)] = hashlib.sha256(file).hexdigest().encode()
    return bytes(file)


def decode(data: bytes, where: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """The tensors, by name in alphabetical order, and the document of a file.

    bfloat16, which numpy lacks, comes as float32 of the same values.
    Raises ArtifactError for anything but an intact file of nascli.
    """
    raw, document = decode_raw(data, where)
    return {name: _array(tensor, name, where) for name, tensor in raw.items()}, document


def decode_raw(data: bytes, where: str) -> tuple[dict[str, RawTensor], dict[str, Any]]:
    """The tensors as bytes, and the document. Raises ArtifactError for anything but an intact file of nascli."""
    header, end = _header(data, where)
    document = _document(header, where)
    missing = end + _tensor_bytes(header) - len(data)
    if missing > 0:
        raise ArtifactError(f"{where}: is cut short: {missing:,} of {len(data) + missing:,} bytes are missing")
    digest = document.pop(DIGEST_KEY, None)
    if digest != _digest_without_itself(data, end, digest):
        raise ArtifactError(f"{where}: is damaged: its content doesn't match its checksum. Make or copy it again")
    try:
        views: list[tuple[str, dict[str, Any]]] = deserialize(data)  # type: ignore[no-untyped-call]
    except (SafetensorError, ValueError, OverflowError, MemoryError) as error:
        raise ArtifactError(f"{where}: is not a valid safetensors file: {error}") from None
    # safetensors returns them in an order that changes from call to call.
    views.sort(key=lambda pair: pair[0])
    tensors = {name: RawTensor(view["dtype"], tuple(view["shape"]), view["data"]) for name, view in views}
    return tensors, document


def read_document(path: str | Path) -> dict[str, Any]:
    """The document alone: of a large file, only the beginning is read, so the digest is not checked.

    Raises ArtifactError.
    """
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(_LENGTH_BYTES)
            header, _ = _header(start + stream.read(_header_length(start, str(path))), str(path))
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from None
    document = _document(header, str(path))
    document.pop(DIGEST_KEY, None)
    return document


def looks_like_safetensors(data: bytes) -> bool:
    """Whether a file begins as safetensors does: a length of a plausible size, then an object of JSON."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    return len(data) > _LENGTH_BYTES and length <= LARGEST_HEADER and data[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{"


def _header_length(data: bytes, where: str) -> int:
    if not data:
        raise ArtifactError(f"{where}: is empty")
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length > LARGEST_HEADER:
        raise ArtifactError(f"{where}: is not a safetensors file, or cut short")
    return length


def _header(data: bytes, where: str) -> tuple[dict[str, Any], int]:
    """The file's header and the position where it ends."""
    end = _LENGTH_BYTES + _header_length(data, where)
    if end > len(data):
        raise ArtifactError(
            f"{where}: is cut short: its header alone has {end:,} bytes, but only {len(data):,} are there"
        )
    place = f"{where}: header"
    return strict_json.parse(strict_json.text(data[_LENGTH_BYTES:end], place), place), end


def _document(header: dict[str, Any], where: str) -> dict[str, Any]:
    metadata = header.get("__metadata__")
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ArtifactError(f"{where}: is a safetensors file, but not one that nascli wrote")
    return strict_json.parse(text, f"{where}: document")


def _tensor_bytes(header: dict[str, Any]) -> int:
    """Where the last tensor ends; 0 where the header is nonsense, which `deserialize` will say."""
    ends = [
        entry["data_offsets"][-1]
        for name, entry in header.items()
        if name != "__metadata__" and isinstance(entry, dict) and isinstance(entry.get("data_offsets"), list)
        if entry["data_offsets"] and isinstance(entry["data_offsets"][-1], int)
    ]
    return max(ends, default=0)


def _digest_without_itself(data: bytes, header_end: int, digest: object) -> str:
    """The sha256 of the file with the digits of `digest`, which is in its header, set to zero."""
    view = memoryview(data)
    position = data.find(str(digest).encode("utf-8", "replace"), 0, header_end) if isinstance(digest, str) else -1
    if position < 0 or len(str(digest)) != len(_NO_DIGEST):
        return ""
    whole = hashlib.sha256(view[:position])
    whole.update(_NO_DIGEST)
    whole.update(view[position + len(_NO_DIGEST) :])
    return whole.hexdigest()


def _plain_array(tensor: "np.ndarray[Any, Any] | torch.Tensor") -> tuple[str, tuple[int, ...], np.ndarray[Any, Any]]:
    """A tensor's type, its shape, and its values as a little-endian array in one piece."""
    if not isinstance(tensor, np.ndarray):
        from nascli.artifacts import torch_tensors

        return torch_tensors.plain_array(tensor)
    if tensor.dtype.name not in {np.dtype(known).name for known in _NUMPY_TYPES.values()}:
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
