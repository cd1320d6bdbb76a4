"""The search network against the per-edge implementation in `oracle.py`, and what each of its arguments must do."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nascli.core.nn import mixed_cell
from nascli.core.nn.aten import channels_last
from nascli.core.nn.mixed_cell import MOST_DENSE
from nascli.core.nn.mixed_network import MixedNetwork
from nascli.errors import UsageError
from nascli.spaces.darts import Darts
from nascli.spaces.network_settings import NetworkSettings
from tests.core.nn.oracle import Oracle, assert_close_by_name, by_name

OPERATIONS = Darts.operations


def settings(**changes):
    """Normal at 0, reduction at 1 and 2: strides 1 and 2, and a cell after a reduction."""
    small = {
        "operations": OPERATIONS,
        "nodes": 1,
        "layers": 3,
        "channels": 4,
        "stem": "cifar",
        "classes": 3,
        "image_channels": 1,
        "partial_channels": 2,
    }
    return small | changes


def mixed(image_size=32, auxiliary=False, recompute=False, **changes):
    fields = settings(**changes)

    class Space(Darts):
        operations = fields.pop("operations")

    space, partial_channels = Space(fields.pop("nodes")), fields.pop("partial_channels")
    sizes = NetworkSettings(**fields, image_size=image_size, auxiliary=auxiliary)
    return MixedNetwork(space, sizes, partial_channels=partial_channels, recompute=recompute)


def pair(seed=0, **changes):
    torch.manual_seed(seed)
    network, oracle = mixed(**changes).double(), Oracle(**settings(**changes)).double()
    oracle.copy_from(network)
    return network, oracle


def batch(side=8, size=6, image_channels=1, seed=1):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randn(size, image_channels, side, side, generator=draw, dtype=torch.float64)
    return images, torch.arange(size) % 3


def logits_of(network, seed=2):
    """alpha and beta of a network: spread out, so that no two edges weigh alike."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {
        "alpha": (len(network.edges), len(network.cells[0].size.space.operations)),
        "beta": (len(network.edges),),
    }
    return {
        (name, cell): torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_()
        for name, shape in shapes.items()
        for cell in ("normal", "reduce")
    }


def mixture(network, logits):
    """softmax(alpha) over operations and softmax(beta) over the edges into each node, edge by edge."""
    operations = {cell: logits["alpha", cell].softmax(dim=1) for cell in ("normal", "reduce")}
    edges = {}
    for cell in ("normal", "reduce"):
        exponents = logits["beta", cell].exp()
        into = [sum(exponents[r] for r, (_, j) in enumerate(network.edges) if j == node) for _, node in network.edges]
        edges[cell] = exponents / torch.stack(into)
    return operations, edges


def gradients(model, loss, logits):
    parameters = list(model.parameters())
    grads = torch.autograd.grad(loss, [*parameters, *logits.values()], materialize_grads=True)
    return by_name(model, grads[: len(parameters)]), dict(zip(logits, grads[len(parameters) :], strict=True))


def compare(network, oracle, images, labels, channels=None, beta=True):
    """Losses to 1e-10, gradients of weights, alpha and beta to 1e-8, running statistics to 1e-10; returns the
    gradients.
    """
    logits = logits_of(network)
    results = []
    for model in (network, oracle):
        operations, edges = mixture(network, logits)
        loss = F.cross_entropy(model(images, operations, edges if beta else None, channels), labels)
        results.append((loss, *gradients(model, loss, logits)))
    (loss, weights, architecture), (loss_o, weights_o, architecture_o) = results
    torch.testing.assert_close(loss, loss_o, rtol=0, atol=1e-10)
    assert_close_by_name(weights, weights_o, rtol=0, atol=1e-8)
    assert_close_by_name(architecture, architecture_o, rtol=0, atol=1e-8)
    states = [model.state_dict() for model in (network, oracle)]
    assert_close_by_name(states[0], {name: states[1][name] for name in states[0]}, rtol=0, atol=1e-10)
    return weights, architecture


@pytest.mark.parametrize(
    ("partial_channels", "nodes", "sampling"),
    [(1, 2, "first"), (1, 1, "random"), (2, 1, "first"), (2, 3, "random"), (4, 2, "first"), (4, 1, "random")],
)
def test_equals_the_per_edge_implementation(partial_channels, nodes, sampling):
    network, oracle = pair(nodes=nodes, partial_channels=partial_channels)
    channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
    weights, architecture = compare(network, oracle, *batch(), channels)
    assert max(g.abs().max() for g in weights.values()) > 1e-3
    assert min(g.abs().max() for g in architecture.values()) > 1e-7


@pytest.mark.parametrize(
    "changes",
    [
        {"stem": "imagenet", "image_channels": 3, "side": 33},
        {"side": 7},
        {"side": 13, "sampling": "random"},
        {"layers": 1},
        {"layers": 2},
        {"channels": 6, "partial_channels": 3, "side": 6},
        {"channels": MOST_DENSE + 4, "partial_channels": 1, "side": 4},
        {"operations": ("dil_conv_5x5", "none", "skip_connect")},
        {"operations": ("avg_pool_3x3",)},
    ],
    ids=str,
)
def test_equals_it_in_other_networks(changes):
    side, sampling = changes.get("side", 8), changes.get("sampling", "first")
    network, oracle = pair(**{k: v for k, v in changes.items() if k not in ("side", "sampling")})
    channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
    compare(network, oracle, *batch(side, image_channels=changes.get("image_channels", 1)), channels)


@pytest.mark.parametrize(("sampling", "nodes"), [("first", 2), ("random", 1)])
def test_equals_it_in_the_form_of_a_gpu(sampling, nodes, monkeypatch):
    monkeypatch.setattr(mixed_cell, "on_cpu", lambda _: False)
    network, oracle = pair(nodes=nodes, partial_channels=1, channels=8)
    channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
    compare(network, oracle, *batch(), channels)


def test_equals_first_order_darts_without_beta():
    network, oracle = pair(partial_channels=1)
    _, architecture = compare(network, oracle, *batch(), beta=False)
    assert not architecture["beta", "normal"].any()
    assert architecture["alpha", "normal"].any()


@pytest.mark.parametrize("sampling", ["first", "random"])
def test_running_statistics_and_evaluation_equal_those_of_torch(sampling):
    network, oracle = pair()
    channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
    operations, edges = mixture(network, logits_of(network))
    for seed in range(3):
        images, _ = batch(seed=seed)
        with torch.no_grad():
            for model in (network, oracle):
                model(2 + 3 * images, operations, edges, channels)
    network.eval(), oracle.eval()
    weights, _ = compare(network, oracle, *batch(), channels)
    assert max(g.abs().max() for g in weights.values()) > 1e-3
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(batch()[0], operations, edges, channels)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("sampling", ["first", "random"])
def test_recomputing_cells_changes_no_bit(sampling):
    results = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = mixed(recompute=recompute)
        channels = network.draw_channels(torch.Generator().manual_seed(3)) if sampling == "random" else None
        images, labels = batch()
        logits = {name: value.detach().float().requires_grad_() for name, value in logits_of(network).items()}
        loss = F.cross_entropy(network(images.float(), *mixture(network, logits), channels), labels)
        weights, architecture = gradients(network, loss, logits)
        results.append({**weights, **architecture, **network.state_dict(), "loss": loss.detach()})
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def kept_for_backward(recompute):
    torch.manual_seed(0)
    network = mixed(recompute=recompute)
    sizes = {}

    def pack(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = (tensor.untyped_storage().nbytes(), tensor)
        return tensor

    logits = {name: value.detach().float() for name, value in logits_of(network).items()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(batch(size=32)[0].float(), *mixture(network, logits)).sum()
    return sum(size for size, _ in sizes.values())


def test_recomputing_cells_keeps_a_fraction():
    assert kept_for_backward(recompute=True) < 0.4 * kept_for_backward(recompute=False)


def test_single_precision_is_as_good_as_the_per_edge_implementations():
    network, oracle = pair(channels=8, partial_channels=2)
    images, labels = batch(size=32)
    # A state that is far from zero everywhere, as after a ReLU: where a covariance loses digits, if anywhere.
    images = 0.1 * images + 3
    logits = logits_of(network)
    exact, _ = gradients(oracle, F.cross_entropy(oracle(images, *mixture(network, logits)), labels), logits)
    errors = []
    # In one layout, since torch sums a batch norm's statistics in float64 where maps are contiguous.
    for model in (network.float(), oracle.float().to(memory_format=torch.channels_last)):
        single = {name: value.detach().float().requires_grad_() for name, value in logits.items()}
        loss = F.cross_entropy(model(channels_last(images.float()), *mixture(network, single)), labels)
        rounded, _ = gradients(model, loss, single)
        errors.append({name: (rounded[name].double() - exact[name]).norm() / exact[name].norm() for name in exact})
    fused, plain = (torch.tensor([e[name] for name in exact if e[name].isfinite()]).median() for e in errors)
    assert fused < 3 * plain


def test_bfloat16_autocast_stays_near_single_precision():
    torch.manual_seed(0)
    network = mixed(channels=8)
    images, _ = batch(size=16)
    logits = {name: value.detach().float().requires_grad_() for name, value in logits_of(network).items()}
    exact = network(images.float(), *mixture(network, logits))
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(images.float(), *mixture(network, logits))
        loss = F.cross_entropy(rough.float(), batch(size=16)[1])
    loss.backward()
    assert (rough.float() - exact).norm() < 0.1 * exact.norm()
    assert all(value.grad.isfinite().all() for value in logits.values())


def test_none_takes_its_share_and_nothing_else():
    network, _ = pair()
    operations, edges = mixture(network, logits_of(network))
    images, _ = batch()
    none = OPERATIONS.index("none")
    weights = {cell: w.detach().clone().requires_grad_() for cell, w in operations.items()}
    logits = network(images, weights, edges)
    assert not torch.autograd.grad(logits.square().sum(), weights["normal"])[0][:, none].any()
    with torch.no_grad():
        weights["normal"][:, none] += 5
        assert torch.equal(network(images, weights, edges), network(images, operations, edges))
        weights["normal"] *= 0.5
        assert not torch.allclose(network(images, weights, edges), network(images, operations, edges))


def test_the_order_of_operations_is_that_of_the_columns():
    network, _ = pair()
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    other = mixed(operations=tuple(OPERATIONS[column] for column in order)).double()
    other.load_state_dict(network.state_dict())
    operations, edges = mixture(network, logits_of(network))
    permuted = {cell: weights[:, order] for cell, weights in operations.items()}
    images, _ = batch()
    torch.testing.assert_close(other(images, permuted, edges), network(images, operations, edges), rtol=1e-12, atol=0)


def test_drawn_channels_are_a_uniform_choice_per_edge_and_seeded():
    network = mixed(nodes=3, channels=8, partial_channels=4)
    draws = [network.draw_channels(torch.Generator().manual_seed(seed)) for seed in range(400)]
    assert [tuple(drawn.shape) for drawn in draws[0]] == [(9, 2), (9, 4), (9, 8)]
    assert all((drawn.diff(dim=1) > 0).all() for cells in draws for drawn in cells)
    again = network.draw_channels(torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(draws[0], again, strict=True))
    counts = torch.stack([F.one_hot(cells[0], 8).sum(dim=1) for cells in draws]).sum(dim=0)
    # Each of 8 channels in 2 of 8 draws: 100 expected of 400, standard deviation 8.7.
    assert (counts - 100).abs().max() < 5 * 8.7
    assert not torch.equal(counts[0], counts[1])


def test_channels_that_no_edge_draws_never_meet_an_operation():
    """With every edge drawing channels 0 and 1 of 4, the rest of the first cell is sums of its inputs: linear in
    them.
    """
    network, _ = pair(nodes=3, layers=3)
    cell = network.cells[0]
    draw = torch.Generator().manual_seed(4)
    first, second, change = (torch.randn(2, 12, 8, 8, generator=draw, dtype=torch.float64) for _ in range(3))
    cell.eval()
    operations, edges = mixture(network, logits_of(network))
    weights = network.mixture(operations["normal"], edges["normal"])
    drawn = torch.tensor([[0, 1]]).repeat(len(network.edges), 1)

    def run(second):
        return cell(first, second, weights, drawn, last=True)[0].unflatten(1, (3, 4))

    bent = run(second + change) - run(second) - (run(second + 2 * change) - run(second + change))
    assert bent[:, :, 2:].abs().max() < 1e-12
    assert bent[:, :, :2].abs().max() > 1e-3


def test_weights_are_addressed_by_edge_and_operation():
    network, oracle = pair(nodes=3)
    names = set(network.state_dict())
    assert "cells.1.edges.0-2.sep_conv_3x3.first.depthwise.weight" in names
    assert "cells.1.edges.1-4.skip_connect.shifted_conv.weight" in names
    assert names == {name for name in oracle.state_dict() if name in names or not name.endswith("num_batches_tracked")}
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in oracle.parameters())
    other = mixed(nodes=3).double()
    other.load_state_dict(network.state_dict())
    loaded = other.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())


def test_loading_checks_names_and_shapes_of_every_edge():
    network, _ = pair(nodes=2)
    name = "cells.0.edges.1-3.dil_conv_5x5.pointwise.weight"
    state = network.state_dict()
    value = state.pop(name)
    with pytest.raises(RuntimeError, match=r"Missing key.*cells\.0\.edges\.1-3\.dil_conv_5x5\.pointwise\.weight"):
        network.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*cells\.0\.edges\.1-9\.x"):
        network.load_state_dict({**state, name: value, "cells.0.edges.1-9.x": value})
    with pytest.raises(RuntimeError, match=r"size mismatch for cells\.0\.edges\.1-3"):
        network.load_state_dict({**state, name: value[:1]})
    network.load_state_dict(state, strict=False)


def test_initial_weights_are_those_of_torch_and_follow_the_seed():
    torch.manual_seed(5)
    network = mixed(nodes=3, channels=32, partial_channels=1, layers=1)
    state = network.state_dict()
    references = {
        "depthwise": (nn.Conv2d(64, 64, 5, groups=64), "edges.0-2.sep_conv_5x5.first.depthwise.weight"),
        "pointwise": (nn.Conv2d(64, 64, 1), "edges.2-4.dil_conv_3x3.pointwise.weight"),
        "skip": (nn.Conv2d(64, 32, 1), "edges.1-3.skip_connect.shifted_conv.weight"),
    }
    for reference, name in references.values():
        weight = state["cells.0." + name]
        assert weight.shape == reference.weight.shape
        bound = reference.weight.abs().max()
        assert weight.abs().max() == pytest.approx(bound.item(), rel=0.02)
        # Uniform on ±bound; 1,600 values at least, so the deviation is known to a few percent.
        assert weight.std() == pytest.approx(bound.item() / 3**0.5, rel=0.06)
    torch.manual_seed(5)
    again = mixed(nodes=3, channels=32, partial_channels=1, layers=1).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partial_channels": 3}, "K = 3 does not divide the 4 channels"),
        ({"partial_channels": 0}, "K = 0 does not divide"),
        ({"image_size": 3}, "3x3 are too small for the cifar stem"),
        ({"auxiliary": True, "image_size": 28}, "needs images of 29 to 40 pixels a side, not of 28"),
    ],
)
def test_settings_that_make_no_network(changes, message):
    with pytest.raises(UsageError, match=message):
        mixed(**changes)


@pytest.mark.parametrize("layers", [3, 4])
def test_the_tower_reads_the_second_reduction_cells_output(layers):
    """Cell 2 of 3, the last one, whose ReLU is the tower's own; and cell 2 of 4, whose ReLU the next one shares."""
    torch.manual_seed(0)
    network = mixed(nodes=1, layers=layers, auxiliary=True).double()
    plain = mixed(nodes=1, layers=layers).double()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("auxiliary.")})
    images, _ = batch(side=32)
    operations, edges = mixture(network, logits_of(network))
    seen = []
    plain.cells[2].register_forward_hook(lambda _module, _inputs, result: seen.append(result[0].clone()))
    wanted = plain(images, operations, edges)
    logits, auxiliary = network(images, operations, edges, with_auxiliary=True)
    assert torch.equal(logits, wanted)
    assert auxiliary.shape == logits.shape
    torch.testing.assert_close(auxiliary, network.auxiliary(seen[0]), rtol=1e-9, atol=1e-12)
    slope = torch.autograd.grad(auxiliary.square().sum(), operations["reduce"], retain_graph=True)[0]
    seen.clear()
    plain(images, operations, edges)
    by_hand = torch.autograd.grad(network.auxiliary(seen[0]).square().sum(), operations["reduce"])[0]
    torch.testing.assert_close(slope, by_hand, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="without an auxiliary tower"):
        plain(images, operations, edges, with_auxiliary=True)
