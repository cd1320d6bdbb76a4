"""What a dry run says, against sums by hand and the same steps taken outside it. Digits: 8x8 pixels, 10 classes."""

import pytest
import torch

import nascli
from nascli.artifacts.genotypes.published import load
from nascli.core.engine.dry_run import plan_search, plan_train
from nascli.core.engine.reporter import Silent
from nascli.core.engine.search import build_method, open_streams
from nascli.core.engine.train import TrainJob
from nascli.core.memory import MemoryMeter
from nascli.core.methods.pc_darts import PcDarts
from nascli.core.runtime import open_runtime
from nascli.data import open_data
from nascli.errors import MemoryExhausted
from nascli.registry import METHODS, SPACES
from nascli.settings import settings_class
from nascli.spaces.network_settings import NetworkSettings
from tests.data.pictures import make_folder

TINY = {"limit_train": 160, "batch_size": 32, "layers": 3, "channels": 4}
CELLS = {**TINY, "epochs": 3, "nodes": 1, "arch_warmup_epochs": 1}
SPACES_OF = {"cells": tuple(SPACES), "channels": ("resnet-mb",)}


class Told(Silent):
    def __init__(self):
        self.notices = []

    def notice(self, text):
        self.notices.append(text)


@pytest.fixture
def visited(monkeypatch):
    """The numbers of the steps that PC-DARTS takes."""
    numbers = []
    step = PcDarts.step

    def recorded(method, streams):
        numbers.append(method.steps_done)
        return step(method, streams)

    monkeypatch.setattr(PcDarts, "step", recorded)
    return numbers


def test_two_steps_of_each_kind_are_taken_and_every_step_of_the_run_is_counted(visited):
    told = Told()
    plan = plan_search(nascli.SearchConfig(**CELLS), reporter=told)
    # 160 images, a half of them to learn from: two batches of 32 in each of three epochs; the first is warm-up.
    assert visited == [0, 1, 2, 3]
    assert (plan["steps"], plan["warmup_steps"]) == (6, 2)
    assert plan["seconds"] == pytest.approx(2 * plan["warmup_seconds_per_step"] + 4 * plan["seconds_per_step"])
    assert 0 < plan["seconds_per_step"] < 60
    assert len(told.notices) == 2


@pytest.mark.parametrize("warmup", [0, 3])
def test_a_run_of_one_kind_of_step_takes_two(visited, warmup):
    plan = plan_search(nascli.SearchConfig(**{**CELLS, "arch_warmup_epochs": warmup}))
    assert visited == [0, 1]
    assert "warmup_steps" not in plan
    assert plan["seconds"] == pytest.approx(6 * plan["seconds_per_step"])


def numbers_in(tensors):
    return sum(tensor.numel() for tensor in tensors)


def test_the_peak_of_a_search_is_that_of_a_real_step_and_of_what_lives_all_the_time():
    config = nascli.SearchConfig(**CELLS)
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    streams = open_streams(config, data, runtime)
    method = build_method(config, data.info, streams, runtime)
    method.steps_done = 2
    architecture = [*method.alpha.values(), *method.beta.values()]
    network = [*method.network.parameters(), *method.network.buffers()]
    with MemoryMeter(ignore=[*network, *architecture]) as meter:
        method.step(streams)
    weights = numbers_in(method.network.parameters())
    buffers = sum(buffer.nbytes for buffer in method.network.buffers())
    # Float32: value, gradient and momentum of each weight; value and two moments of alpha and beta, and for each of
    # these four tensors the number of Adam's steps.
    always = 4 * (3 * weights + 3 * numbers_in(architecture) + 4) + buffers
    plan = plan_search(config)
    # A gradient may be a view of a slightly larger storage.
    assert plan["peak_memory_bytes"] - meter.peak == pytest.approx(always, rel=0.005)
    assert plan["parameters"] == weights
    assert plan["peak_memory_of"].startswith("weights, gradients")
    without = plan_search(nascli.SearchConfig(**{**CELLS, "recompute": True}))
    assert always < without["peak_memory_bytes"] < plan["peak_memory_bytes"]


def test_the_peak_of_a_training_is_that_of_its_last_epoch():
    config = nascli.TrainConfig(**TINY, epochs=2, drop_path=0.3)
    data = open_data(config, device=torch.device("cpu"))
    settings = NetworkSettings(layers=3, channels=4, stem="cifar", classes=10, image_channels=1, image_size=8)
    genotype = load("darts-v2").genotype
    job = TrainJob(genotype, genotype.graph(settings), settings, config, data, open_runtime(config))
    tensors = [*job.network.parameters(), *job.network.buffers()]
    job.steps_done = 5
    with MemoryMeter(ignore=tensors) as meter:
        job.step()
    sizes = (tensor.numel() * tensor.element_size() for tensor in tensors)
    always = sum(sizes) + 2 * 4 * numbers_in(job.network.parameters())
    told = Told()
    plan = plan_train("darts-v2", config, told)
    assert plan["peak_memory_bytes"] - meter.peak == pytest.approx(always, rel=0.005)
    assert plan["steps"] == 10
    assert plan["seconds"] == pytest.approx(10 * plan["seconds_per_step"])
    assert len(told.notices) == 1
    assert (
        plan_train("darts-v2", config.model_copy(update={"drop_path": 0.0}))["peak_memory_bytes"] < meter.peak + always
    )


@pytest.mark.parametrize(
    ("method", "space"),
    [
        (name, of[number % len(of)])
        for number, (name, row) in enumerate(METHODS.items())
        for of in [SPACES_OF[row.searches]]
    ],
)
def test_every_method_can_be_planned_and_leaves_nothing_behind(method, space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = set(settings_class(method).model_fields) | nascli.SearchConfig.model_fields.keys()
    given = {**CELLS, "trials": 3, "width": 2, "depth": 1, "held_out": 0.5, "space": space}
    given["nodes"] = 1 if space == "darts" else None
    config = nascli.SearchConfig(method=method, **{name: value for name, value in given.items() if name in own})
    before = torch.get_num_threads(), torch.get_rng_state()
    plan = plan_search(config)
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert plan["steps"] == 6
    assert plan["peak_memory_bytes"] > 12 * plan["parameters"]
    assert min(plan["seconds"], plan["seconds_per_step"], plan["multiply_adds"]) > 0
    assert plan["config"] == config.model_dump(mode="json")


def test_multiply_adds_are_those_of_one_image():
    config = nascli.SearchConfig(method="random", epochs=3, trials=3, **TINY)
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    method = build_method(config, data.info, open_streams(config, data, runtime), runtime)
    settings = NetworkSettings(layers=3, channels=4, stem="cifar", classes=10, image_channels=1, image_size=8)
    assert plan_search(config)["multiply_adds"] == method._cells[0].graph(settings).multiply_adds


def test_a_finetune_is_measured_from_the_distribution_that_it_starts_from(monkeypatch):
    started = []
    start_from = PcDarts.start_from

    def recorded(method, distribution):
        started.append((method.steps_done, distribution))
        start_from(method, distribution)

    monkeypatch.setattr(PcDarts, "start_from", recorded)
    run = nascli.search(nascli.SearchConfig(**{**CELLS, "epochs": 1, "limit_train": 64}))
    plan = plan_search(nascli.FinetuneConfig(**{**CELLS, "channels": 8}), run)
    assert started == [(0, run.value)]
    assert plan["config"]["settings"]["channels"] == 8


def test_a_step_that_does_not_fit_is_told_with_the_batch_size_to_try(monkeypatch):
    def too_much(method, streams):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(PcDarts, "step", too_much)
    with pytest.raises(MemoryExhausted, match="at batch size 32: try --batch-size 16"):
        plan_search(nascli.SearchConfig(**CELLS))


@pytest.mark.gpu
def test_on_a_gpu_all_that_is_allocated_counts():
    plan = plan_search(nascli.SearchConfig(**CELLS, device="cuda"))
    assert plan["peak_memory_of"] == "all that is allocated on the GPU"
    assert plan["peak_memory_bytes"] > 12 * plan["parameters"]


def test_a_plan_says_how_the_images_were_read_as_the_training_does(tmp_path):
    for name in ("training_set", "dev"):
        make_folder(tmp_path / name, {"cat": 8, "dog": 8}, side=8)
    size = {"layers": 3, "channels": 2, "auxiliary": 0.0, "epochs": 1, "batch_size": 4}
    told = Told()
    plan_train("enas", nascli.TrainConfig(dataset="folder", data_dir=tmp_path, image_size=8, **size), told)
    assert told.notices[0] == f"read in {tmp_path}: training images in training_set/, test images in dev/"
    told = Told()
    cells = {**CELLS, "dataset": "folder", "data_dir": tmp_path, "image_size": 8, "limit_train": None, "batch_size": 4}
    plan_search(nascli.SearchConfig(**cells), reporter=told)
    assert told.notices[0] == f"read in {tmp_path}: training images in training_set/, test images in dev/"


def test_a_search_of_a_single_step_is_measured_by_it():
    config = nascli.SearchConfig(
        method="random", trials=1, epochs=1, limit_train=60, batch_size=30, layers=3, channels=2, nodes=1
    )
    plan = plan_search(config)
    assert plan["seconds_per_step"] > 0
