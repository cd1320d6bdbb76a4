"""What every search method promises, checked for each row of the registry on a tiny network and a few digits, in each
space of the kind that it searches; of the super-networks in one.
"""

import math

import pytest
import torch

from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes
from nascli.artifacts.genotypes.genotype import as_text, parse_genotype
from nascli.artifacts.load import read_artifact
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.config import SearchConfig
from nascli.core.engine.destination import provenance
from nascli.core.engine.search import SearchJob, build_method, open_streams
from nascli.core.nn.build import build_network
from nascli.core.runtime import open_runtime
from nascli.data import open_data
from nascli.registry import METHODS, SPACES
from nascli.settings import settings_class
from nascli.spaces.names import SKIP

TINY = {"epochs": 2, "batch_size": 8, "limit_train": 60, "layers": 3, "channels": 4, "samples": 4, "seed": 9}
TINY_SUPERNET = {"width": 4, "depth": 1}
OF_SPACE = {"darts": {"nodes": 1}}
LARGER = {"darts": {"layers": 4, "channels": 8}, "nas-bench-201": {"layers": 6, "channels": 8}}
WITHOUT_WARMUP = {"arch_warmup_epochs": 0}
SHORT = {"trials": 2}  # of the seed above, the first is a network all of whose weights have a part in its output

SPACES_OF = {"cells": tuple(SPACES), "channels": ("resnet-mb",)}
CASES = [(method, space) for method, row in METHODS.items() for space in SPACES_OF[row.searches]]
STAND_FOR_CELLS = {method for method, row in METHODS.items() if row.searches == "cells" and not row.ranks}
OF_CELLS = [(method, space) for method, space in CASES if METHODS[method].searches == "cells"]


LIMITED = {"darts": {"max_params": 26_000, "max_skips": 1}, "nas-bench-201": {"max_params": 90_000, "max_skips": 1}}
"""About a tenth of the cells, trained by the recipe for digits."""


def settings_of(method):
    return set(settings_class(method).model_fields)


DRAWN = [case for case in OF_CELLS if "max_params" in settings_of(case[0])]
LAYERS = {"darts": 5, "nas-bench-201": 6}


WITHIN_LIMITS = [("parsec", "darts"), ("random", "nas-bench-201")]
"""These are run so, and without limits in the other space."""

SAME_CODE = ("pc-darts", "nas-bench-201")
"""As `darts` there, with other settings."""

OPTIONS = {"gaussian": {"noise": "gaussian"}}
"""Of PGNAS, for which a step is another."""


def named(case):
    """The name of a case: a method, a space, and whether it is limited or has other options."""
    named = [name for name, given in {"limited": LIMITED.get(case[1]), **OPTIONS}.items() if case[2] == given]
    return "-".join([*case[:2], *named])


def configured(case, **given):
    """A tiny search: of all that there is to say, what the method has a setting for."""
    method, space = case
    values = {**TINY, **TINY_SUPERNET, **OF_SPACE.get(space, {}), **WITHOUT_WARMUP, **SHORT}
    own = settings_of(method) | SearchConfig.model_fields.keys()
    return SearchConfig(method=method, space=space, **{k: v for k, v in values.items() if k in own}, **given)


WITH_OPTIONS = [
    *((*case, {}) for case in CASES if case not in (*WITHIN_LIMITS, SAME_CODE)),
    *((*case, LIMITED[case[1]]) for case in WITHIN_LIMITS),
    *(("pgnas", "resnet-mb", given) for given in OPTIONS.values()),
]


@pytest.fixture(params=WITH_OPTIONS, ids=named, scope="module")
def config(request):
    *case, more = request.param
    return configured(case, **more)


class Course:
    """A search of three steps, and what there was on the way: several tests look at one."""

    def __init__(self, config):
        self.running = running = Running(config)
        self.at_start = running.bytes()
        self.initial = {name: tensor.clone() for name, tensor in running.method.network.named_parameters()}
        self.rows = running.steps(1)
        self.after_one = running.bytes()
        positions = {name: stream.position for name, stream in running.streams.items()}
        self.saved = checkpoint_bytes({"method": running.method.state_dict(), "positions": positions})
        self.rows += running.steps(1)
        self.after_two = {name: tensor.clone() for name, tensor in running.method.network.named_parameters()}
        self.rows += running.steps(1)
        self.at_end = running.bytes()


@pytest.fixture(scope="module")
def course(config):
    return Course(config)


def test_what_is_drawn_is_within_the_limits():
    for case in DRAWN:
        most = LIMITED[case[1]]["max_params"]
        running = Running(configured(case, **LIMITED[case[1]]))
        limits = running.method._plan.limits
        assert (limits.max_params, limits.max_skips, limits.network.layers) == (most, 1, LAYERS[case[1]])
        now = running.method.distribution()
        cells = [now.mode(), *(now.waiting if case[0] == "random" else (now.sample(1, number) for number in range(3)))]
        for cell in cells:
            assert cell.graph(limits.network).size.parameters <= most
            assert all([pick.op for node in one.nodes for pick in node].count(SKIP) <= 1 for one in cell.cells.values())
        if case[0] == "parsec":  # what drifts beside it is within the same limits
            health = running.method.health(running.streams)
            assert health["drift_entropy"] == health["entropy"]
        told = f"only cells within --max-skips 1 and --max-params {most:,}"
        assert any(told in one for one in running.method.notices)


def derived(distribution):
    """The genotype that a distribution stands for: its mode, or where it has none, a sample; or all that there is."""
    if hasattr(distribution, "genotype") and not hasattr(distribution, "sample"):
        return distribution.genotype
    return distribution.mode() if hasattr(distribution, "mode") else distribution.sample(seed=3, number=1)


class Running:
    """A method with its streams."""

    def __init__(self, config):
        self.runtime = open_runtime(config)
        self.data = open_data(config, device=self.runtime.device)
        self.streams = open_streams(config, self.data, self.runtime)
        self.method = build_method(config, self.data.info, self.streams, self.runtime)
        self.config = config

    def steps(self, count):
        return [{k: float(v) for k, v in self.method.step(self.streams).items()} for _ in range(count)]

    def bytes(self):
        origin = provenance(self.config, self.data.info, None)
        return distribution_bytes(DistributionFile(self.method.distribution(), origin, self.method.weights()))


def test_steps_are_finite_and_move_the_distribution_and_the_weights(course):
    assert all(torch.isfinite(torch.tensor(list(row.values()))).all() for row in course.rows)
    assert course.at_end != course.at_start
    assert not [name for name, weights in course.after_two.items() if torch.equal(weights, course.initial[name])]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(course, config):
    """Of the first step; the next test has the others."""
    same, other = Running(config), Running(config.model_copy(update={"seed": 4}))
    assert same.steps(1) == course.rows[:1]
    assert same.bytes() == course.after_one
    other.steps(1)
    assert other.bytes() != course.after_one


def test_a_method_restored_from_its_state_goes_on_to_the_bit(course, config):
    resumed = Running(config)
    state = load_checkpoint(course.saved, "saved")
    resumed.method.load_state_dict(state["method"])
    for name, position in state["positions"].items():
        resumed.streams[name].position = position
    assert resumed.steps(2) == course.rows[1:]
    assert resumed.bytes() == course.at_end
    for name, tensor in course.running.method.network.state_dict().items():
        assert torch.equal(resumed.method.network.state_dict()[name], tensor), name


def test_a_distribution_survives_its_file_and_derives_the_same_each_time(course, config):
    data, method = course.at_end, course.running.method
    read = read_artifact(data, "file").value
    assert distribution_bytes(read) == data
    assert derived(read.distribution) == derived(read_artifact(data, "file").value.distribution)
    assert derived(read.distribution) == derived(method.distribution())
    health = method.health(course.running.streams)
    assert health == method.health(course.running.streams)
    assert all(math.isfinite(value) for value in health.values())
    assert ("skip_share" in health) == (config.method in STAND_FOR_CELLS)


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


def test_a_search_goes_on_from_anothers_distribution_in_a_larger_network(course, config):
    learnt = read_artifact(course.at_end, "file").value
    larger = LARGER.get(config.space, {})
    large = Running(config.model_copy(update={"settings": config.settings.model_copy(update=larger)}))
    large.method.start_from(learnt)
    assert derived(large.method.distribution()) == derived(learnt.distribution)
    large.steps(1)


@pytest.mark.parametrize("case", [case for case in OF_CELLS if case[0] in STAND_FOR_CELLS], ids="-".join)
def test_the_metrics_tell_the_cells_that_would_be_derived_now(case):
    running = Running(configured(case).model_copy(update={"limit_train": 16}))
    job = SearchJob(running.config, running.method, running.streams, running.runtime)
    rows = [job.start_metrics()]
    for _ in range(job.steps_per_epoch):
        job.step()
    rows.append(job.epoch_metrics())
    mode = running.method.distribution().mode()
    assert rows[-1]["genotype"] == as_text(mode)
    assert "\n" not in rows[-1]["genotype"]
    for row in rows:
        read = parse_genotype(row["genotype"].encode(), "a row").genotype
        assert read.space == running.config.space
        assert as_text(read) == row["genotype"]
    assert read == mode


@pytest.mark.parametrize("case", [("pgnas", "resnet-mb"), ("spos", "darts")], ids="-".join)
def test_there_are_no_cells_to_tell_of_channels_or_before_a_ranking(case):
    running = Running(configured(case))
    job = SearchJob(running.config, running.method, running.streams, running.runtime)
    assert "genotype" not in job.epoch_metrics()


@pytest.mark.parametrize("case", [case for case in OF_CELLS if "network" in settings_of(case[0])], ids="-".join)
def test_a_child_of_shared_weights_is_its_derived_network(case):
    """With `network = derived` a child has the forms of the network that will be trained. With the same weights under
    the same names, and by the statistics of the batch, both must say the same.
    """
    running = Running(configured(case, network="derived"))
    shared = running.method.network.double()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():  # scales and shifts of batch norms begin as 1 and 0, which says little
        for weights in shared.parameters():
            weights.add_(0.3 * torch.randn(weights.shape, generator=draw, dtype=torch.float64))
    weights = shared.state_dict()
    images = running.streams["train"].next()[0].double()
    samples = (running.method.distribution().sample(5, number) for number in range(40))
    # Of equal picks of a node the shared network computes one, the derived network has two, each with its weights.
    children = [child for child in samples if all(len(set(node)) == len(node) for node in nodes_of(child))][:6]
    assert len(children) == 6
    answers = []
    for child in children:
        network = build_network(child.graph(running.method._size), seed=9).double()
        own = {name: weights[name] for name, _ in network.named_parameters()}
        network.load_state_dict(own, strict=False)
        answers.append(network(images))
        torch.testing.assert_close(shared(images, running.method._graph(child)), answers[-1], rtol=1e-9, atol=1e-9)
    assert all((answer - answers[0]).abs().max() > 0.01 for answer in answers[1:])


def nodes_of(genotype):
    return (node for cell in genotype.cells.values() for node in cell.nodes)
