"""The plain mixture of every space against implementations per edge, and the fast one of `darts` against it."""

import pytest
import torch
import torch.nn.functional as F

from nascli.core.nn.graph_mixture import GraphMixture
from nascli.core.nn.mixed_network import MixedNetwork
from nascli.errors import UsageError
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings
from tests.core.nn import nas_bench_201_oracle
from tests.core.nn.oracle import Oracle, assert_close_by_name, by_name


def settings(**changes):
    fields = {"layers": 3, "channels": 4, "stem": "cifar", "classes": 5, "image_channels": 3, "image_size": 8}
    return NetworkSettings(**{**fields, **changes})


def built(kind, space, partial_channels, sizes):
    torch.manual_seed(0)
    return kind(space, sizes, partial_channels=partial_channels).double()


def batch(side=8):
    return torch.randn(6, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def weights_of(space, beta=True):
    """Of the operations on every edge, and of the edges into every node: spread out, with gradients."""
    draw = torch.Generator().manual_seed(2)
    edges = space.edges()

    def noise(*shape):
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    operations = {cell: noise(len(edges), len(space.operations)).softmax(dim=1) for cell in space.cells}
    shares = {}
    for cell in space.cells:
        exponents = noise(len(edges)).exp()
        into = [sum(exponents[row] for row, (_, end) in enumerate(edges) if end == node) for _, node in edges]
        shares[cell] = exponents / torch.stack(into)
    leaves = [*operations.values(), *(shares.values() if beta else ())]
    return operations, shares if beta else None, [leaf.requires_grad_() for leaf in leaves]


def results(model, weights, images, channels, call=None):
    """Logits, gradients and statistics by name. call: how to run a model that knows of one type of cell."""
    operations, shares, leaves = weights
    logits = (call or model)(images, operations, shares, channels)
    loss = F.cross_entropy(logits, torch.arange(len(images)) % 5)
    parameters = list(model.parameters())
    found = torch.autograd.grad(loss, [*parameters, *leaves], materialize_grads=True)
    of_weights = {f"weights {number}": value for number, value in enumerate(found[len(parameters) :])}
    state = {
        f"state {name}": value.clone()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    return {"logits": logits, **by_name(model, found[: len(parameters)]), **of_weights, **state}


def assert_equal(ours, theirs):
    assert_close_by_name(ours, theirs, rtol=1e-9, atol=1e-10)
    assert all(value.abs().max() > 0 for name, value in ours.items() if name.startswith("weights"))


@pytest.mark.parametrize(
    ("nodes", "partial_channels", "sampling", "training", "stem", "side"),
    [
        (1, 1, "first", False, "imagenet", 45),
        (2, 2, "first", True, "cifar", 9),
        (1, 2, "random", False, "cifar", 9),
        (1, 4, "first", False, "cifar", 9),
        (1, 4, "random", True, "imagenet", 45),
    ],
)
def test_the_mixture_of_darts_is_that_of_the_papers(nodes, partial_channels, sampling, training, stem, side):
    space = cell_space("darts", nodes)
    network = built(GraphMixture, space, partial_channels, settings(stem=stem, image_size=side))
    oracle = Oracle(
        operations=space.operations, nodes=nodes, layers=3, channels=4, stem=stem, classes=5, image_channels=3,
        partial_channels=partial_channels,
    ).double()  # fmt: skip
    oracle.load_state_dict(network.state_dict())
    channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
    network.train(training), oracle.train(training)
    weights, images = weights_of(space), batch(side)
    assert_equal(results(network, weights, images, channels), results(oracle, weights, images, channels))


@pytest.mark.parametrize(("partial_channels", "sampling", "beta"), [(1, "first", False), (2, "random", True)])
def test_the_fast_mixture_of_darts_is_the_plain_one(partial_channels, sampling, beta):
    space, sizes = cell_space("darts", nodes=1), settings(layers=4, image_size=32, auxiliary=True)
    fast, plain = (built(kind, space, partial_channels, sizes) for kind in (MixedNetwork, GraphMixture))
    state = fast.state_dict()
    counts = {name: value for name, value in plain.state_dict().items() if name not in state}
    assert all(name.endswith("num_batches_tracked") for name in counts)
    plain.load_state_dict({**counts, **state})
    channels = plain.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None

    def both(model):
        def call(*arguments):
            logits, tower = model(*arguments, with_auxiliary=True)
            return logits + 0.4 * tower

        return results(model, weights_of(space, beta), batch(32), channels, call)

    ours, theirs = both(fast), both(plain)
    assert_equal(ours, {name: theirs[name] for name in ours})


def test_both_draw_the_same_channels():
    space = cell_space("darts")
    drawn = [
        built(kind, space, 2, settings()).draw_channels(torch.Generator().manual_seed(3))
        for kind in (MixedNetwork, GraphMixture)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))


@pytest.mark.parametrize(
    ("partial_channels", "sampling", "training", "beta", "size"),
    [  # any two of: K, the use (with beta, without, evaluation), the size; and both samplings of each K
        (1, "first", True, True, ("cifar", 8, 3)),
        (1, "first", True, False, ("imagenet", 64, 3)),
        (1, "first", False, True, ("cifar", 9, 6)),
        (2, "first", True, True, ("imagenet", 64, 3)),
        (2, "random", True, False, ("cifar", 9, 6)),
        (2, "random", False, True, ("cifar", 8, 3)),
        (4, "random", True, True, ("cifar", 9, 6)),
        (4, "first", True, False, ("cifar", 8, 3)),
        (4, "random", False, True, ("imagenet", 64, 3)),
    ],
)
def test_the_mixture_of_nas_bench_201_is_that_of_the_papers(partial_channels, sampling, training, beta, size):
    space, (stem, side, layers) = cell_space("nas-bench-201"), size
    network = built(GraphMixture, space, partial_channels, settings(stem=stem, image_size=side, layers=layers))
    oracle = nas_bench_201_oracle.Network(
        [space.operations] * 6, per_stage=layers // 3, channels=4, stem=stem, affine=False,
        partial_channels=partial_channels,
    ).double()  # fmt: skip
    oracle.load_state_dict(network.state_dict())

    def plain(images, operations, shares, channels):
        return oracle(images, operations["cell"], None if shares is None else shares["cell"], channels)

    channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
    network.train(training), oracle.train(training)
    weights, images = weights_of(space, beta), batch(side)
    assert_equal(results(network, weights, images, channels), results(oracle, weights, images, channels, plain))
    none = torch.autograd.grad(network(images, *weights[:2], channels).sum(), weights[2][0])[0][:, 0]
    assert not none.any()


def test_the_order_of_the_operations_is_that_of_the_weights(monkeypatch):
    """`none` goes first in both spaces; it need not."""
    space, network = cell_space("nas-bench-201"), built(GraphMixture, cell_space("nas-bench-201"), 2, settings())
    operations, _, _ = weights_of(space)
    moved = (*space.operations[2:], *space.operations[:2])
    monkeypatch.setattr(type(space), "operations", moved)
    other = built(GraphMixture, space, 2, settings())
    other.load_state_dict(network.state_dict())
    rolled = {"cell": operations["cell"].roll(-2, dims=1)}
    torch.testing.assert_close(other(batch(), rolled, None), network(batch(), operations, None), rtol=1e-9, atol=1e-10)


def test_drawn_channels_are_a_uniform_choice_per_edge():
    """One row per edge, rising; each of 8 channels in 2 of 8 draws: 100 expected of 400, standard deviation 8.7."""
    network = built(GraphMixture, cell_space("nas-bench-201"), 4, settings(channels=8))
    draws = [network.draw_channels(torch.Generator().manual_seed(seed)) for seed in range(400)]
    assert [tuple(drawn.shape) for drawn in draws[0]] == [(6, 2), (6, 4), (6, 8)]
    assert all((drawn.diff(dim=1) > 0).all() for cells in draws for drawn in cells)
    counts = torch.stack([F.one_hot(cells[0], 8).sum(dim=1) for cells in draws]).sum(dim=0)
    assert (counts - 100).abs().max() < 5 * 8.7
    assert not torch.equal(counts[0], counts[1])


@pytest.mark.parametrize(
    ("changes", "partial_channels", "message"),
    [
        ({}, 3, "K = 3 does not divide the 4 channels: choose --partial-channels"),
        ({}, 0, "K = 0 does not divide"),
        ({"layers": 4}, 1, "--layers is a multiple of 3, not 4"),
        ({"image_size": 3}, 1, "3x3 are too small"),
        ({"auxiliary": True}, 1, "no place for an auxiliary tower"),
    ],
)
def test_settings_that_make_no_network(changes, partial_channels, message):
    with pytest.raises(UsageError, match=message):
        built(GraphMixture, cell_space("nas-bench-201"), partial_channels, settings(**changes))


def test_only_faster_networks_recompute():
    with pytest.raises(UsageError, match="--recompute is not available in the space nas-bench-201"):
        GraphMixture(cell_space("nas-bench-201"), settings(), partial_channels=1, recompute=True)


def test_a_tower_that_is_not_there_cannot_answer():
    space = cell_space("nas-bench-201")
    operations, shares, _ = weights_of(space)
    with pytest.raises(ValueError, match="without an auxiliary tower"):
        built(GraphMixture, space, 1, settings())(batch(), operations, shares, with_auxiliary=True)
