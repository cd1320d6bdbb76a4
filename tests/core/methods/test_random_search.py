from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.trials import MOST_CELLS
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.config import SearchConfig
from nascli.core.engine.search import build_method, open_streams
from nascli.core.methods.protocol import Plan
from nascli.core.methods.random_search import BATCH_NORM_KEEPS, RandomSearch, epochs_each
from nascli.core.nn.build import build_network
from nascli.core.optimization import Schedule
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.distributed.ranks import Ranks
from nascli.distributed.share import WHOLE
from nascli.errors import UsageError
from nascli.seeds import derive_seed
from nascli.settings.random_search import RandomSettings
from nascli.spaces import cell_space
from nascli.spaces.darts import Darts
from nascli.spaces.nas_bench_201 import NasBench201
from nascli.spaces.network_settings import NetworkSettings
from tests.artifacts.examples import categorical, file_of, mixture

CPU = Runtime(torch.device("cpu"))
DATA = DataInfo(
    dataset="digits",
    classes=("a", "b", "c"),
    channels=1,
    image_size=8,
    mean=(0.5,),
    std=(0.5,),
    train_images=64,
    test_images=0,
    fingerprint="",
)
NETWORK = NetworkSettings(layers=3, channels=4, stem="cifar", classes=3, image_channels=1, image_size=8)


class Bands:
    """Images of noise whose class is the row that is bright, in batches of 24; `wrong` shifts the labels at random."""

    def __init__(self, seed):
        self.draw = torch.Generator().manual_seed(seed)
        self.position = 0
        self.wrong = False

    def next(self, share=WHOLE):
        self.position += 1
        labels = torch.randint(3, (24,), generator=self.draw)
        images = torch.randn(24, 1, 8, 8, generator=self.draw)
        images[torch.arange(24), 0, 2 * labels] += 3
        return images, torch.randint(3, (24,), generator=self.draw) if self.wrong else labels

    def once(self, share=WHOLE):
        fixed = Bands(99)
        return iter([fixed.next() for _ in range(3)])


def method(*, epochs=4, steps_per_epoch=2, seed=0, runtime=CPU, space="darts", **given):
    small = {"layers": 3, "channels": 4, "nodes": 1 if space == "darts" else 0, "trials": 2}
    settings = RandomSettings(**{**small, **given})
    return RandomSearch(Plan("random", space, DATA, epochs, steps_per_epoch, seed), runtime, settings)


def streams():
    return {"train": Bands(1), "search": Bands(2)}


def run(searched, sources, steps):
    return [{k: float(v) for k, v in searched.step(sources).items()} for _ in range(steps)]


class Digits:
    """A search of the real loop's parts: 80 digits in two halves, four epochs in all, two for each of two cells."""

    def __init__(self, **given):
        tiny = {"epochs": 4, "batch_size": 16, "limit_train": 80, "layers": 3, "channels": 4, "nodes": 1}
        self.config = SearchConfig(method="random", trials=2, seed=5, **{**tiny, **given})
        self.data = open_data(self.config, device=CPU.device)
        self.streams = open_streams(self.config, self.data, CPU)
        self.method = build_method(self.config, self.data.info, self.streams, CPU)


def test_both_draws_of_a_node_are_uniform_over_all_inputs_and_operations_and_independent():
    count = 2000
    cells = method(epochs=count, trials=count, nodes=2).distribution().waiting
    assert len(cells) == count
    operations = [op for op in Darts.operations if op != "none"]
    # Chi-square has the degrees of freedom as its mean and the root of twice those as its deviation; five are allowed.
    for name in ("normal", "reduce"):
        for node in (0, 1):
            choices = (node + 2) * len(operations)
            drawn = np.array(
                [
                    [pick.input * len(operations) + operations.index(pick.op) for pick in c.cells[name].nodes[node]]
                    for c in cells
                ]
            )
            assert drawn.shape == (count, 2)
            pairs = drawn[:, 0] * choices + drawn[:, 1]
            for values, bins in ((drawn[:, 0], choices), (drawn[:, 1], choices), (pairs, choices**2)):
                expected = count / bins
                statistic = ((np.bincount(values, minlength=bins) - expected) ** 2 / expected).sum()
                assert abs(statistic - (bins - 1)) < 5 * (2 * (bins - 1)) ** 0.5, (name, node, bins)
    assert all(cell.concat == (2, 3) for c in cells for cell in c.cells.values())


def test_the_operations_of_all_edges_are_uniform_and_independent_of_each_other():
    count, operations = 1000, NasBench201.operations
    cells = method(epochs=count, trials=count, space="nas-bench-201").distribution().waiting
    drawn = np.array([[operations.index(pick.op) for pick in cell.picks()] for cell in cells])
    assert drawn.shape == (count, 6)
    for first, second in combinations(range(6), 2):
        pairs = np.bincount(5 * drawn[:, first] + drawn[:, second], minlength=25)
        statistic = ((pairs - count / 25) ** 2 / (count / 25)).sum()
        assert abs(statistic - 24) < 5 * 48**0.5, (first, second)


def test_every_trial_has_the_same_budget_to_the_step_and_to_the_image():
    search = Digits()
    feed = search.data._train.feed
    images = search.data.split(search.config.settings.parts, 5)["train"]
    feed.labels = torch.arange(len(feed.labels)) % 10
    seen = {0: [], 1: []}
    original = search.streams["train"].next

    def watched():
        position = search.streams["train"].position
        seen[search.method._number].append(position)
        return original()

    search.streams["train"].next = watched
    rates, rows = [], []
    steps = search.streams["train"].batches_per_pass
    assert steps == len(images) // 16 == 2
    for _ in range(4 * steps):
        rows.append(search.method.step(search.streams))
        rates.append(search.method.learning_rate())
        assert search.method._weights.optimizer.param_groups[0]["lr"] == rates[-1]
    # Two whole passes each, and a whole cosine each.
    assert seen == {0: [0, 1, 2, 3], 1: [4, 5, 6, 7]}
    schedule = Schedule(0.05, 0.001, 2, steps)
    assert rates == [schedule(step) for step in range(4)] * 2
    assert rates[0] == pytest.approx(0.05)
    assert [step for step, row in enumerate(rows) if "search_accuracy" in row] == [3, 7]
    assert search.method.steps_done == 8
    assert search.streams["search"].position == 0


def test_the_score_is_that_of_all_unseen_images_in_evaluation_mode():
    search = Digits(epochs=8)
    for _ in range(8):
        metrics = search.method.step(search.streams)
    parts = search.data.split(search.config.settings.parts, search.config.seed)
    assert not set(parts["train"].tolist()) & set(parts["search"].tolist())
    network = search.method.network
    assert network.training
    network.eval()
    right, losses = 0, []
    with torch.no_grad():
        for index in parts["search"]:  # one by one: only running statistics can do that
            ((image, label),) = search.data.batches(np.array([index]), 1)
            logits = network(image)
            right += int(logits.argmax() == label)
            losses.append(float(F.cross_entropy(logits.double(), label)))
    (best,) = search.method.distribution().done
    assert len(losses) == 40
    assert best.accuracy == right / 40
    assert best.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert (float(metrics["search_accuracy"]), float(metrics["search_loss"])) == (best.accuracy, best.loss)
    assert 0 < right < 40


def test_the_second_trial_begins_with_weights_and_momentum_of_its_own():
    """Its first step by hand: SGD without a past, from weights that its number and the seed give."""
    searched, sources = method(lr=0.1, lr_min=0.1, weight_decay=0.01, clip=0.0), streams()
    run(searched, sources, 4)
    first = searched.network
    cells = method().distribution().waiting
    network = build_network(cells[1].graph(NETWORK), derive_seed(0, "weights", 1)).to(memory_format=torch.channels_last)
    state = sources["train"].draw.get_state()
    images, labels = sources["train"].next()
    sources["train"].draw.set_state(state)
    F.cross_entropy(network(images), labels).backward()
    searched.step(sources)
    assert searched.network is not first
    for (name, after), before in zip(searched.network.named_parameters(), network.parameters(), strict=True):
        gradient = before.grad if before.grad is not None else 0
        wanted = before.detach() - (0.1 * (gradient + 0.01 * before.detach()) if before.grad is not None else 0)
        torch.testing.assert_close(after.detach(), wanted, rtol=1e-4, atol=1e-6, msg=name)


def test_a_trial_that_learns_from_wrong_labels_comes_last_and_the_others_by_accuracy():
    searched, sources = method(epochs=3, steps_per_epoch=24, trials=3, lr=0.1), streams()
    for trial in range(3):
        sources["train"].wrong = trial == 1
        run(searched, sources, 24)
    trials = searched.distribution()
    assert trials.waiting == ()
    assert sorted(trial.number for trial in trials.done) == [0, 1, 2]
    assert trials.done[-1].number == 1
    assert trials.done[-1].accuracy < 0.6 < 0.9 < trials.done[0].accuracy
    assert all(a.accuracy >= b.accuracy for a, b in pairwise(trials.done))
    cells = method(epochs=3, trials=3).distribution().waiting
    assert all(trial.genotype == cells[trial.number] for trial in trials.done)
    assert trials.mode() == cells[trials.done[0].number]


def test_a_search_restored_within_the_second_trial_goes_on_to_the_bit():
    whole = Digits()
    for _ in range(5):
        whole.method.step(whole.streams)
    position = whole.streams["train"].position
    saved = checkpoint_bytes(whole.method.state_dict())
    expected = run(whole.method, whole.streams, 3)

    resumed = Digits()
    resumed.method.load_state_dict(load_checkpoint(saved, "saved"))
    resumed.streams["train"].position = position
    assert resumed.method.health(resumed.streams)["trials_done"] == 1
    assert run(resumed.method, resumed.streams, 3) == expected
    assert resumed.method.distribution() == whole.method.distribution()
    for name, tensor in whole.method.network.state_dict().items():
        assert torch.equal(resumed.method.network.state_dict()[name], tensor), name


def test_health_counts_what_is_done_and_tells_the_best_and_the_mean():
    searched, sources = method(epochs=3, trials=3, steps_per_epoch=2), streams()
    first = method().distribution().waiting[0]
    assert searched.health(sources) == {"trials_done": 0, "skip_share": first.share("skip_connect")}
    run(searched, sources, 1)
    assert searched.health(sources)["trials_done"] == 0
    rows = run(searched, sources, 5)
    scores = [row["search_accuracy"] for row in rows if "search_accuracy" in row]
    assert len(scores) == 3
    health = searched.health(sources)
    assert health["trials_done"] == 3
    assert health["best_accuracy"] == max(scores)
    assert health["mean_accuracy"] == pytest.approx(np.mean(scores))
    assert health["skip_share"] == searched.distribution().mode().share("skip_connect")


def test_the_best_of_a_search_are_trained_anew():
    searched, sources = method(epochs=4, trials=4), streams()
    run(searched, sources, 8)
    given = searched.distribution()
    again = method(epochs=4, trials=2, channels=8)
    again.start_from(file_of(given))
    start = again.distribution()
    assert start.done == ()
    assert start.waiting == tuple(trial.genotype for trial in given.done[:2])
    assert start.mode() == given.mode()
    assert "the best of 4" in again.notices[0]
    assert again.network.graph.shapes["stem.norm"].channels == 3 * 8
    run(again, sources, 8)
    found = sorted(again.distribution().done, key=lambda trial: trial.number)
    assert tuple(trial.genotype for trial in found) == start.waiting


def test_a_search_that_was_started_from_another_is_restored_with_its_cells():
    given = method(epochs=3, trials=3, seed=7).distribution()
    whole = method()
    whole.start_from(file_of(given))
    run(whole, streams(), 5)
    restored = method()
    restored.load_state_dict(load_checkpoint(checkpoint_bytes(whole.state_dict()), "saved"))
    assert restored.distribution() == whole.distribution()
    assert restored.distribution().done[0].genotype == given.waiting[0]


def test_a_categorical_gives_its_mode_and_its_samples():
    space = cell_space("darts", 1)
    uniform = CategoricalDistribution.uniform(space)
    searched = method(epochs=3, trials=3)
    searched.start_from(file_of(uniform))
    start = searched.distribution()
    assert start.waiting == (uniform.mode(), uniform.sample(0, 1), uniform.sample(0, 2))
    assert "3 of them different" in searched.notices[0]

    decided = [np.zeros_like(values) for values in uniform.logits]
    for values in decided:
        values[:, 3] = 100
    searched.start_from(file_of(CategoricalDistribution(space, decided)))
    assert "1 of them different" in searched.notices[0]


def test_what_it_cannot_start_from_is_refused():
    three = method(nodes=3).distribution()
    with pytest.raises(UsageError, match="--nodes 3"):
        method().start_from(file_of(three))
    two = method(epochs=2).distribution()
    with pytest.raises(UsageError, match=r"has 2 cells, not 4: give --trials 2 or fewer"):
        method(trials=4).start_from(file_of(two))
    with pytest.raises(UsageError, match="random goes on with a random search or a categorical, not with a mixture"):
        method().start_from(file_of(mixture(2)))
    for other in (method(space="nas-bench-201").distribution(), categorical(space="nas-bench-201")):
        with pytest.raises(UsageError, match="over cells of the space nas-bench-201, .* give --space nas-bench-201$"):
            method().start_from(file_of(other))


@pytest.mark.parametrize(
    ("epochs", "advice"),
    [
        (50, "--epochs 48 or 56, or --trials 5 or 10"),
        (9, "--epochs 8 or 16, or --trials 3 or 9"),
        (3, "--epochs 8, or --trials 3"),
    ],
)
def test_a_budget_that_cannot_be_shared_names_the_nearest_that_can(epochs, advice):
    with pytest.raises(UsageError) as caught:
        method(epochs=epochs, trials=8)
    assert str(caught.value) == f"--epochs {epochs} cannot be shared evenly among 8 trials: give {advice}"
    assert epochs_each(56, 8) == 7


def test_the_budget_and_what_would_spoil_it_are_told():
    (told,) = method(epochs=6, trials=3, steps_per_epoch=15).notices
    assert told.startswith("2 of the 6 epochs for each of 3 cells, drawn uniformly")
    assert "never falls" in method(epochs=6, trials=3, lr_warmup_epochs=2).notices[1]
    (_, few) = method(epochs=6, trials=3, steps_per_epoch=5).notices
    assert few.startswith("10 steps are few for a trial: ")
    assert "still 35% initial values" in few
    (_, fewest) = method(epochs=3, trials=3, steps_per_epoch=1).notices
    assert fewest.startswith("1 step is few for a trial: ")


def test_batch_norms_keep_what_the_warning_says():
    norms = [part for part in method().network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert {1 - norm.momentum for norm in norms} == {BATCH_NORM_KEEPS}


def test_each_compiled_trial_begins_with_an_empty_compiler(monkeypatch):
    """The compiler keeps eight compilations for a class, and leaves what comes after them uncompiled."""
    resets = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(True))
    monkeypatch.setattr(torch, "compile", lambda network: network)
    searched, sources = method(epochs=3, trials=3, runtime=Runtime(CPU.device, compile=True)), streams()
    run(searched, sources, 6)
    assert len(resets) == 3


def test_a_ranking_holds_as_many_cells_as_a_search_may_draw():
    RandomSettings(trials=MOST_CELLS)
    with pytest.raises(ValidationError, match="trials"):
        RandomSettings(trials=MOST_CELLS + 1)


@pytest.mark.parametrize(
    ("steps", "count", "group", "left"),
    [
        (3, 1, range(1, 2), 5),  # the same number: in the second of four trials
        (3, 2, range(1, 3), 4),  # three trials are left, two rounds for two ranks
        (4, 2, range(2, 4), 2),  # two are left, one round
        (4, 3, range(2, 4), 2),
        (7, 2, range(3, 4), 1),  # in the last trial, which goes on in its middle
        (8, 2, range(3, 4), 0),  # at the end
    ],
)
def test_a_search_goes_on_over_another_number_of_ranks(steps, count, group, left):
    """Two steps a trial. Trials that the other number would not train at the same time begin anew."""
    alone = method(epochs=4, trials=4)
    given = streams()
    for _ in range(steps):
        alone.step(given)
    several = method(epochs=4, trials=4, runtime=replace(CPU, ranks=Ranks(0, count)))
    several.load_state_dict(alone.state_dict())
    assert several._group == group
    assert 2 * several.epochs - several.steps_done == left
    assert several._done == alone._done


@pytest.mark.parametrize(
    ("count", "notice"),
    [
        (2, "2 processes train different cells at once, so 4 epochs pass"),
        (4, "each cell has a process of its own, 1 of 4 processes stay without"),
    ],
)
def test_what_several_processes_do_is_told(count, notice):
    told = method(epochs=6, trials=3, runtime=replace(CPU, ranks=Ranks(0, count)))
    assert notice in told.notices
