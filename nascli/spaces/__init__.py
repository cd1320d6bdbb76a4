"""Spaces of cells, a file each, without torch: what a search chooses from, and the network of a choice.

To add one, write a class of the shape of `nascli.spaces.protocol.CellSpace` in a file of its own, its row in
`nascli.registry.SPACES`, and its recipes, `nascli/recipes/<space>.toml`. Methods, commands, files and pictures follow.
"""

from functools import cache
from typing import TYPE_CHECKING

from nascli.registry import SPACES, load, lookup

if TYPE_CHECKING:
    from nascli.spaces.protocol import CellSpace


@cache
def cell_space(name: str, nodes: int = 0) -> "CellSpace":
    """The space called `name`, with cells of `nodes` nodes; 0: as many as its cells usually have.

    Raises UsageError for an unknown name, and for a number of nodes that its cells cannot have.
    """
    space = load(lookup(SPACES, "space", name).target)
    made: CellSpace = space(nodes) if nodes else space()
    return made


def space_of_text(text: str) -> "CellSpace | None":
    """The space in whose text form a genotype seems to be written; None: it is no space's."""
    return next((space for space in map(cell_space, SPACES) if space.looks_like(text)), None)


def text_forms() -> str:
    """What the text forms look like, for messages."""
    return " or ".join(f"{cell_space(name).example} ({name})" for name in SPACES)
