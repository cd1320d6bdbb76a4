"""Scores of cells with shared weights, against one cell at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.ranking.cell_candidates import CellCandidates
from nascli.core.engine.ranking.draw import draw
from nascli.core.engine.ranking.held_out import held_out_images, rankable
from nascli.core.engine.ranking.rank import rank
from nascli.core.engine.ranking.score_cells import CellScorer, Children
from nascli.core.engine.reporter import Silent
from nascli.core.engine.search import search
from nascli.core.nn.build import load_weights
from nascli.core.nn.shared_network import SharedNetwork
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.data.permutation import permutation
from nascli.data.splits import split
from nascli.errors import ArtifactError, Diverged, UsageError
from nascli.registry import SPACES
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import Shared

CPU = Runtime(torch.device("cpu"))
SMALL = {"dataset": "digits", "limit_train": 200, "layers": 3, "channels": 4, "epochs": 1, "batch_size": 40}


def searched(space, method="spos", **given):
    return search(SearchConfig(method=method, space=space, seed=3, **{**SMALL, **given}))


@pytest.fixture(scope="module", params=SPACES)
def start(request):
    return searched(request.param, **({"nodes": 1} if request.param == "darts" else {}))


def settings(method="spos", **given):
    return DeriveConfig(**{"method": method, "dataset": "digits", "candidates": 12, **given})


def candidates_of(start, **given):
    origin = rankable(start)
    return CellCandidates(start, origin.search, open_data(origin.search, device=CPU.device).info, settings(**given))


def parts(start, batch_size=32):
    """The data, the images to rank on, the children and what scores them."""
    data, images = held_out_images(rankable(start), settings(), CPU.device, Silent())
    space = start.value.distribution.space
    sizes = NetworkSettings(layers=3, channels=4, stem="cifar", classes=10, image_channels=1, image_size=8)
    children = Children(space, sizes, Shared(searching=True))
    return data, images, children, CellScorer(children, start.value.weights, data, batch_size, CPU, "run")


def test_scores_are_those_of_each_cell_by_itself(start):
    """With the statistics of each batch under the cell alone, whatever other cells are in the pass."""
    data, images, children, scorer = parts(start)
    uniform = CategoricalDistribution.uniform(children.space)
    cells = [uniform.sample(5, number) for number in range(8)]
    network = SharedNetwork(children.whole())
    load_weights(network, start.value.weights, "run")
    order = images[permutation(len(images), 0)]
    assert len(images) == 100
    batches = [batch for part in np.array_split(order, 3) for batch in data.batches(part, len(part))]
    assert [len(labels) for _, labels in batches] == [34, 33, 33]
    found = scorer.scores(cells, images)
    for cell, (accuracy, loss) in zip(cells, found, strict=True):
        with torch.no_grad():
            answers = [(network(batch, children.graph(cell)), labels) for batch, labels in batches]
        right = sum(int((logits.argmax(1) == labels).sum()) for logits, labels in answers)
        total = sum(float(F.cross_entropy(logits.double(), labels, reduction="sum")) for logits, labels in answers)
        assert (accuracy, loss) == (right / 100, pytest.approx(total / 100, rel=1e-5))
    assert len({loss for _, loss in found}) > 6
    assert scorer.scores(cells[::-1], images) == found[::-1]
    assert scorer.scores(cells[4:5], images) == found[4:5]


def test_what_neighbours_have_in_common_is_computed_once(start):
    _, images, children, scorer = parts(start)
    uniform = CategoricalDistribution.uniform(children.space)
    cells = [uniform.sample(5, number) for number in range(10)]
    calls = []
    for module in scorer._network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_: calls.append(1))
    scorer.scores(cells, images[:30])
    together = len(calls)
    calls.clear()
    for cell in cells:
        scorer.scores([cell], images[:30])
    stem_alone = 9
    assert together < len(calls) - stem_alone
    calls.clear()
    scorer.scores(cells[:1] * 5, images[:30])
    five = len(calls)
    calls.clear()
    scorer.scores(cells[:1], images[:30])
    assert five == len(calls), "equal cells are the same computation to the end"


def test_the_images_are_those_that_no_weight_learnt_from(start):
    data, images = held_out_images(rankable(start), settings(), CPU.device, Silent())
    shares = {"train": 0.5, "search": 0.5}
    whole = split(open_data(SearchConfig(method="spos", seed=3, **SMALL), device=CPU.device).train_labels, shares, 3)
    assert set(images) == set(whole["search"])
    assert not set(images) & set(whole["train"])
    assert data.info.train_images == 200


def test_candidates_are_samples_with_the_sizes_that_their_networks_will_be_trained_in(start):
    space = start.value.distribution.space
    sizes = NetworkSettings(layers=6, channels=5, stem="cifar", classes=10, image_channels=1, image_size=8)
    cells = candidates_of(start, layers=6, channels=5)
    found = cells.own(7, 8)
    assert [one.number for one in found] == list(range(1, 9))
    for one in found:
        cell = start.value.distribution.sample(7, one.number)
        assert one.draw() == cell
        assert one.size == space.graph(cell, sizes).size
        assert one.twin_of == cell.network()
    assert cells.uniform(7, 8, 1.0) == ([], None), "they are uniform themselves"


def test_a_learnt_distribution_is_compared_with_uniform_cells():
    start = searched("nas-bench-201", "parsec", samples=2, epochs=2, arch_lr=0.5)
    result = rank(start, settings("parsec"))
    (ranked,) = result.rounds
    uniform = CategoricalDistribution.uniform(cell_space("nas-bench-201"))
    assert [len(ranked.of(name)) for name in ("cells", "uniform")] == [12, 12]
    candidates, _ = draw(candidates_of(start), settings("parsec"), 1, Silent())
    others = [one.draw().network() for one in candidates if one.population == "uniform"]
    assert others != [one.draw().network() for one in candidates if one.population == "cells"]
    assert not set(others) & {uniform.sample(0, number).network() for number in range(1, 13)}, "numbers of their own"
    best = max(ranked.of("cells"), key=lambda one: (one.accuracy, -one.loss, -one.number))
    assert result.best == (best,)
    assert result.genotypes[0].value.genotype == start.value.distribution.sample(0, best.number)
    assert result.probability is None
    told = result.genotypes[0].provenance.config
    assert (told["choice"], told["number"], told["held_out_images"]) == ("ranked", best.number, 100)
    without = rank(start, settings("parsec", uniform=False))
    assert without.rounds[0].of("uniform") == []
    assert without.best == result.best


def test_weights_that_cannot_be_used(start):
    data, _, children, _ = parts(start)
    weights = dict(start.value.weights)
    first = next(iter(weights))
    with pytest.raises(ArtifactError, match=f"run: the weights don't fit the network: {first} is missing"):
        CellScorer(children, {k: v for k, v in weights.items() if k != first}, data, 32, CPU, "run")
    endless = {name: np.full_like(values, np.inf) for name, values in weights.items()}
    scorer = CellScorer(children, endless, data, 32, CPU, "run")
    cell = CategoricalDistribution.uniform(children.space).sample(5, 3)
    with pytest.raises(Diverged, match="a candidate of run has a loss that is not finite"):
        scorer.scores([cell], np.arange(30))


def test_no_candidate_has_weights_of_its_own(start, tmp_path):
    with pytest.raises(UsageError, match="shared weights belong to no candidate alone: leave --model out"):
        rank(start, settings(), model=tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_stop_is_heard_between_candidates(start):
    _, images, children, scorer = parts(start)
    asked = iter([False, False, True])
    uniform = CategoricalDistribution.uniform(children.space)
    assert scorer.scores([uniform.sample(0, n) for n in range(5)], images, lambda: next(asked)) is None
