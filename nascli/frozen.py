"""The base of every record in a file: frozen, and without unknown fields."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A record that is checked when it is made and never changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def require_kind(schema: dict[str, Any]) -> None:
    """Say in a JSON Schema that a record's `kind`, which has a default in Python, must be in the file."""
    schema["required"] = ["kind", *schema.get("required", [])]
