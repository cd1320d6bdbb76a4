"""Checkpoint state comes back as it was: types, order, every float."""

import math
from collections import OrderedDict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nascli.artifacts.files import nested
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.errors import ArtifactError

DTYPES = [torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.float64]
TENSORS = st.builds(
    lambda shape, dtype, fill: torch.full(shape, fill).to(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(DTYPES),
    st.integers(0, 9),
)
STATES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats() | st.text() | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(-5, 5), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one: Any, two: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, 0.0 from -0.0, and takes NaN for itself."""
    if type(one) is not type(two):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return list(one) == list(two) and all(
            type(a) is type(b) and same(one[a], two[b]) for a, b in zip(one, two, strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(two)) or (one == two and math.copysign(1, one) == math.copysign(1, two))
    return bool(one == two)


@given(STATES)
@settings(max_examples=150)
def test_round_trip_is_exact(state: Any) -> None:
    data = checkpoint_bytes(state)
    read = load_checkpoint(data, "x")
    assert same(read, state)
    assert checkpoint_bytes(read) == data


def test_names_that_meet_are_kept_apart() -> None:
    state = {"a": {"b": torch.tensor(1)}, "a.b": torch.tensor(2), "__metadata__": torch.tensor(3), "": torch.tensor(4)}
    values, _ = nested.pack(state)
    assert {name: int(value) for name, value in values.items()} == {
        "a.b": 1,
        "a.b#2": 2,
        "__metadata__#2": 3,
        "tensor": 4,
    }
    assert same(load_checkpoint(checkpoint_bytes(state), "x"), state)


def test_what_torch_keeps_comes_back_and_works() -> None:
    """An optimiser with int keys and tuples, a generator, a module: one more step ends in the same weights."""

    def set_up() -> tuple[nn.Module, torch.optim.Optimizer, torch.Generator]:
        network = nn.Linear(3, 2)
        with torch.no_grad():
            for weight in network.parameters():
                weight.fill_(0.5)
        return network, torch.optim.Adam(network.parameters(), betas=(0.5, 0.999)), torch.Generator().manual_seed(1)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
        optimizer.zero_grad()
        network(torch.randn(4, 3, generator=generator)).square().sum().backward()
        optimizer.step()

    network, optimizer, generator = set_up()
    for _ in range(3):
        step(network, optimizer, generator)
    state = {"network": network.state_dict(), "adam": optimizer.state_dict(), "generator": generator.get_state()}
    data = checkpoint_bytes(state)
    step(network, optimizer, generator)

    again, optimizer_again, generator_again = set_up()
    read = load_checkpoint(data, "x")
    again.load_state_dict(read["network"])
    optimizer_again.load_state_dict(read["adam"])
    generator_again.set_state(read["generator"])
    step(again, optimizer_again, generator_again)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])


def test_a_view_is_kept_alone_and_a_subclass_as_its_base() -> None:
    big = torch.arange(1000.0)
    assert len(checkpoint_bytes({"part": big[10:12]})) < 1000
    read = load_checkpoint(checkpoint_bytes(OrderedDict(shape=torch.Size([2, 3]), weight=nn.Parameter(big[:2]))), "x")
    assert same(read, {"shape": (2, 3), "weight": torch.tensor([0.0, 1.0])})


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [1, {2, 3}]}, "a.1: set cannot be kept"),
        ({"a": {(1, 2): 3}}, r"a: the key \(1, 2\) is neither str nor int"),
        ({True: 3}, "the state: the key True is neither"),
        ({"n": 2**300}, "n: a whole number of 301 bits"),
        (lambda: None, "the state: function cannot be kept"),
    ],
)
def test_what_cannot_be_kept_is_named(state: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        checkpoint_bytes(state)


def test_depth_has_a_bound_within_which_all_is_read() -> None:
    def deep(levels: int) -> Any:
        state: Any = 1.5
        for _ in range(levels):
            state = {"a": state}
        return state

    assert load_checkpoint(checkpoint_bytes(deep(nested.DEEPEST)), "x") == deep(nested.DEEPEST)
    for levels in (nested.DEEPEST + 1, 500):
        with pytest.raises(TypeError, match="levels deep"):
            checkpoint_bytes(deep(levels))


@pytest.mark.parametrize(
    "document",
    [
        {"tensor": "b"},
        {"tensor": 3},
        {"tensor": "a", "tuple": []},
        {"float": "1.5"},
        {"set": []},
        {},
        {"dict": [["a", 1], ["a", 2]]},
        {"dict": [["a"]]},
        {"dict": [[True, 1]]},
        {"dict": {"a": 1}},
        {"tuple": {"tensor": "a"}},
        [{"tensor": "a"}, {"tensor": "a"}],
        [],
    ],
)
def test_documents_that_pack_never_writes(document: object) -> None:
    assert nested.unpack({"a": torch.ones(1)}, [{"tensor": "a"}], "x") == [torch.ones(1)]
    with pytest.raises(ArtifactError, match=r"^x: "):
        nested.unpack({"a": torch.ones(1)}, document, "x")
