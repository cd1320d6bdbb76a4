"""Networks of the space `nas-bench-201` written straight from the paper (Dong & Yang, ICLR 2020), one module per edge
and operation: a slow, plain reference. Shares nothing with the package but the names of modules.
"""

import torch
import torch.nn.functional as F
from torch import nn

from tests.core.nn.oracle import Stem

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class Conv(nn.Module):
    def __init__(self, channels, kernel, affine):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x):
        return self.norm(self.conv(F.relu(x)))


class Nothing(nn.Module):
    def forward(self, x):
        return 0 * x


def operation(name, channels, affine):
    if name == "none":
        return Nothing()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return Conv(channels, int(name[-1]), affine)


EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


class Cell(nn.Module):
    """`ops`: those that each edge has, in order.

    A state that no path reaches contributes nothing, not even through the shifts of batch norms behind it.
    """

    def __init__(self, ops, channels, affine, partial_channels=1):
        super().__init__()
        self.partial_channels, self.mixed = partial_channels, channels // partial_channels
        self.edges = nn.ModuleDict(
            {
                f"{i}-{j}": nn.ModuleDict({name: operation(name, self.mixed, affine) for name in names})
                for (i, j), names in zip(EDGES, ops, strict=True)
            }
        )
        self.reached = {0}
        for (i, j), names in zip(EDGES, ops, strict=True):
            if i in self.reached and set(names) != {"none"}:
                self.reached.add(j)

    def forward(self, x, weights=None, edge_weights=None, drawn=None):
        """`weights` as [edges][operations of the edge]; without them all weigh 1."""
        states = [x]
        for j in (1, 2, 3):
            total = 0
            for i in range(j):
                row = EDGES.index((i, j))
                y = self.edge(states[i], f"{i}-{j}", None if weights is None else weights[row], drawn, row)
                total = total + (y if edge_weights is None else edge_weights[row] * y)
            if self.partial_channels > 1 and drawn is None:
                batch, channels, height, width = total.shape
                groups = self.partial_channels
                total = (
                    total.view(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(total.shape)
                )
            states.append(total)
        return states[3]

    def edge(self, x, name, weights, drawn, row):
        if EDGES[row][0] not in self.reached:
            return 0 * x
        chosen = torch.arange(self.mixed) if drawn is None else drawn[row]
        others = [c for c in range(x.shape[1]) if c not in set(chosen.tolist())]
        ops = self.edges[name].values()
        weights = [1] * len(ops) if weights is None else weights
        mixture = sum(weight * op(x[:, chosen]) for weight, op in zip(weights, ops, strict=True))
        y = torch.cat((mixture, x[:, others]), dim=1)
        return y[:, torch.tensor([*chosen.tolist(), *others]).argsort()]


class Residual(nn.Module):
    """Of stride 2: the output of its skip has no batch norm."""

    def __init__(self, cin, cout):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(cout)
        self.skip = nn.ModuleDict({"conv": nn.Conv2d(cin, cout, 1, bias=False)})

    def forward(self, x):
        y = self.norm1(self.conv1(F.relu(x)))
        y = self.norm2(self.conv2(F.relu(y)))
        return self.skip["conv"](F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)) + y


class Network(nn.Module):
    """ops: of each of the six edges. affine: whether batch norms of cells have a scale and shift."""

    def __init__(self, ops, *, per_stage, channels, stem="cifar", classes=5, affine=True, partial_channels=1):
        super().__init__()
        self.stem = Stem(stem, 3, channels)
        self.cells, self.residuals, self.per_stage = nn.ModuleList(), nn.ModuleList(), per_stage
        for stage in range(3):
            if stage:
                self.residuals.append(Residual(channels, 2 * channels))
                channels *= 2
            for _ in range(per_stage):
                self.cells.append(Cell(ops, channels, affine, partial_channels))
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images, weights=None, edge_weights=None, channels=None):
        _, x = self.stem(images)
        for position, cell in enumerate(self.cells):
            if position and position % self.per_stage == 0:
                x = self.residuals[position // self.per_stage - 1](x)
            x = cell(x, weights, edge_weights, None if channels is None else channels[position])
        return self.classifier(F.relu(self.norm(x)).mean(dim=(2, 3)))
