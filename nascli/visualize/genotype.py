"""A genotype as a picture: both cells, stacked."""

from nascli.artifacts.cell_genotype import CellGenotype
from nascli.visualize.page import draw_cells

REMARKS = {"normal": "", "reduce": "stride 2 at both inputs"}


def draw_genotype(genotype: CellGenotype, form: str, title: str | None) -> bytes:
    """Both cells of a genotype, with a legend of the operations that occur. `form`: svg, png or pdf."""
    return draw_cells(genotype, form, title, REMARKS)
