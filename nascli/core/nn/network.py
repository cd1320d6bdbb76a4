"""A derived network of cells: stem, cells, global average pooling, linear classifier.

Liu et al., ICLR 2019, Appendix A; the same frame holds the cells of every method of the `darts` space.
"""

from torch import Tensor, nn

from nascli.artifacts.genotype import CellGenotype
from nascli.artifacts.network_settings import NetworkSettings
from nascli.core.nn.auxiliary import AuxiliaryTower, auxiliary_fits, tower_needs
from nascli.core.nn.cell import Cell
from nascli.core.nn.drop_path import PathAddress
from nascli.core.nn.layout import reduction_cells
from nascli.core.nn.stem import STEMS
from nascli.errors import UsageError


def check_settings(settings: NetworkSettings) -> None:
    """Raises UsageError for settings that no network can have."""
    total_stride = STEMS[settings.stem].strides[1] * 2 ** len(reduction_cells(settings.layers))
    if settings.image_size < total_stride:
        raise UsageError(
            f"images of {settings.image_size}x{settings.image_size} are too small for the {settings.stem} stem and "
            f"{settings.layers} layers, which divide a side by {total_stride}"
        )
    if settings.stem == "imagenet" and settings.channels < 2:
        raise UsageError("the imagenet stem starts with half the channels; give it 2 channels or more")
    if settings.auxiliary and not auxiliary_fits(settings):
        raise UsageError(f"{tower_needs(settings.stem)}, not {settings.layers} layers and {settings.image_size} pixels")


class CellNetwork(nn.Module):
    """The network of a cell genotype. Images [B, image_channels, H, W] -> logits [B, classes].

    Cells at `reduction_cells(layers)` follow `genotype.reduce`, double the channels and halve the maps; the others
    follow `genotype.normal`. The convolutions don't mind images of another size than the settings', the auxiliary tower
    does. Raises UsageError for settings that leave no pixel on the last map, or whose maps don't suit the tower.
    """

    def __init__(self, genotype: CellGenotype, settings: NetworkSettings) -> None:
        super().__init__()
        check_settings(settings)
        self.settings = settings
        channels = settings.channels
        self.stem = STEMS[settings.stem](
            settings.image_channels, 3 * channels if settings.stem == "cifar" else channels
        )
        reductions = reduction_cells(settings.layers)
        c_prev_prev, c_prev = self.stem.channels
        reduction_prev = self.stem.strides[0] != self.stem.strides[1]
        cells = []
        for position in range(settings.layers):
            reduction = position in reductions
            if reduction:
                channels *= 2
            choice = genotype.reduce if reduction else genotype.normal
            cell = Cell(choice, c_prev_prev, c_prev, channels, reduction, reduction_prev)
            cells.append(cell)
            c_prev_prev, c_prev, reduction_prev = c_prev, cell.out_channels, reduction
        self.cells = nn.ModuleList(cells)
        self.classifier = nn.Linear(c_prev, settings.classes)

        self.auxiliary_position = reductions[-1]
        self.auxiliary: AuxiliaryTower | None = None
        if settings.auxiliary:
            self.auxiliary = AuxiliaryTower(cells[reductions[-1]].out_channels, settings.classes, settings.stem)

        self._droppable_per_cell = [len(cell.droppable()) for cell in cells]
        self.paths = tuple(
            PathAddress(position, node, pick) for position, cell in enumerate(cells) for node, pick in cell.droppable()
        )
        """Which path each row of `forward`'s `paths` multiplies."""

    @property
    def path_count(self) -> int:
        """How many paths drop-path may leave out: all picks of all cells but the identities."""
        return len(self.paths)

    def forward(
        self, images: Tensor, paths: Tensor | None = None, *, with_auxiliary: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`.

        paths: [path_count, B] drop-path multipliers (see `draw_paths`), or None to keep every path as it is.
        Raises ValueError for a tower that isn't there or multipliers of another shape.
        """
        tower = self.auxiliary if with_auxiliary else None
        if with_auxiliary and tower is None:
            raise ValueError("this network was built without an auxiliary tower")
        if paths is not None and paths.shape != (self.path_count, images.shape[0]):
            raise ValueError(f"paths must be {[self.path_count, images.shape[0]]}, not {list(paths.shape)}")
        slices = [None] * len(self.cells) if paths is None else paths.split(self._droppable_per_cell)
        first, second = self.stem(images)
        for position, (cell, multipliers) in enumerate(zip(self.cells, slices, strict=True)):
            first, second = second, cell(first, second, multipliers)
            if tower is not None and position == self.auxiliary_position:
                auxiliary_logits = tower(second)
        logits = self.classifier(second.mean(dim=(2, 3)))
        return logits if tower is None else (logits, auxiliary_logits)
