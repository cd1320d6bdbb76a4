"""A safetensors file of named tensors and one JSON document. Reading it checks every bit.

The document lies as text under the key "nascli" of the file's metadata. Its first entry, "sha256", is the digest of the
whole file with that digest's own digits set to zero, so that a change of any bit is found. `tensors` turns the file's
tensors into numpy's arrays, `torch_tensors` into torch's tensors.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError, TensorSpec, deserialize, serialize

from nascli.artifacts.files import strict_json
from nascli.errors import ArtifactError

METADATA_KEY = "nascli"
DIGEST_KEY = "sha256"
LARGEST_HEADER = 1 << 26
"""Bytes of names, shapes and document, 64 MiB: some hundred thousand tensors."""

_LENGTH_BYTES = 8
_NO_DIGEST = b"0" * 64


@dataclass(frozen=True)
class RawTensor:
    """A tensor as it is stored: safetensors' name of the type, the shape, the bytes (little-endian, row by row)."""

    dtype: str
    shape: tuple[int, ...]
    data: bytearray


def encode_raw(specs: Mapping[str, TensorSpec], document: Mapping[str, Any]) -> bytes:
    """The bytes of a file with this JSON document and these tensors, whose specs say where they lie in memory.

    Raises ValueError for a document with NaN in it, or for tensors that safetensors refuses.
    """
    if DIGEST_KEY in document:
        raise ValueError(f"the document's key {DIGEST_KEY!r} is taken by the digest")
    text = strict_json.compact({DIGEST_KEY: _NO_DIGEST.decode(), **document})
    try:
        file = bytearray(serialize(dict(specs), {METADATA_KEY: text}))
    except SafetensorError as error:
        raise ValueError(f"the tensors cannot be written: {error}") from None
    position = file.index(_NO_DIGEST)
    file[position : position + len(_NO_DIGEST)] = hashlib.sha256(file).hexdigest().encode()
    return bytes(file)


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
        views: list[tuple[str, dict[str, Any]]] = deserialize(data)
    except (SafetensorError, ValueError, OverflowError, MemoryError) as error:
        raise ArtifactError(f"{where}: is not a valid safetensors file: {error}") from None
    # safetensors returns them in an order that changes from call to call.
    views.sort(key=lambda pair: pair[0])
    tensors = {name: RawTensor(view["dtype"], tuple(view["shape"]), view["data"]) for name, view in views}
    return tensors, document


def looks_like_safetensors(data: bytes) -> bool:
    """Whether a file begins as safetensors does: a plausible length, then a JSON object."""
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
    """Where the last tensor ends; 0 if the header is nonsense, which `deserialize` will report."""
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
