"""A checkpoint's bytes: all state of a run in a safetensors file."""

from typing import Any

from nascli.artifacts.files import nested, tensors, torch_tensors
from nascli.artifacts.files.formats import CHECKPOINT, check_format
from nascli.errors import ArtifactError

VERSION = 1


def checkpoint_bytes(state: object) -> bytes:
    """State of dicts, lists, tuples, numbers, strings and tensors as bytes, the same for the same state."""
    values, document = nested.pack(state)
    return tensors.encode(values, {"format": CHECKPOINT, "version": VERSION, "state": document})


def load_checkpoint(data: bytes, where: str) -> Any:
    """The state that `checkpoint_bytes` was given, tensors on the CPU. Raises ArtifactError."""
    values, document = torch_tensors.decode(data, where)
    check_format(document, where, CHECKPOINT, VERSION)
    if document.keys() != {"format", "version", "state"}:
        raise ArtifactError(f"{where}: is not a complete checkpoint")
    return nested.unpack(values, document["state"], where)
