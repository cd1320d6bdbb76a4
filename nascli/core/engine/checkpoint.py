"""Checkpoints: any nesting of numbers and tensors, in one safetensors file, written whole or not at all."""

from typing import Any

from nascli.artifacts.nested import pack, unpack
from nascli.artifacts.rundir import RunDir
from nascli.artifacts.torch_tensors import decode, encode
from nascli.errors import ArtifactError

FORMAT = "nascli-checkpoint"
VERSION = 1


def write_checkpoint(run: RunDir, state: dict[str, Any]) -> None:
    """Put `state` in the run directory in place of the checkpoint before it."""
    tensors, document = pack(state)
    run.write_checkpoint(encode(tensors, {"format": FORMAT, "version": VERSION, "state": document}))


def read_checkpoint(run: RunDir) -> dict[str, Any] | None:
    """The state last written, tensors on the CPU; None where none was. Raises ArtifactError for a damaged file."""
    data = run.read_checkpoint()
    if data is None:
        return None
    tensors, document = decode(data, str(run.checkpoint))
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise ArtifactError(f"{run.checkpoint} is not a checkpoint of this version: start again with --overwrite")
    return dict(unpack(tensors, document["state"]))
