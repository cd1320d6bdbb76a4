"""The settings of each search method: a pydantic class per method, composed of shared groups. No torch here.

A field is an option of `nascli search` and `nascli finetune`, a key of recipes and an attribute of the settings that
the method is built with. Its type, bounds and help are declared once.
"""

from nascli.registry import METHODS, load, lookup
from nascli.settings.groups import Settings

__all__ = ["Settings", "settings_class"]


def settings_class(method: str) -> type[Settings]:
    """The settings class of a method. Raises UsageError for an unknown method."""
    found: type[Settings] = load(lookup(METHODS, "method", method).settings)
    return found
