"""The auxiliary tower: a second classifier on an inner map, whose loss helps the lower cells to learn. Training only.

`nascli.graphs.tower` says where it is attached and which maps it takes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.folded_norm import CountingBatchNorm2d
from nascli.errors import UsageError
from nascli.graphs.tower import POOLING_WINDOW, WIDTHS, TowerForm

PREFIX = "auxiliary."
"""The names of a tower's weights in its network begin with this."""


class AuxiliaryTower(nn.Module):
    """[B, channels, side, side] -> logits [B, classes].

    ReLU, 5x5 average pooling to 2x2, 1x1 convolution to 128, batch norm, ReLU, 2x2 convolution to 768, batch norm
    (where the form has it), ReLU, linear. Raises UsageError for maps that the pooling does not turn into 2x2.
    """

    def __init__(self, channels: int, classes: int, form: TowerForm) -> None:
        super().__init__()
        self.form = form
        first, second = WIDTHS
        self.reduce = nn.Conv2d(channels, first, 1, bias=False)
        self.reduce_norm = CountingBatchNorm2d(first)
        self.spread = nn.Conv2d(first, second, 2, bias=False)
        self.spread_norm = CountingBatchNorm2d(second) if form.last_norm else nn.Identity()
        self.classifier = nn.Linear(second, classes)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if not (self.form.fits(height) and self.form.fits(width)):
            sides = self.form.map_sides
            raise UsageError(
                f"the auxiliary tower takes maps of {sides[0]} to {sides[-1]} pixels a side, not {height}x{width}; "
                "leave it out or change the image size"
            )
        x = F.avg_pool2d(F.relu(x), POOLING_WINDOW, stride=self.form.stride)
        x = F.relu(self.reduce_norm(self.reduce(x)), inplace=True)
        x = F.relu(self.spread_norm(self.spread(x)), inplace=True)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits
