"""Captured passes: which are captured, and that they are the network's own. Without a GPU, a stand-in captures them."""

import pytest
import torch
from torch import nn

import nascli
from nascli.config import SearchConfig, TrainConfig
from nascli.core.cuda_graphs import GraphedNetwork
from nascli.core.runtime import Runtime, open_runtime
from tests.core.methods.test_contract import Running, configured

CAPTURED = [("pc-darts", "darts"), ("pc-darts", "nas-bench-201"), ("darts", "darts"), ("pgnas", "resnet-mb")]


class Mixture(nn.Module):
    """Images [B, 2, 3, 3] and weights by name -> logits, and the tower's where it is wanted."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images, weights, channels=None, *, with_auxiliary=False):
        maps = self.norm(self.conv(images)) * weights["normal"]
        logits = (maps if channels is None else maps[:, channels]).mean(dim=(2, 3))
        return (logits, 2 * logits) if with_auxiliary else logits


@pytest.fixture
def captures(monkeypatch):
    """Stands for torch.cuda.make_graphed_callables: it warms up, and replays on the memory of its examples."""
    made = []

    def make(function, examples, *, allow_unused_input, pool):
        assert allow_unused_input
        for _ in range(3):
            function(*examples)

        def replay(*given):
            assert [(x.shape, x.requires_grad) for x in given] == [(x.shape, x.requires_grad) for x in examples]
            return function(*given)

        made.append(examples)
        return replay

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "memory")
    return made


def example(count=5):
    images = torch.randn(count, 2, 3, 3, generator=torch.Generator().manual_seed(count))
    return images, {"normal": torch.rand(4, 1, 1, generator=torch.Generator().manual_seed(1), requires_grad=True)}


def test_a_replayed_pass_is_the_networks_own(captures):
    """Logits, gradients of arguments and running statistics, which the passes that warm up leave alone."""
    torch.manual_seed(0)
    plain, told = Mixture(), []
    graphed = GraphedNetwork(Mixture(), told.append)
    graphed.network.load_state_dict(plain.state_dict())
    for _ in range(2):
        results = []
        for network in (plain, graphed):
            images, weights = example()
            logits, tower = network(images, weights, torch.tensor([0, 2]), with_auxiliary=True)
            (logits.sum() + tower[0, 0]).backward()
            results.append((logits, tower, weights["normal"].grad))
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert len(captures) == 1
    assert not told
    for name, value in plain.state_dict().items():
        assert torch.equal(graphed.network.state_dict()[name], value), name


def test_every_form_is_captured_once_and_the_rest_is_not(captures):
    graphed = GraphedNetwork(Mixture(), pytest.fail)
    images, weights = example()
    fixed = {"normal": weights["normal"].detach()}
    for _ in range(2):
        graphed(images, weights)
        graphed(images, fixed)  # the step of the weights
        graphed(images, weights, with_auxiliary=True)
        graphed(example(4)[0], weights)
    assert len(captures) == 4
    graphed.network.requires_grad_(False)
    graphed(images, weights)  # the step of the architecture
    assert len(captures) == 5
    graphed.network.requires_grad_(True)
    with torch.no_grad():
        graphed(example(3)[0], weights)
    graphed.network.eval()
    graphed(example(2)[0], weights)
    assert len(captures) == 5


def test_what_cannot_be_captured_runs_in_the_ordinary_way_and_is_told_once(monkeypatch, captures):
    def refuse(function, examples, **_):
        function(*examples)
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    torch.manual_seed(0)
    plain, told = Mixture(), []
    graphed = GraphedNetwork(Mixture(), told.append)
    graphed.network.load_state_dict(plain.state_dict())
    for _ in range(2):
        assert torch.equal(graphed(*example()), plain(*example()))
    assert torch.equal(graphed.network.norm.running_mean, plain.norm.running_mean)
    (text,) = told
    assert text.endswith("ordinary way: operation not permitted when stream is capturing")


def test_memory_that_runs_out_is_no_reason_to_go_on(monkeypatch, captures):
    def exhausted(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        GraphedNetwork(Mixture(), pytest.fail)(*example())


def test_without_a_gpu_steps_are_ordinary_and_a_notice_says_so():
    for config in (SearchConfig(cuda_graphs=True, device="cpu"), TrainConfig(cuda_graphs=True, device="cpu")):
        runtime = open_runtime(config)
        network = Mixture()
        assert runtime.runnable(network) is network
        assert "--cuda-graphs is for GPUs: on the cpu steps run in the ordinary way" in runtime.notices
    assert not any(Runtime(torch.device("cpu")).notices)


def test_a_gpu_replays_passes_whose_gradients_are_used_at_once():
    runtime = Runtime(torch.device("cuda"), cuda_graphs=True)
    assert runtime.replays
    assert isinstance(runtime.runnable(Mixture()), GraphedNetwork)
    assert not isinstance(runtime.runnable(Mixture(), replays=False), GraphedNetwork)


@pytest.mark.gpu
@pytest.mark.parametrize("case", CAPTURED, ids="-".join)
def test_a_captured_search_is_the_ordinary_one(case):
    told, rows = [], []
    for graphs in (False, True):
        running = Running(configured(case, device="cuda", cuda_graphs=graphs))
        running.runtime.listeners.append(told.append)
        rows.append(running.steps(6))
    assert not told
    for ordinary, captured in zip(*rows, strict=True):
        assert captured == pytest.approx(ordinary, rel=1e-3)


@pytest.mark.gpu
def test_a_captured_training_is_the_ordinary_one(tmp_path):
    models = [
        nascli.train(
            "pc-darts-cifar10",
            TrainConfig(
                epochs=1, batch_size=32, limit_train=160, layers=3, channels=4, device="cuda", cuda_graphs=graphs
            ),
        )
        for graphs in (False, True)
    ]
    ordinary, captured = (model.value.metrics for model in models)
    assert captured["train_loss"] == pytest.approx(ordinary["train_loss"], rel=1e-2)


@pytest.mark.gpu
def test_a_pass_that_waits_for_numbers_cannot_be_captured():
    class Deciding(Mixture):
        def forward(self, images, weights):
            return super().forward(images, weights) * (2 if bool(images.sum() > 0) else 3)

    told = []
    graphed = GraphedNetwork(Deciding().cuda(), told.append)
    images, weights = example()
    for _ in range(2):
        graphed(images.cuda(), {"normal": weights["normal"].detach().cuda().requires_grad_()}).sum().backward()
    assert len(told) == 1
