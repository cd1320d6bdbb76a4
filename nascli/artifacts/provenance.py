"""Where a file comes from: the stage that made it, its seed and configuration, the data, the file before it.

Holds no time stamps and no paths of outputs, so the same seed gives the same bytes.
"""

from typing import Any, Literal

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from nascli.frozen import Frozen

ArtifactKind = Literal["genotype", "distribution", "model", "detector", "ranking part"]
Stage = Literal["search", "finetune", "derive", "train", "published"]

LONGEST_DESCENT = 16
"""The most generations that a file lists. Each holds its configuration, so a longer chain might not fit."""


class DataDescription(Frozen):
    """The images that a stage learnt from."""

    dataset: str
    fingerprint: str
    train_images: int = Field(ge=0)
    classes: tuple[str, ...]


class Ancestor(Frozen):
    """The file that another was made from: the sha256 of its bytes, its kind, and its own provenance.

    `provenance` is None where the descent was cut after `LONGEST_DESCENT` generations.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    artifact: ArtifactKind
    provenance: "Provenance | None"

    def cut(self, generations: int) -> "Ancestor":
        """The same with at most this number of generations, its own included."""
        known = self.provenance.cut(generations) if self.provenance is not None and generations > 0 else None
        return self.model_copy(update={"provenance": known})


class Provenance(Frozen):
    """How a file came about. `nascli` is the version that wrote it, empty where another program did.

    `weights_from` is the model that a training started from, besides the genotype that it was made from.
    """

    nascli: str
    stage: Stage
    method: str | None
    seed: int | None
    config: dict[str, JsonValue]
    data: DataDescription | None
    made_from: Ancestor | None
    note: str = ""
    weights_from: Ancestor | None = None

    @model_serializer(mode="wrap")
    def _without_absent_weights(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Few files have `weights_from`; the others stay as short as they are."""
        document: dict[str, Any] = whole(self)
        if self.weights_from is None:
            document.pop("weights_from", None)
        return document

    def descent(self) -> "tuple[Provenance, ...]":
        """The provenance itself, its ancestor's, and so on to the first known one."""
        generations = [self]
        while (parent := generations[-1].made_from) is not None and parent.provenance is not None:
            generations.append(parent.provenance)
        return tuple(generations)

    def cut(self, generations: int) -> "Provenance":
        """The same with at most this number of generations (at least 1)."""
        parents = {"made_from": self.made_from, "weights_from": self.weights_from}
        return self.model_copy(
            update={name: parent.cut(generations - 1) for name, parent in parents.items() if parent is not None}
        )


Ancestor.model_rebuild()
