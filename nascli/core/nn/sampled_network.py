"""The network that PARSEC searches with: all weights of the space, of which a forward pass runs one child's alone.

Casale et al., "Probabilistic Neural Architecture Search", 2019, Sections 3.1 and 3.3.
"""

from torch import Tensor, nn

from nascli.artifacts.cell_genotype import CELL_NAMES, CellGenotype
from nascli.artifacts.network_settings import NetworkSettings
from nascli.core.nn.auxiliary import AuxiliaryTower
from nascli.core.nn.layout import reduction_cells
from nascli.core.nn.network import check_settings
from nascli.core.nn.sampled_cell import SampledCell
from nascli.core.nn.stem import STEMS

States = tuple[Tensor, Tensor]


class SampledNetwork(nn.Module):
    """(images [B, image_channels, H, W], child) -> logits [B, classes].

    `child` says which operations run; only its activations exist. Weights belong to (cell, edge, operation), so that
    all children, and both picks of a node, share them. Of a node's picks that agree, one is computed and counted twice.

    Batch norms use the statistics of the batch, in evaluation too: the running ones of weights that many children share
    are true of none of them.

    as_derived: the forms of a derived network, so that a child is the network that will be trained: batch norms with
    scale and shift, poolings without one, the derived network's stem. Otherwise those of a search network (Liu et al.,
    ICLR 2019): no scale and shift in cells, a batch norm after every pooling.
    Raises UsageError for sizes that no network can have.
    """

    def __init__(
        self, settings: NetworkSettings, *, nodes: int, operations: tuple[str, ...], as_derived: bool = False
    ) -> None:
        super().__init__()
        check_settings(settings)
        channels = settings.channels
        wide = settings.stem == "cifar" or not as_derived
        self.stem = STEMS[settings.stem](settings.image_channels, 3 * channels if wide else channels)
        reductions = reduction_cells(settings.layers)
        c_prev_prev, c_prev = self.stem.channels
        reduction_prev = self.stem.strides[0] != self.stem.strides[1]
        cells = []
        for position in range(settings.layers):
            reduction = position in reductions
            channels *= 2 if reduction else 1
            cells.append(
                SampledCell(
                    c_prev_prev,
                    c_prev,
                    channels,
                    nodes=nodes,
                    operations=operations,
                    reduction=reduction,
                    reduction_prev=reduction_prev,
                    as_derived=as_derived,
                )
            )
            c_prev_prev, c_prev, reduction_prev = c_prev, nodes * channels, reduction
        self.cells = nn.ModuleList(cells)
        self.classifier = nn.Linear(c_prev, settings.classes)
        self._auxiliary_position = reductions[-1]
        self.auxiliary: AuxiliaryTower | None = None
        if settings.auxiliary:
            self.auxiliary = AuxiliaryTower(cells[reductions[-1]].out_channels, settings.classes, settings.stem)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                _forget_running_statistics(module)

    def forward(
        self, images: Tensor, child: CellGenotype, *, with_auxiliary: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`."""
        return self.after_stem(self.stem(images), child, with_auxiliary=with_auxiliary)

    def after_stem(
        self, states: States, child: CellGenotype, *, with_auxiliary: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The rest of `forward`, from the stem's output, which is the same for all children."""
        choices = dict(child.cells())
        first, second = states
        auxiliary_logits = None
        for position, cell in enumerate(self.cells):
            first, second = second, cell(first, second, choices[CELL_NAMES[cell.reduction]])
            if with_auxiliary and position == self._auxiliary_position:
                if self.auxiliary is None:
                    raise ValueError("this network was built without an auxiliary tower")
                auxiliary_logits = self.auxiliary(second)
        logits = self.classifier(second.mean(dim=(2, 3)))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)


def _forget_running_statistics(norm: nn.BatchNorm2d) -> None:
    norm.track_running_stats = False
    norm.running_mean = norm.running_var = norm.num_batches_tracked = None
