"""Batch norm without affine parameters, together with the 1x1 convolutions before it and the weighted sum after it.

Every batch norm in the cells of a search network follows a map that is linear in some features d: a pointwise
convolution W of a depthwise one's output, or a pooling (W = 1). So mean and variance of z = W d need not be
measured on z. With the mean m and the covariance C of the features over all pixels of the batch,

    mean z_p = W_p m,    var z_p = W_p C W_pᵀ,    norm(z)_p = W_p (d - m) / sqrt(var z_p + eps),

which is once more linear in d. A weighted sum of such outputs over operations is linear in all their features, so

    y_j = Σ_o s_oj · norm(W_oj d_o) = Σ_o M_oj d_o + b_j,   rows of M_oj = s_oj · W_oj / sqrt(var + eps).

Neither z nor norm(z) is ever stored, in the forward or in the backward pass: both read the features and do matrix products of
small matrices with them. Covariances are accumulated in float32 at least, also under autocast. The features should be
roughly centred (see `depthwise`), because C is the difference of two large matrices otherwise.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPS = 1e-5
"""Added to variances, as in torch's batch norm."""

MOMENTUM = 0.1
"""Weight of a batch in the running statistics, as in torch's batch norm."""


class Moments(NamedTuple):
    """Mean and variance [J, P] per channel; the variance is the biased one, over `count` values."""

    mean: Tensor
    variance: Tensor
    count: int


class RunningMoments(nn.Module):
    """The running statistics of torch's `BatchNorm2d`, for maps whose channels have any number of axes.

    As the momentum is fixed, no count of batches is kept. `update` is a step of its own, so that a cell can be computed
    a second time, in the backward pass, without counting a batch twice.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))

    @torch.no_grad()
    def update(self, batch: Moments) -> None:
        """Move towards the moments of a batch; the variance that counts is the unbiased one."""
        unbiased = batch.variance * (batch.count / max(1, batch.count - 1))
        self.running_mean.lerp_(batch.mean.reshape(self.running_mean.shape), MOMENTUM)
        self.running_var.lerp_(unbiased.reshape(self.running_var.shape), MOMENTUM)


class Term(NamedTuple):
    """One summand: norm(weight · features), scaled.

    features: [n, D], a row per pixel of the batch. weight: [J, P, Q] gives P channels to each of J targets, either from all
    features (Q = D), or, where D = J·Q, from the target's own Q. scale: [J], or None for 1.
    norm: what to normalise with; None passes the features on as they are.
    """

    features: Tensor
    weight: Tensor
    scale: Tensor | None
    norm: RunningMoments | None


def normalised_sum(terms: list[Term], training: bool) -> tuple[Tensor, list[tuple[RunningMoments, Moments]]]:
    """Sum of the terms: [n, J·P], and in training the moments of the batch for every term with a norm.

    In training the batch's own mean and variance normalise (and gradients pass through them), otherwise the running ones.
    """
    tensors: list[Tensor | None] = []
    given: list[tuple[Tensor, Tensor] | None] = []
    for features, weight, scale, norm in terms:
        tensors += (features, weight, scale)
        if norm is None:
            given.append((weight.new_zeros(()), weight.new_ones(())))
        elif training:
            given.append(None)
        else:
            given.append((norm.running_mean, (norm.running_var + EPS).rsqrt()))
    total, *moments = _NormalisedSum.apply(given, *tensors)
    if not training:
        return total, []
    norms = [norm for _, _, _, norm in terms if norm is not None]
    count = terms[0].features.shape[0]
    pairs = zip(norms, moments[0::2], moments[1::2], strict=True)
    return total, [(norm, Moments(mean, variance, count)) for norm, mean, variance in pairs]


def _spread(weight: Tensor, features: int) -> Tensor:
    """The [J·P, D] matrix of a weight [J, P, Q]: itself, or block-diagonal where each target has its own features."""
    targets, channels, inputs = weight.shape
    if inputs == features:
        return weight.reshape(targets * channels, features)
    own = torch.eye(targets, dtype=weight.dtype, device=weight.device)
    return (own[:, None, :, None] * weight[:, :, None, :]).reshape(targets * channels, features)


def _gather(matrix: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The transpose of `_spread`: the entries of a [J·P, D] matrix that belong to a weight of shape [J, P, Q]."""
    targets, channels, inputs = shape
    if matrix.shape[1] == inputs:
        return matrix.reshape(shape)
    return matrix.reshape(targets, channels, targets, inputs).diagonal(dim1=0, dim2=2).permute(2, 0, 1)


def _covariance(features: Tensor, weight_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Mean [D] and covariance of features [n, D]: [1, D, D], or [J, Q, Q] where each target has its own features."""
    count, size = features.shape
    mean = features.mean(dim=0)
    covariance = torch.addmm(torch.outer(mean, mean), features.t(), features, beta=-1, alpha=1 / count)
    targets, _, inputs = weight_shape
    return mean, _gather(covariance, (size // inputs, inputs, inputs))


class _NormalisedSum(torch.autograd.Function):
    """`normalised_sum` on tensors: (features, weight, scale) of each term, and mean and 1/deviation where these are given.

    The gradient, for one term with t = s / sqrt(var + eps), M = tW, gradient G of the sum and A = Gᵀ(d - m):

        dL/dt_p = A_p W_pᵀ,   dL/dvar_p = -s/2 (var_p + eps)^(-3/2) dL/dt_p,   S = Wᵀ diag(dL/dvar) W,
        dL/dW = tA + 2 diag(dL/dvar) W C,   dL/ds_j = Σ_p dL/dt_jp / sqrt(var_jp + eps),
        dL/dd = (G - mean G) M + (d - m) · 2S/n.
    """

    @staticmethod
    def forward(ctx: Any, given: list[tuple[Tensor, Tensor] | None], *tensors: Tensor | None) -> tuple[Tensor, ...]:
        kind = tensors[0].dtype
        exact = torch.promote_types(kind, torch.float32)
        matrices, saved, moments = [], [], []
        bias = 0.0
        with torch.autocast(tensors[0].device.type, enabled=False):
            for k, fixed in enumerate(given):
                features, weight, scale = tensors[3 * k : 3 * k + 3]
                weight = weight.to(exact)
                targets, channels, inputs = weight.shape
                if fixed is None:
                    mean, covariance = _covariance(features.to(exact), weight.shape)
                    variance = ((weight @ covariance) * weight).sum(dim=2).clamp_(min=0)
                    shift = (weight @ mean.view(-1, inputs, 1)).squeeze(2)
                    deviation = (variance + EPS).rsqrt()
                    moments += (shift, variance)
                else:
                    shift, deviation = (x.to(exact).expand(targets, channels) for x in fixed)
                    mean = covariance = None
                factor = deviation if scale is None else deviation * scale.to(exact)[:, None]
                matrices.append(_spread(factor[:, :, None] * weight, features.shape[1]).to(kind))
                bias = bias - (factor * shift).reshape(-1)
                saved += (features, weight, scale, shift, deviation, mean, covariance)
            total = torch.addmm(bias.to(kind), tensors[0], matrices[0].t())
            for k in range(1, len(given)):
                total.addmm_(tensors[3 * k], matrices[k].t())
        ctx.save_for_backward(*saved)
        ctx.mark_non_differentiable(*moments)
        return total, *moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        kind, count = gradient.dtype, gradient.shape[0]
        saved = ctx.saved_tensors
        results: list[Tensor | None] = [None]
        with torch.autocast(gradient.device.type, enabled=False):
            exact = torch.promote_types(kind, torch.float32)
            total = gradient.sum(dim=0, dtype=exact)
            for k in range(len(saved) // 7):
                features, weight, scale, shift, deviation, mean, covariance = saved[7 * k : 7 * k + 7]
                needs_features, needs_weight, needs_scale = ctx.needs_input_grad[1 + 3 * k : 4 + 3 * k]
                targets, channels, inputs = weight.shape
                width = features.shape[1]
                multiplier = 1.0 if scale is None else scale.to(exact)[:, None]
                factor = (deviation * multiplier)[:, :, None]
                product = _gather(gradient.to(exact).t() @ features.to(exact), weight.shape)
                # A: the constant shift of normalised features drops out of it.
                along = (product * weight).sum(dim=2) - total.view(targets, channels) * shift
                d_weight = d_features = None
                if mean is not None:
                    centre = mean.view(-1, 1, inputs)
                    product = product - total.view(targets, channels, 1) * centre
                    d_variance = (-0.5 * along * multiplier * deviation**3)[:, :, None]
                if needs_weight:
                    d_weight = factor * product
                    if mean is not None:
                        d_weight += 2 * d_variance * (weight @ covariance)
                if needs_features:
                    matrix = _spread(factor * weight, width)
                    if mean is None:
                        d_features = gradient @ matrix.to(kind)
                    else:
                        spread = _spread(weight, width)
                        curve = (spread.t() * (2 / count * d_variance.reshape(-1))) @ spread
                        constant = -(total / count) @ matrix - mean @ curve
                        d_features = torch.addmm(constant.to(kind), gradient, matrix.to(kind))
                        d_features.addmm_(features, curve.to(kind))
                d_scale = (along * deviation).sum(dim=1) if needs_scale else None
                results += (d_features, d_weight, d_scale)
        return tuple(results)
