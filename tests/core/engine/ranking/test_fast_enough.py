"""The best of a ranking within a limit of time, here a made-up time that grows with a network's parameters."""

import pytest

from nascli.core.engine.destination import Destination
from nascli.core.engine.latency import Latency
from nascli.core.engine.ranking import fast_enough as module
from nascli.core.engine.ranking.rank import rank
from nascli.core.nn.measure import count_parameters
from nascli.errors import UsageError
from tests.core.engine.ranking.example import run, settings, sizes_once


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The parameters of the networks that are measured, each taking a millisecond for a thousand of them."""
    found: list[int] = []

    def measure(network, shape, runtime, *, seconds) -> list[Latency]:
        assert not network.training
        found.append(count_parameters(network))
        return [Latency(1, found[-1] / 1000, 0.0, 9e9, 5, "cpu", 1)]

    monkeypatch.setattr(module, "measure_latency", measure)
    return found


def test_it_is_the_best_of_those_that_are_fast_enough(measured: list[int], tmp_path):
    everything = rank(run(), settings(candidates=12), count=12)
    sizes = [score.parameters for score in everything.best]
    limit = sorted(sizes)[3] / 1000  # four are fast enough
    expected = [score for score in everything.best if score.parameters <= 1000 * limit][:2]
    target = Destination(tmp_path / "cell.json", tmp_path / "run")
    chosen = rank(run(), settings(candidates=12, max_latency=limit), target, count=2)
    assert [score.number for score in chosen.best] == [score.number for score in expected]
    last = everything.best.index(expected[-1])
    assert measured == sizes[: last + 1]  # from the best on, until there are enough
    config = chosen.genotypes[1].provenance.config
    assert (config["max_latency_ms"], config["latency_ms"]) == (limit, expected[1].parameters / 1000)
    assert [latency.median_ms for latency in chosen.latencies] == [score.parameters / 1000 for score in expected]

    again = Destination(tmp_path / "all.json", tmp_path / "run", resume=True)
    slower = rank(run(), settings(candidates=12, max_latency=1e9), again)
    assert slower.best[0].number == everything.best[0].number


def test_too_few_are_told_with_the_fastest(measured: list[int]):
    with pytest.raises(UsageError, match=r"0 of 4 candidates take at most 0.001 ms .* the fastest takes \d"):
        rank(run(), settings(candidates=4, max_latency=0.001))
    assert len(measured) == 4
