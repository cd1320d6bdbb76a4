"""A genotype as a picture: its cells, stacked."""

from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.visualize.cells.page import draw_cells


def draw_genotype(genotype: CellGenotype, form: str, title: str | None) -> bytes:
    """The cells of a genotype, with a legend of the operations that occur. `form`: svg, png or pdf."""
    return draw_cells(genotype, form, title, cell_space(genotype.space).remarks)
