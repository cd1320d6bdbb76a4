"""Operations that have a meaning of their own in every space."""

NONE = "none"
"""The operation that is no path at all; it is never computed."""

SKIP = "skip_connect"
"""The operation that has nothing to learn: the identity, where it does not change the size of a map."""
