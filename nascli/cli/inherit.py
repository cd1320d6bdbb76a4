"""What a stage takes over from the file that it starts from."""

from typing import Any

from nascli.artifacts.load import LoadedArtifact
from nascli.registry import METHODS


def inherited(start: LoadedArtifact) -> dict[str, Any]:
    """The method that made the file, so that its recipe is the one that counts; nothing where none did."""
    method = start.value.provenance.method
    return {"method": method} if method in METHODS else {}
