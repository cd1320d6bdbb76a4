"""The weighted sum of all operations on the edges that leave a state, each of which a batch norm ends, in two forms.

`Whole` has few operators, as a GPU wants: the results of all operations are one tensor with one batch norm. `Apart`
moves fewer bytes, as a CPU wants: the results stay where they are, and a pooling is there once, not for every target.
With a the weight of a slot times 1 / deviation, a batch norm and the sum after it are one matrix product,

    sum = Σ a (x - mean) = X M - Σ a mean,

so that no normalised maps are made. With the gradient G of the sum, and n pixels, those of a slot are

    dweight = D / deviation,   D = Σ G (x - mean),   dx = a (G - ΣG / n - (x - mean) / deviation² · D / n),

of which a G for all slots is the product G Mᵀ.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from nascli.core.nn.aten import EPS, BatchNorms, maps_like, rows
from nascli.core.nn.mixed_channels import Channels
from nascli.core.nn.mixed_layout import Source
from nascli.core.nn.moments import WIDE, moments

Parts = Sequence[Tensor | None]
"""What the separable and the dilated convolutions of a source give, its skips, maxima and means, all [B, *, H, W].

Poolings have the P channels that they pool, if all targets share these, else those of each target.
"""

ROWS = 32
"""So many rows at most are taken for one, as short ones are slow on a CPU."""


class MixedSum(Protocol):
    """scale: the weights of the source's slots."""

    def forward(self, parts: Parts, scale: Tensor, source: Source) -> tuple[tuple[Tensor | None, ...], Tensor]:
        """What `backward` needs, and the sum [n, T·P]."""

    def backward(
        self, d_total: Tensor, channels: Channels, kept: Parts, scale: Tensor, source: Source, *, wanted: bool
    ) -> tuple[list[Tensor | None], Tensor | None]:
        """From the gradient of the targets [n, T·C]: those of the parts, packed, and of the scale if it is wanted."""


class Whole:
    """One tensor of all slots."""

    def __init__(self, norms: BatchNorms) -> None:
        self.norms = norms

    def forward(self, parts: Parts, scale: Tensor, source: Source) -> tuple[tuple[Tensor | None, ...], Tensor]:
        slots = torch.cat(
            [part for part, span in _present(parts, source) for _ in range((span.stop - span.start) // part.shape[1])],
            dim=1,
        )
        normed = self.norms(slots, scale, source.slots)
        return (slots,), rows(normed).unflatten(1, (len(source.operations), -1)).sum(dim=1)

    def backward(
        self, d_total: Tensor, channels: Channels, kept: Parts, scale: Tensor, source: Source, *, wanted: bool
    ) -> tuple[list[Tensor | None], Tensor | None]:
        (slots,) = kept
        assert slots is not None
        d_normed = maps_like(channels.put_gradient(d_total, len(source.operations)), slots)
        d_slots, d_scale = self.norms.gradients(d_normed, slots, scale, source.slots, wanted=wanted)
        *convolved, d_pooled = d_slots.split([*source.widths[:3], sum(source.widths[3:])], dim=1)
        results: list[Tensor | None] = [part if part.shape[1] else None for part in convolved]
        # A block of its own for each pooling, as the gradients of poolings want to have them.
        poolings = [width > 0 for width in source.widths[3:]]
        if any(poolings):
            repeats = len(source.targets) // channels.copies
            by_target = rows(d_pooled).unflatten(1, (sum(poolings), repeats, -1)).permute(1, 2, 0, 3)
            sums = d_pooled.new_empty(len(by_target), *by_target.shape[2:])
            torch.sum(by_target, dim=1, out=sums)
            blocks = iter(sums)
            results += [maps_like(next(blocks), slots) if there else None for there in poolings]
        return results, d_scale


class Apart:
    """A product for each part."""

    def __init__(self, norms: BatchNorms) -> None:
        self.norms = norms

    def forward(self, parts: Parts, scale: Tensor, source: Source) -> tuple[tuple[Tensor | None, ...], Tensor]:
        present = list(_present(parts, source))
        if self.norms.training:
            for part, span in present:
                self._measure(part, self.norms.statistics[:, source.slots][:, span])
            self._finish(self.norms.statistics[:, source.slots])
        mean, inverse = self._moments(source)
        factor = scale * inverse
        width = len(source.targets) * source.mixed_channels
        shift = -(factor * mean).view(-1, width).sum(0)
        (part, span), *others = present
        total = torch.addmm(shift, rows(part), _matrix(factor[span], part.shape[1], width))
        for part, span in others:
            total.addmm_(rows(part), _matrix(factor[span], part.shape[1], width))
        return tuple(parts), total

    def backward(
        self, d_total: Tensor, channels: Channels, kept: Parts, scale: Tensor, source: Source, *, wanted: bool
    ) -> tuple[list[Tensor | None], Tensor | None]:
        gradient = channels.put_gradient(d_total, 1)
        count, width = gradient.shape
        summed = gradient.sum(0)
        mean, inverse = self._moments(source)
        factor = scale * inverse
        present = list(_present(kept, source))
        products = [_entries(torch.mm(rows(part).t(), gradient)) for part, _ in present]
        own = along = torch.cat(products) - (mean.view(-1, width) * summed).flatten()  # D above
        if (sync := self.norms.sync) is not None:
            summed, along = sync.sums(summed, along)
            count = count // sync.own * sync.images
        constants = (factor.view(-1, width) * (summed / -count)).flatten()
        slopes = factor * along * inverse.square() / -count
        results: list[Tensor | None] = [None] * len(kept)
        numbers = [number for number, part in enumerate(kept) if part is not None]
        for number, (part, span) in zip(numbers, present, strict=True):
            columns = part.shape[1]
            matrix = _matrix(factor[span], columns, width).t()
            if self.norms.training:
                slope = slopes[span].view(-1, columns).sum(0)
                constant = constants[span].view(-1, columns).sum(0) - slope * mean[span][:columns]
                d_part = _scaled(rows(part), slope, constant).addmm_(gradient, matrix)
            else:
                d_part = torch.mm(gradient, matrix)
            results[number] = maps_like(d_part, part)
        return results, own * inverse if wanted else None

    def _measure(self, part: Tensor, statistics: Tensor) -> None:
        """Write the means and variances of its channels, once for every target of a pooling."""
        found = moments(part, math.gcd(part[:, 0].numel(), ROWS) if part.shape[1] < WIDE else 1)
        for row, values in zip(statistics, found, strict=True):
            row.view(-1, len(values)).copy_(values)

    def _finish(self, statistics: Tensor) -> None:
        """Turn variances into 1 / deviations, those of the whole batch where several processes have it."""
        mean, other = statistics.unbind()
        if self.norms.sync is not None:
            for row, values in zip((mean, other), self.norms.sync.moments(mean, other), strict=True):
                row.copy_(values)
        other.add_(EPS).rsqrt_()

    def _moments(self, source: Source) -> tuple[Tensor, Tensor]:
        """The mean and 1 / deviation of every slot."""
        mean, other = self.norms.statistics[:, source.slots].unbind()
        return mean, other if self.norms.training else (other + EPS).rsqrt_()


def _present(parts: Parts, source: Source) -> Iterator[tuple[Tensor, slice]]:
    """The parts that are there, with their range of the source's slots."""
    start = 0
    for part, width in zip(parts, source.widths, strict=True):
        if part is not None:
            yield part, slice(start, start + width)
            start += width


def _matrix(factor: Tensor, columns: int, width: int) -> Tensor:
    """The columns of a part times the factors of its slots, summed over operations: [columns, T·P].

    Slots are ordered by operation, then target, then channel. So the matrix has diagonal blocks, for every operation
    below each other, or, for a pooling that all targets share, for every target side by side.
    """
    blocks = torch.diag_embed(factor.view(-1, min(columns, width)))
    return blocks.flatten(0, 1) if columns >= width else blocks.transpose(0, 1).flatten(1)


def _entries(matrix: Tensor) -> Tensor:
    """The numbers of a matrix [columns, T·P] that belong to slots: the transpose of `_matrix`."""
    columns, width = matrix.shape
    if columns >= width:
        return matrix.view(-1, width, width).diagonal(dim1=1, dim2=2).flatten()
    return matrix.view(columns, -1, columns).diagonal(dim1=0, dim2=2).flatten()


def _scaled(matrix: Tensor, slope: Tensor, constant: Tensor) -> Tensor:
    """matrix · slope + constant, a number of each for every column."""
    times = math.gcd(len(matrix), ROWS)
    wide = matrix.view(-1, times * matrix.shape[1])
    return torch.addcmul(constant.repeat(times), wide, slope.repeat(times)).view_as(matrix)
