"""Networks of the space `darts` written straight from the papers, one module per operation: a slow, plain reference.

`Oracle` is the search network of PC-DARTS (Xu et al., ICLR 2020, Eq. 1 and 2 and Section 4) and of DARTS (Liu et al.,
ICLR 2019, Eq. 2 and Section 3.1.1); `Literal` is the network of a genotype, read pick by pick. Neither shares anything
with the package. Modules have the names of the package's, so that its state dicts fit.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def by_name(model, values):
    """The value of each weight's counterpart, under the weight's name in the state dict."""
    parameters = list(model.parameters())
    own = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
        state = model.state_dict()
        found = {name: value.clone() for name, value in state.items() if name.endswith(("weight", "bias"))}
        for parameter, value in zip(parameters, own, strict=True):
            parameter.copy_(value)
    return found


def assert_close_by_name(ours, theirs, rtol, atol):
    """Tensors of the same names and shapes are equal but for rounding; a difference is told with its name."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        same = value.shape == theirs[name].shape and torch.allclose(value, theirs[name], rtol=rtol, atol=atol)
        if not same:
            torch.testing.assert_close(
                value, theirs[name], rtol=rtol, atol=atol, msg=lambda m, name=name: f"{name}: {m}"
            )
            pytest.fail(name)


class Stem(nn.Module):
    def __init__(self, name, image_channels, channels):
        super().__init__()
        self.small = name == "cifar"
        if self.small:
            self.conv = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(channels)
            return
        for number, cin, cout in (
            (1, image_channels, channels // 2),
            (2, channels // 2, channels),
            (3, channels, channels),
        ):
            layer = nn.ModuleDict(
                {"conv": nn.Conv2d(cin, cout, 3, stride=2, padding=1, bias=False), "norm": nn.BatchNorm2d(cout)}
            )
            self.add_module(str(number), layer)

    def forward(self, images):
        if self.small:
            state = self.norm(self.conv(images))
            return state, state
        first, second, third = (getattr(self, number) for number in "123")
        x = first["norm"](first["conv"](images))
        x = second["norm"](second["conv"](F.relu(x)))
        return x, third["norm"](third["conv"](F.relu(x)))


class Pool(nn.Module):
    """A batch norm follows it in search networks only."""

    def __init__(self, pool, channels, searching):
        super().__init__()
        self.pool = pool
        self.norm = nn.BatchNorm2d(channels, affine=False) if searching else nn.Identity()

    def forward(self, x):
        return self.norm(self.pool(x))


class ReluConvBn(nn.Module):
    def __init__(self, cin, cout, searching):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout, affine=not searching)

    def forward(self, x):
        return self.norm(self.conv(F.relu(x)))


class Crossed(nn.Module):
    """1x7, then 7x1, as in cells of NASNet's family."""

    def __init__(self, channels, stride):
        super().__init__()
        row = nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False)
        column = nn.Conv2d(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False)
        self.crossed = nn.ModuleDict({"row": row, "column": column})
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(self.crossed["column"](self.crossed["row"](F.relu(x))))


class FactorizedReduction(nn.Module):
    def __init__(self, cin, cout, searching):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout // 2, 1, stride=2, bias=False)
        self.shifted_conv = nn.Conv2d(cin, cout - cout // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(cout, affine=not searching)

    def forward(self, x):
        x = F.relu(x)
        height, width = x.shape[2:]
        shifted = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        return self.norm(torch.cat((self.conv(x), self.shifted_conv(shifted)), dim=1))


class ConvHalf(nn.Module):
    def __init__(self, channels, kernel, stride, dilation, searching):
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=not searching)

    def forward(self, x):
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))


class SepConv(nn.Module):
    def __init__(self, channels, kernel, stride, searching):
        super().__init__()
        self.first = ConvHalf(channels, kernel, stride, 1, searching)
        self.second = ConvHalf(channels, kernel, 1, 1, searching)

    def forward(self, x):
        return self.second(self.first(x))


def operation(name, channels, stride, searching):
    if name == "max_pool_3x3":
        return Pool(nn.MaxPool2d(3, stride, 1), channels, searching)
    if name == "avg_pool_3x3":
        return Pool(nn.AvgPool2d(3, stride, 1, count_include_pad=False), channels, searching)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels, searching)
    if name == "conv_7x1_1x7":
        return Crossed(channels, stride)
    kind, _, size = name.split("_")
    kernel = int(size[0])
    if kind == "sep":
        return SepConv(channels, kernel, stride, searching)
    return ConvHalf(channels, kernel, stride, 2, searching)


class MixedOperation(nn.ModuleDict):
    """Eq. 1 of PC-DARTS on one edge."""

    def __init__(self, operations, channels, partial_channels, stride):
        mixed = channels // partial_channels
        super().__init__({name: operation(name, mixed, stride, True) for name in operations if name != "none"})
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
        first = (FactorizedReduction if reduction_prev else ReluConvBn)(c_prev_prev, channels, True)
        self.inputs = nn.ModuleList((first, ReluConvBn(c_prev, channels, True)))
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
        self.stem = Stem(stem, image_channels, 3 * channels)
        c_prev_prev = c_prev = 3 * channels
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


class LiteralCell(nn.Module):
    """A cell of a genotype. `paths`, by the names of the package's nodes, leave operations out of images."""

    def __init__(self, cell, c_prev_prev, c_prev, channels, reduction, reduction_prev, searching):
        super().__init__()
        self.cell, self.channels = cell, channels
        read = set(cell.concat)
        for node in range(len(cell.nodes) - 1, -1, -1):
            if node + 2 in read:
                read |= {pick.input for pick in cell.nodes[node]}
        self.read = read
        first = (FactorizedReduction if reduction_prev else ReluConvBn)(c_prev_prev, channels, searching)
        mapped = {"0": first, "1": ReluConvBn(c_prev, channels, searching)}
        self.inputs = nn.ModuleDict({name: module for name, module in mapped.items() if int(name) in read})
        self.edges = nn.ModuleDict()
        for node, picks in enumerate(cell.nodes, start=2):
            for pick, name in self.named(node, picks):
                edge = f"{pick.input}-{node}"
                if edge not in self.edges:
                    self.edges[edge] = nn.ModuleDict()
                stride = 2 if reduction and pick.input < 2 else 1
                self.edges[edge][name] = operation(pick.op, channels, stride, searching)

    def named(self, node, picks):
        seen = []
        for pick in picks if node in self.read else ():
            seen.append(pick)
            again = seen.count(pick)
            yield pick, pick.op if again == 1 else f"{pick.op}_{again}"

    def forward(self, first, second, paths, prefix):
        states = [self.inputs[str(i)](x) if i in self.read else None for i, x in enumerate((first, second))]
        for node, picks in enumerate(self.cell.nodes, start=2):
            total = 0
            for pick, name in self.named(node, picks):
                y = self.edges[f"{pick.input}-{node}"][name](states[pick.input])
                if paths is not None and not isinstance(self.edges[f"{pick.input}-{node}"][name], nn.Identity):
                    y = torch.stack(
                        [
                            m * image
                            for m, image in zip(paths[f"{prefix}.{pick.input}-{node}.{name}.drop"], y, strict=True)
                        ]
                    )
                total = total + y
            states.append(total)
        return torch.cat([states[state] for state in self.cell.concat], dim=1)


class Literal(nn.Module):
    """The network of a genotype. searching: in the forms of a search network."""

    def __init__(self, genotype, settings, searching=False):
        super().__init__()
        channels = settings.channels
        wide = settings.stem == "cifar" or searching
        c_prev_prev = c_prev = channels * (3 if wide else 1)
        self.stem = Stem(settings.stem, settings.image_channels, c_prev)
        reduction_prev = settings.stem == "imagenet"
        self.cells = nn.ModuleList()
        for position in range(settings.layers):
            reduction = position in (settings.layers // 3, 2 * settings.layers // 3)
            channels *= 2 if reduction else 1
            cell = genotype.cells["reduce" if reduction else "normal"]
            self.cells.append(LiteralCell(cell, c_prev_prev, c_prev, channels, reduction, reduction_prev, searching))
            c_prev_prev, c_prev, reduction_prev = c_prev, len(cell.concat) * channels, reduction
        self.classifier = nn.Linear(c_prev, settings.classes)

    def forward(self, images, paths=None):
        before, last = self.stem(images)
        for position, cell in enumerate(self.cells):
            before, last = last, cell(before, last, paths, f"cells.{position}.edges")
        return self.classifier(last.mean(dim=(2, 3)))
