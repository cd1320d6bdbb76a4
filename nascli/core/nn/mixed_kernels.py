"""The convolutions of one state of a mixed cell, and their gradients by hand.

Where few channels are mixed, the depthwise and the pointwise kernel of a first half or of a dilated convolution are
composed into one dense kernel, which serves all edges at once. Elsewhere the mixed channels are repeated for every
depthwise kernel.
"""

from dataclasses import dataclass, field

from torch import Tensor

from nascli.core.nn import aten
from nascli.core.nn.aten import maps_like, rows
from nascli.core.nn.depthwise import depthwise, depthwise_gradients
from nascli.core.nn.mixed_layout import NOWHERE, Source


@dataclass(frozen=True)
class Kernels:
    """The kernels of a cell.

    Pointwise [n, P, P] and depthwise [n, P, side, side] ones of first halves and dilated convolutions, and of second
    halves; dense ones [n, P, P, side, side], composed of the former two, or None; all that was gathered, flat.
    """

    first: Tensor
    first_depthwise: Tensor
    dense: Tensor | None
    second: Tensor
    second_depthwise: Tensor
    gathered: Tensor


@dataclass
class KernelGradients:
    """Of `Kernels`, if they are wanted, part by part, from the last source to the first; then of the input states'."""

    wanted: bool
    first: list[Tensor] = field(default_factory=list)
    first_depthwise: list[Tensor] = field(default_factory=list)
    dense: list[Tensor] = field(default_factory=list)
    second: list[Tensor] = field(default_factory=list)
    second_depthwise: list[Tensor] = field(default_factory=list)
    skips: list[Tensor] = field(default_factory=list)
    plain: list[Tensor] = field(default_factory=list)
    reduction: list[Tensor] = field(default_factory=list)


def first_convolutions(active: Tensor, source: Source, kernels: Kernels) -> tuple[Tensor | None, Tensor | None]:
    """The first halves of the separable convolutions, and the dilated convolutions, of all edges.

    active: the rectified channels [B, copies·P, H, W].
    """
    results: list[Tensor | None] = [None, None]
    repeated = None
    for number, part, dilation in _parts(source):
        if kernels.dense is not None:
            weight = kernels.dense[part].flatten(0, 1)
            results[number] = aten.convolution(active, weight, source.stride, dilation)
        else:
            repeated = _repeated(active, kernels.first[part], repeated)
            features = depthwise(repeated, _channelwise(kernels.first_depthwise[part]), source.stride, dilation)
            results[number] = pointwise(features, kernels.first[part])
    first, dilated = results
    return first, dilated


def first_gradients(
    gradients: tuple[Tensor | None, Tensor | None],
    active: Tensor,
    source: Source,
    kernels: Kernels,
    found: KernelGradients,
) -> Tensor | None:
    """Of `first_convolutions`: to the rectified channels; to the kernels in `found`."""
    total = repeated = None
    for number, part, dilation in reversed(_parts(source)):
        gradient = gradients[number]
        assert gradient is not None
        if kernels.dense is not None:
            dense = kernels.dense[part]
            d_maps, d_dense = aten.convolution_gradients(
                gradient, active, dense.flatten(0, 1), source.stride, dilation, wanted=found.wanted
            )
            if d_dense is not None:
                found.dense.append(d_dense.view(dense.shape))
        else:
            repeated = _repeated(active, kernels.first[part], repeated)
            lists = found.first, found.first_depthwise
            d_maps = _separable_gradients(
                gradient,
                repeated,
                kernels.first_depthwise[part],
                kernels.first[part],
                found.wanted,
                lists,
                source.stride,
                dilation,
            )
            if total is not None and total.shape != d_maps.shape:
                total, d_maps = summed(total, active), summed(d_maps, active)
        total = d_maps if total is None else total.add_(d_maps)
    return None if total is None else summed(total, active)


def second_halves(between: Tensor, source: Source, kernels: Kernels) -> Tensor:
    """The second halves of the separable convolutions of all edges."""
    features = depthwise(between, _channelwise(kernels.second_depthwise[source.second]))
    return pointwise(features, kernels.second[source.second])


def second_gradients(
    gradient: Tensor, between: Tensor, source: Source, kernels: Kernels, found: KernelGradients
) -> Tensor:
    """Of `second_halves`: to `between`; to the kernels in `found`."""
    depthwise_kernels, pointwise_kernels = kernels.second_depthwise[source.second], kernels.second[source.second]
    lists = found.second, found.second_depthwise
    return _separable_gradients(gradient, between, depthwise_kernels, pointwise_kernels, found.wanted, lists)


def strided_skips(active: Tensor, source: Source, kernels: Kernels, copies: int) -> Tensor:
    """The factorised reductions of all edges."""
    kernel = _skip_kernel(active, source, kernels, copies)
    return aten.convolution(aten.padded_to_even(active), kernel, 2, groups=copies)


def strided_skip_gradients(
    gradient: Tensor, active: Tensor, source: Source, kernels: Kernels, copies: int, found: KernelGradients
) -> Tensor:
    """Of `strided_skips`: to the rectified channels; to the kernels in `found`."""
    kernel = _skip_kernel(active, source, kernels, copies)
    even = aten.padded_to_even(active)
    d_even, d_kernel = aten.convolution_gradients(gradient, even, kernel, 2, groups=copies, wanted=found.wanted)
    if d_kernel is not None:
        found.skips.append(d_kernel)
    return d_even[:, :, : active.shape[2], : active.shape[3]]


def pointwise(features: Tensor, kernels: Tensor) -> Tensor:
    """1x1 convolutions of the features of n kernels [n, P, P], each of its own P channels."""
    return aten.convolution(features, _grouped(kernels), groups=len(kernels))


def _separable_gradients(
    gradient: Tensor,
    maps: Tensor,
    depthwise_kernels: Tensor,
    pointwise_kernels: Tensor,
    wanted: bool,
    found: tuple[list[Tensor], list[Tensor]],
    stride: int = 1,
    dilation: int = 1,
) -> Tensor:
    """Of a depthwise convolution and `pointwise`: to the maps; to the two kernels, if they are wanted, in `found`.

    What lies between the two is computed anew.
    """
    kernels = _channelwise(depthwise_kernels)
    between = depthwise(maps, kernels, stride, dilation) if wanted else gradient  # else only its size is read
    d_between, d_pointwise = aten.convolution_gradients(
        gradient, between, _grouped(pointwise_kernels), groups=len(pointwise_kernels), wanted=wanted
    )
    d_maps, d_depthwise = depthwise_gradients(d_between, maps, kernels, stride, dilation, wanted=wanted)
    if d_pointwise is not None and d_depthwise is not None:
        found[0].append(d_pointwise)
        found[1].append(d_depthwise)
    return d_maps


def summed(maps: Tensor, like: Tensor) -> Tensor:
    """The transpose of repeating the channels of `like`."""
    times = maps.shape[1] // like.shape[1]
    return maps if times == 1 else maps_like(rows(maps).unflatten(1, (times, -1)).sum(dim=1), maps)


def _parts(source: Source) -> list[tuple[int, slice, int]]:
    """The number, the kernels and the dilation of first halves and of dilated convolutions that are there."""
    parts = (0, source.separable, 1), (1, source.dilated, 2)
    return [part for part in parts if part[1] != NOWHERE]


def _repeated(active: Tensor, kernels: Tensor, known: Tensor | None) -> Tensor:
    """The rectified channels once for each of n depthwise kernels, [B, n·P, H, W], which may be `known`."""
    channels = len(kernels) * kernels.shape[1]
    if known is not None and known.shape[1] == channels:
        return known
    return maps_like(rows(active).repeat(1, channels // active.shape[1]), active)


def _channelwise(kernels: Tensor) -> Tensor:
    """[n, P, side, side] -> [n·P, 1, side, side]"""
    return kernels.flatten(0, 1)[:, None]


def _grouped(kernels: Tensor) -> Tensor:
    """[n, P, P] -> [n·P, P, 1, 1]"""
    return kernels.flatten(0, 1)[:, :, None, None]


def _skip_kernel(active: Tensor, source: Source, kernels: Kernels, copies: int) -> Tensor:
    return kernels.gathered[source.skip].view(-1, active.shape[1] // copies, 2, 2)
