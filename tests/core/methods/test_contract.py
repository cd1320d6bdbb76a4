"""What every search method promises, checked for each row of the registry on a tiny network and a few digits."""

import math

import pytest
import torch

from nascli.artifacts.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.artifacts.distribution import distribution_bytes, load_distribution
from nascli.config import SearchConfig
from nascli.core.engine.search import build_method, open_streams
from nascli.core.engine.session import provenance
from nascli.core.runtime import open_runtime
from nascli.data import open_data
from nascli.registry import METHODS

TINY = {"epochs": 2, "batch_size": 32, "limit_train": 160, "layers": 3, "channels": 4, "nodes": 2, "seed": 7}
TINY_SUPERNET = {"width": 4, "depth": 1}
LARGER = {"layers": 4, "channels": 8}
WITHOUT_WARMUP = {"arch_warmup_epochs": 0}
SHORT = {"candidates": 2}  # of the seed above, the first is a network whose every cell another one reads


@pytest.fixture(params=METHODS)
def config(request):
    own = {setting.name for setting in METHODS[request.param].settings}
    wanted = {
        k: v
        for k, v in {**TINY, **TINY_SUPERNET, **WITHOUT_WARMUP, **SHORT}.items()
        if k in own | SearchConfig.model_fields.keys()
    }
    return SearchConfig(method=request.param, **wanted)


def derived(distribution):
    """The genotype that a distribution stands for: its mode, or where it has none, a sample."""
    return distribution.mode() if hasattr(distribution, "mode") else distribution.sample(seed=3, number=1)


class Running:
    """A method with its streams."""

    def __init__(self, config):
        runtime = open_runtime(config)
        self.data = open_data(config, device=runtime.device)
        self.streams = open_streams(config, self.data, runtime)
        self.method = build_method(config, self.data.info, self.streams, runtime)
        self.config = config

    def steps(self, count):
        return [{k: float(v) for k, v in self.method.step(self.streams).items()} for _ in range(count)]

    def bytes(self):
        return distribution_bytes(self.method.distribution(provenance(self.config, self.data.info, None)))


def test_steps_are_finite_and_move_the_distribution_and_the_weights(config):
    running = Running(config)
    before = running.bytes()
    weights = {name: tensor.clone() for name, tensor in running.method.network.named_parameters()}
    rows = running.steps(2)
    assert all(torch.isfinite(torch.tensor(list(row.values()))).all() for row in rows)
    assert running.bytes() != before
    still = [n for n, p in running.method.network.named_parameters() if torch.equal(p, weights[n])]
    assert not still


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(config):
    first, second = Running(config), Running(config)
    other = Running(config.model_copy(update={"seed": 4}))
    for running in (first, second, other):
        running.steps(2)
    assert first.bytes() == second.bytes()
    assert first.bytes() != other.bytes()


def test_a_method_restored_from_its_state_goes_on_to_the_bit(config):
    whole = Running(config)
    whole.steps(2)
    saved = checkpoint_bytes(
        {"method": whole.method.state_dict(), "positions": {n: s.position for n, s in whole.streams.items()}}
    )
    expected = whole.steps(2)

    resumed = Running(config)
    state = load_checkpoint(saved, "saved")
    resumed.method.load_state_dict(state["method"])
    for name, position in state["positions"].items():
        resumed.streams[name].position = position
    assert resumed.steps(2) == expected
    assert resumed.bytes() == whole.bytes()
    for name, tensor in whole.method.network.state_dict().items():
        assert torch.equal(resumed.method.network.state_dict()[name], tensor), name


def test_a_distribution_survives_its_file_and_derives_the_same_each_time(config):
    running = Running(config)
    running.steps(1)
    data = running.bytes()
    read = load_distribution(data, "file")
    assert distribution_bytes(read) == data
    assert derived(read) == derived(load_distribution(data, "file"))
    health = running.method.health(running.streams)
    assert health == running.method.health(running.streams)
    assert all(math.isfinite(value) for value in health.values())
    assert ("skip_share" in health) == hasattr(read, "mode")  # of cells, of which there is a likeliest


def test_streams_serve_disjoint_images(config):
    """Every image of the data is made recognisable by its label, and one pass of each stream is looked at."""
    running = Running(config)
    feed = running.data._train.feed
    feed.labels = torch.arange(len(feed.labels))
    seen = {name: set() for name in running.streams}
    for name, stream in running.streams.items():
        assert stream.batches_per_pass >= 1
        for _ in range(stream.batches_per_pass):
            served = stream.next()[1].tolist()
            assert not seen[name] & set(served)
            seen[name] |= set(served)
        assert len(seen[name]) == stream.batches_per_pass * stream.batch_size
    assert sum(map(len, seen.values())) == len(set().union(*seen.values()))


def test_a_search_goes_on_from_anothers_distribution_in_a_larger_network(config):
    small = Running(config)
    small.steps(2)
    learnt = load_distribution(small.bytes(), "file")
    settings = {**config.settings, **{name: value for name, value in LARGER.items() if name in config.settings}}
    large = Running(config.model_copy(update={"settings": settings}))
    large.method.start_from(learnt)
    assert derived(large.method.distribution(learnt.provenance)) == derived(learnt)
    large.steps(1)
