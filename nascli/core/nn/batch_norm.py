"""Batch norm without affine parameters, together with the 1x1 convolutions before it and the weighted sum after it.

Every batch norm in the cells of a search network follows a map that is linear in some features d: a pointwise
convolution W of a depthwise one's output, or a pooling (W = 1). So mean and variance of z = W d need not be
measured on z. With the mean m and the covariance C of the features over all pixels of the batch,

    mean z_p = W_p m,    var z_p = W_p C W_pᵀ,    norm(z)_p = W_p (d - m) / sqrt(var z_p + eps),

which is once more linear in d. A weighted sum of such outputs over operations is linear in all their features, so

    y_j = Σ_o s_oj · norm(W_oj d_o) = Σ_o M_oj d_o + b_j,   rows of M_oj = s_oj · W_oj / sqrt(var + eps).

Neither z nor norm(z) is ever stored, in the forward or in the backward pass: both read the features and multiply them
with small matrices. Covariances are accumulated in float32 at least, also under autocast. They would lose digits
where the features are far from zero; `centred` shifts them, which changes no batch norm's output.
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
    """Mean and variance [J, P] per channel; the variance is the biased one. values: how many they are taken over."""

    mean: Tensor
    variance: Tensor
    values: int


class RunningMoments(nn.Module):
    """The running statistics of torch's `BatchNorm2d`, for maps whose channels have any number of axes.

    As the momentum is fixed, no count of batches is kept. `update` is separate, so that a cell can be computed a second
    time, in the backward pass, without counting a batch twice.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))

    @torch.no_grad()
    def update(self, batch: Moments) -> None:
        """Move towards the moments of a batch, with the unbiased variance."""
        unbiased = batch.variance * (batch.values / max(1, batch.values - 1))
        self.running_mean.lerp_(batch.mean.reshape(self.running_mean.shape), MOMENTUM)
        self.running_var.lerp_(unbiased.reshape(self.running_var.shape), MOMENTUM)


class Term(NamedTuple):
    """One summand: norm(weight · features), scaled.

    features: [n, D], a row per pixel of the batch. weight: [J, P, Q] gives P channels to each of J targets, either from
    all features (Q = D), or, where D = J·Q, from the target's own Q. norm: what to normalise with; None passes the
    features on as they are. scale: [J], or None for 1. centre: [D], what `centred` subtracted, where it was used.
    """

    features: Tensor
    weight: Tensor
    norm: RunningMoments | None
    scale: Tensor | None = None
    centre: Tensor | None = None


def centred(features: Tensor) -> tuple[Tensor, Tensor]:
    """The features [n, D] less the mean of each column, and these means [D]; only for a batch norm with batch
    statistics.

    Such a batch norm's gradient in the features sums to zero over each column, so the gradient of this step is the
    identity.
    """
    result: tuple[Tensor, Tensor] = _Centred.apply(features)
    return result


class _Centred(torch.autograd.Function):
    """`centred`."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        mean = features.mean(dim=0, dtype=torch.promote_types(features.dtype, torch.float32))
        ctx.mark_non_differentiable(mean)
        return features - mean.to(features.dtype), mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> Tensor:
        return gradient


def normalised_sum(terms: list[Term], training: bool) -> tuple[Tensor, list[tuple[RunningMoments, Moments]]]:
    """Sum of the terms: [n, J·P], and in training the moments of the batch for every term with a norm.

    In training the batch's own mean and variance normalise (and gradients pass through them), otherwise the running
    ones.
    """
    tensors: list[Tensor | None] = []
    given: list[tuple[Tensor | None, Tensor] | None] = []
    for features, weight, norm, scale, _ in terms:
        tensors += (features, weight, scale)
        if norm is None:
            given.append((None, weight.new_ones(())))
        elif training:
            given.append(None)
        else:
            given.append((norm.running_mean, (norm.running_var + EPS).rsqrt()))
    total, *moments = _NormalisedSum.apply(given, [term.centre for term in terms], *tensors)
    if not training:
        return total, []
    norms = [term.norm for term in terms if term.norm is not None]
    count = terms[0].features.shape[0]
    pairs = zip(norms, moments[0::2], moments[1::2], strict=True)
    return total, [(norm, Moments(mean, variance, count)) for norm, mean, variance in pairs]


def add_product(total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """total + a @ b, in the memory of `total`; `total` itself must not be used any more.

    Under torch.compile it is a new tensor: torch 2.11 takes an autograd function's gradient to be zero where its
    forward writes to what it returns.
    """
    return total.addmm(a, b) if torch.compiler.is_compiling() else total.addmm_(a, b)


def _spread(weight: Tensor, features: int) -> Tensor:
    """The [J·P, D] matrix of a weight [J, P, Q]: itself, or block-diagonal where each target has its own features."""
    targets, channels, inputs = weight.shape
    if inputs == features:
        return weight.reshape(targets * channels, features)
    own = torch.eye(targets, dtype=weight.dtype, device=weight.device)
    return (own[:, None, :, None] * weight[:, :, None, :]).reshape(targets * channels, features)


def _gather(matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The transpose of `_spread`: the entries of a [J·P, D] matrix that belong to a weight of shape [J, P, Q]."""
    targets, channels, inputs = shape
    if matrix.shape[1] == inputs:
        return matrix.reshape(shape)
    return matrix.reshape(targets, channels, targets, inputs).diagonal(dim1=0, dim2=2).permute(2, 0, 1)


def _second_moments(features: Tensor, inputs: int) -> Tensor:
    """Mean products of features [n, D]: [1, D, D], or [J, Q, Q] where each target has its own features. inputs: Q."""
    count, size = features.shape
    return _gather((features.t() @ features) / count, (size // inputs, inputs, inputs))


class _Inputs(NamedTuple):
    """What a term needs that may have a gradient; `Term` says what they are."""

    features: Tensor
    weight: Tensor
    scale: Tensor | None


class _Saved(NamedTuple):
    """What the backward pass needs of a term: `_Inputs`, the weight in full (`_spread`), and the result of its norm.

    shift: mean of the channels [J, P], or None where nothing is subtracted. deviation: 1 / sqrt(var + eps), [J, P].
    mean: of the features [1 or J, 1, Q], None where they are centred already. covariance: of the features
    [1 or J, Q, Q]. Both are None where the mean and the deviation were given.
    """

    features: Tensor
    weight: Tensor
    spread: Tensor
    scale: Tensor | None
    shift: Tensor | None
    deviation: Tensor
    mean: Tensor | None
    covariance: Tensor | None


_INPUTS, _SAVED = len(_Inputs._fields), len(_Saved._fields)
"""Tensors per term in the flat lists of all terms' tensors that autograd takes."""


class _NormalisedSum(torch.autograd.Function):
    """`normalised_sum` on tensors: (features, weight, scale) of each term; its mean and 1/deviation where given; its
    centre.

    The gradient, for one term with t = s / sqrt(var + eps), M = tW, gradient G of the sum and A = (G - mean G)ᵀ d:

        dL/dt_p = A_p W_pᵀ,   dL/dvar_p = -s/2 (var_p + eps)^(-3/2) dL/dt_p,   S = Wᵀ diag(dL/dvar) W,
        dL/dW = tA + 2 diag(dL/dvar) W C,   dL/ds_j = Σ_p dL/dt_jp / sqrt(var_jp + eps),
        dL/dd = (G - mean G) M + (d - m) · 2S/n.

    Where the mean and deviation are given, G takes the place of G - mean G and nothing flows through the variance.
    """

    @staticmethod
    def forward(
        ctx: Any,
        given: list[tuple[Tensor | None, Tensor] | None],
        centres: list[Tensor | None],
        *tensors: Any,
    ) -> tuple[Tensor, ...]:
        terms = [_Inputs(*tensors[k : k + _INPUTS]) for k in range(0, len(tensors), _INPUTS)]
        first = terms[0].features
        kind = first.dtype
        exact = torch.promote_types(kind, torch.float32)
        matrices: list[Tensor] = []
        saved: list[Tensor | None] = []
        moments: list[Tensor] = []
        bias: Tensor | None = None
        with torch.autocast(first.device.type, enabled=False):
            for (features, weight, scale), fixed, centre in zip(terms, given, centres, strict=True):
                weight = weight.to(exact)
                targets, channels, inputs = weight.shape
                mean: Tensor | None = None
                covariance: Tensor | None = None
                shift: Tensor | None = None
                if fixed is None:
                    covariance = _second_moments(features.to(exact), inputs)
                    if centre is None:
                        middle = mean = features.mean(dim=0, dtype=exact).view(-1, 1, inputs)
                        covariance = covariance - mean.transpose(1, 2) * mean
                    else:
                        middle = centre.view(-1, 1, inputs)
                    variance = ((weight @ covariance) * weight).sum(dim=2).clamp_(min=0)
                    shift = (middle * weight).sum(dim=2)
                    deviation = (variance + EPS).rsqrt()
                    moments += (shift, variance)
                else:
                    given_mean, given_deviation = fixed
                    if given_mean is not None:
                        shift = given_mean.to(exact).expand(targets, channels)
                    deviation = given_deviation.to(exact).expand(targets, channels)
                factor = deviation if scale is None else deviation * scale.to(exact)[:, None]
                spread = _spread(weight, features.shape[1])
                matrices.append((factor.reshape(-1, 1) * spread).to(kind))
                if centre is None and shift is not None:
                    constant = -(factor * shift).reshape(-1)
                    bias = constant if bias is None else bias + constant
                saved += _Saved(features, weight, spread, scale, shift, deviation, mean, covariance)
            matrix = matrices[0].t()
            total = first @ matrix if bias is None else torch.addmm(bias.to(kind), first, matrix)
            for term, matrix in zip(terms[1:], matrices[1:], strict=True):
                total = add_product(total, term.features, matrix.t())
        ctx.save_for_backward(*saved)
        ctx.mark_non_differentiable(*moments)
        return total, *moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        kind, count = gradient.dtype, gradient.shape[0]
        exact = torch.promote_types(kind, torch.float32)
        saved = ctx.saved_tensors
        terms = [_Saved(*saved[k : k + _SAVED]) for k in range(0, len(saved), _SAVED)]
        results: list[Tensor | None] = [None, None]
        with torch.autocast(gradient.device.type, enabled=False):
            total = gradient.sum(dim=0, dtype=exact)
            centred_gradient = gradient
            if any(term.covariance is not None for term in terms):
                centred_gradient = (gradient - total / count).to(kind)
            for k, (features, weight, spread, scale, shift, deviation, mean, covariance) in enumerate(terms):
                place = 2 + k * _INPUTS
                needs_features, needs_weight, needs_scale = ctx.needs_input_grad[place : place + _INPUTS]
                multiplier = 1.0 if scale is None else scale.to(exact)[:, None]
                factor = (deviation * multiplier)[:, :, None]
                through = gradient if covariance is None else centred_gradient
                product = _gather(through.to(exact).t() @ features.to(exact), weight.shape)
                along = (product * weight).sum(dim=2)
                d_features: Tensor | None = None
                d_weight: Tensor | None = None
                d_scale: Tensor | None = None
                if covariance is None and shift is not None:
                    along -= total.view_as(shift) * shift
                if covariance is not None:
                    d_variance = (-0.5 * along * multiplier * deviation**3)[:, :, None]
                if needs_weight:
                    d_weight = factor * product
                    if covariance is not None:
                        d_weight += 2 * d_variance * (weight @ covariance)
                if needs_features:
                    matrix = (factor.reshape(-1, 1) * spread).to(kind)
                    if covariance is None:
                        d_features = through @ matrix
                    else:
                        curve = (spread.t() * (2 / count * d_variance.reshape(-1))) @ spread
                        if mean is None:
                            d_features = through @ matrix
                        else:
                            d_features = torch.addmm(-(mean.reshape(-1) @ curve).to(kind), through, matrix)
                        d_features = add_product(d_features, features, curve.to(kind))
                if needs_scale:
                    d_scale = (along * deviation).sum(dim=1)
                results += (d_features, d_weight, d_scale)
        return tuple(results)
