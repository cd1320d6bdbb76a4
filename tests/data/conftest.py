"""Fixtures of the data tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def global_generators_stay_as_they_are():
    """Nothing in nascli.data draws from, or seeds, torch's global generator."""
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state())
