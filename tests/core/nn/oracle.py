"""PC-DARTS and DARTS written straight from the papers, one module per edge and operation: slow, plain, and the
measure of `nascli.core.nn.mixed_network`.

Xu et al., "PC-DARTS", ICLR 2020, Eq. 1 and 2 and Section 4; Liu et al., "DARTS", ICLR 2019, Eq. 2 and Section 3.1.1.
Shares only the stem with the package. Modules are named so that the fused network's state dict fits.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nascli.core.nn.stem import STEMS


def norm(channels):
    return nn.BatchNorm2d(channels, affine=False)


class Pool(nn.Module):
    def __init__(self, pool, channels):
        super().__init__()
        self.pool = pool
        self.norm = norm(channels)

    def forward(self, x):
        return self.norm(self.pool(x))


class ReluConvBn(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm = norm(cout)

    def forward(self, x):
        return self.norm(self.conv(F.relu(x)))


class FactorizedReduction(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout // 2, 1, stride=2, bias=False)
        self.shifted_conv = nn.Conv2d(cin, cout - cout // 2, 1, stride=2, bias=False)
        self.norm = norm(cout)

    def forward(self, x):
        x = F.relu(x)
        height, width = x.shape[2:]
        shifted = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        return self.norm(torch.cat((self.conv(x), self.shifted_conv(shifted)), dim=1))


class ConvHalf(nn.Module):
    def __init__(self, channels, kernel, stride, dilation):
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = norm(channels)

    def forward(self, x):
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))


class SepConv(nn.Module):
    def __init__(self, channels, kernel, stride):
        super().__init__()
        self.first = ConvHalf(channels, kernel, stride, 1)
        self.second = ConvHalf(channels, kernel, 1, 1)

    def forward(self, x):
        return self.second(self.first(x))


def operation(name, channels, stride):
    if name == "max_pool_3x3":
        return Pool(nn.MaxPool2d(3, stride, 1), channels)
    if name == "avg_pool_3x3":
        return Pool(nn.AvgPool2d(3, stride, 1, count_include_pad=False), channels)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)
    kind, _, size = name.split("_")
    kernel = int(size[0])
    return SepConv(channels, kernel, stride) if kind == "sep" else ConvHalf(channels, kernel, stride, 2)


class MixedOperation(nn.ModuleDict):
    """Eq. 1 of PC-DARTS on one edge."""

    def __init__(self, operations, channels, partial_channels, stride):
        mixed = channels // partial_channels
        super().__init__({name: operation(name, mixed, stride) for name in operations if name != "none"})
        self.columns = [operations.index(name) for name in self]
        self.mixed, self.partial_channels, self.stride = mixed, partial_channels, stride

    def forward(self, x, weights, drawn):
        if drawn is None:
            selected, rest = x[:, : self.mixed], x[:, self.mixed :]
        else:
            others = [c for c in range(x.shape[1]) if c not in set(drawn.tolist())]
            selected, rest = x[:, drawn], x[:, others]
        mixture = sum(weights[column] * op(selected) for column, op in zip(self.columns, self.values(), strict=True))
        if self.partial_channels == 1:
            return mixture
        if self.stride == 2:
            rest = F.max_pool2d(rest, 2, 2, ceil_mode=True)
        y = torch.cat((mixture, rest), dim=1)
        if drawn is not None:
            return y[:, torch.tensor([*drawn.tolist(), *others]).argsort()]
        batch, channels, height, width = y.shape
        groups = self.partial_channels
        return y.view(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(y.shape)


class Cell(nn.Module):
    def __init__(self, operations, nodes, c_prev_prev, c_prev, channels, partial_channels, reduction, reduction_prev):
        super().__init__()
        self.nodes, self.reduction = nodes, reduction
        first = (FactorizedReduction if reduction_prev else ReluConvBn)(c_prev_prev, channels)
        self.inputs = nn.ModuleList((first, ReluConvBn(c_prev, channels)))
        self.edges = nn.ModuleDict(
            {
                f"{i}-{j}": MixedOperation(operations, channels, partial_channels, 2 if reduction and i < 2 else 1)
                for j in range(2, nodes + 2)
                for i in range(j)
            }
        )

    def forward(self, first, second, operation_weights, edge_weights, drawn):
        states = [self.inputs[0](first), self.inputs[1](second)]
        row = 0
        for j in range(2, self.nodes + 2):
            total = 0
            for i in range(j):
                channels = None if drawn is None else drawn[row]
                y = self.edges[f"{i}-{j}"](states[i], operation_weights[row], channels)
                total = total + (y if edge_weights is None else edge_weights[row] * y)
                row += 1
            states.append(total)
        return torch.cat(states[2:], dim=1)


class Oracle(nn.Module):
    """The arguments of `MixedNetwork`, and those of its forward."""

    def __init__(self, *, operations, nodes, layers, channels, stem, classes, image_channels, partial_channels):
        super().__init__()
        self.stem = STEMS[stem](image_channels, 3 * channels)
        c_prev_prev, c_prev = self.stem.channels
        reduction_prev = stem == "imagenet"
        self.cells = nn.ModuleList()
        for position in range(layers):
            reduction = position in (layers // 3, 2 * layers // 3)
            channels *= 2 if reduction else 1
            self.cells.append(
                Cell(operations, nodes, c_prev_prev, c_prev, channels, partial_channels, reduction, reduction_prev)
            )
            c_prev_prev, c_prev, reduction_prev = c_prev, nodes * channels, reduction
        self.classifier = nn.Linear(c_prev, classes)

    def forward(self, images, operation_weights, edge_weights, channels=None):
        before, last = self.stem(images)
        for position, cell in enumerate(self.cells):
            kind = "reduce" if cell.reduction else "normal"
            drawn = None if channels is None else channels[position]
            edges = None if edge_weights is None else edge_weights[kind]
            before, last = last, cell(before, last, operation_weights[kind], edges, drawn)
        return self.classifier(last.mean(dim=(2, 3)))

    def copy_from(self, network):
        """Take every weight and running statistic of a fused network by name; none may be missing or left over.

        The fused batch norms keep no `num_batches_tracked`, which a fixed momentum does not need.
        """
        state = network.state_dict()
        counts = {k: v for k, v in self.state_dict().items() if k.endswith("num_batches_tracked") and k not in state}
        self.load_state_dict({**counts, **state})
