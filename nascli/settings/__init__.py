"""What each search method can be told: a pydantic class per method, composed of shared groups. No torch here.

A field is an option of `nascli search` and `nascli finetune`, a key of recipes and an attribute of what the method is
built with. Its type, bounds and help stand once.
"""

from nascli.registry import METHODS, load, lookup
from nascli.settings.groups import Settings

__all__ = ["Settings", "settings_class"]


def settings_class(method: str) -> type[Settings]:
    """The settings of a method. Raises UsageError for an unknown one."""
    found: type[Settings] = load(lookup(METHODS, "method", method).settings)
    return found
