"""Batch norm by covariances against torch's batch norm of maps that really are computed."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nascli.core.nn.batch_norm import RunningMoments, Term, centred, normalised_sum

PIXELS, TARGETS, CHANNELS = 40, 3, 2


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def terms(centre=False):
    """One term whose targets share 5 features, one whose targets have 2 each, and one without a norm."""
    shared, own, plain = 1 + 2 * draw(PIXELS, 5), draw(PIXELS, 6, seed=1) - 3, draw(PIXELS, 2, seed=2)
    weights = draw(TARGETS, CHANNELS, 5, seed=3), draw(TARGETS, CHANNELS, 2, seed=4)
    norms = [RunningMoments(TARGETS, CHANNELS).double() for _ in weights]
    for norm in norms:
        norm.running_mean += 0.5
        norm.running_var *= 4
    leaves = [shared, own, *weights, plain, draw(TARGETS, seed=5), draw(TARGETS, seed=6), draw(TARGETS, seed=7)]
    shared, own, first, second, plain, *scales = (leaf.requires_grad_() for leaf in leaves)
    eye = torch.eye(2, dtype=torch.float64).expand(TARGETS, -1, -1)
    features, centres = [shared, own], [None, None]
    if centre:
        features, centres = zip(*(centred(x) for x in features), strict=True)
    built = [
        Term(features[0], first, norms[0], scales[0], centres[0]),
        Term(features[1], second, norms[1], scales[1], centres[1]),
        Term(plain, eye, None, scales[2]),
    ]
    return built, leaves, norms


def computed(leaves, norms, training):
    """The same sum, map by map, with torch's batch norm."""
    shared, own, first, second, plain, *scales = leaves
    total = []
    for j in range(TARGETS):
        y = scales[2][j] * plain
        for z, norm, scale in (
            (shared @ first[j].T, norms[0], scales[0]),
            (own[:, 2 * j : 2 * j + 2] @ second[j].T, norms[1], scales[1]),
        ):
            y = y + scale[j] * F.batch_norm(z, norm.running_mean[j], norm.running_var[j], training=training)
        total.append(y)
    return torch.cat(total, dim=1)


@pytest.mark.parametrize(("training", "centre"), [(True, False), (True, True), (False, False)])
def test_equals_torchs_batch_norm(training, centre):
    built, leaves, own_norms = terms(centre)
    total, observations = normalised_sum(built, training)
    _, reference_leaves, norms = terms()
    reference = computed(reference_leaves, norms, training)
    torch.testing.assert_close(total, reference, rtol=1e-12, atol=1e-12)
    gradient = draw(*total.shape, seed=9)
    for ours, torchs in zip(
        torch.autograd.grad(total, leaves, gradient),
        torch.autograd.grad(reference, reference_leaves, gradient),
        strict=True,
    ):
        torch.testing.assert_close(ours, torchs, rtol=1e-9, atol=1e-11)
    for norm, moments in observations:
        norm.update(moments)
    assert len(observations) == (2 if training else 0)
    for norm, torchs in zip(own_norms, norms, strict=True):
        # `computed` has let F.batch_norm update these.
        torch.testing.assert_close(norm.running_mean, torchs.running_mean)
        torch.testing.assert_close(norm.running_var, torchs.running_var)


def test_running_statistics_follow_torchs():
    ours, torchs = RunningMoments(4).double(), nn.BatchNorm1d(4, affine=False).double()
    weight = torch.eye(4, dtype=torch.float64)[None]
    for seed in range(5):
        batch = 2 + 3 * draw(7, 4, seed=seed)
        torchs(batch)
        _, [(norm, moments)] = normalised_sum([Term(batch, weight, ours)], training=True)
        norm.update(moments)
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
    assert set(torchs.state_dict()) - set(ours.state_dict()) == {"num_batches_tracked"}


def test_channels_that_never_change_stay_finite():
    features = torch.full((9, 2), 1e3).requires_grad_()
    weight = torch.eye(2)[None].clone().requires_grad_()
    total, _ = normalised_sum([Term(features, weight, RunningMoments(1, 2))], training=True)
    for value in (total, *torch.autograd.grad(total.sum(), (features, weight))):
        assert value.isfinite().all()
