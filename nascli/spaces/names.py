"""Operations that mean the same in every space."""

NONE = "none"
"""The operation that is no path at all; it is never computed."""

SKIP = "skip_connect"
"""The skip connection: the identity, unless it changes the size of a map."""
