"""The base of every model in a file: frozen, without room for fields that nobody knows."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A record that is checked when it is made and never changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")
