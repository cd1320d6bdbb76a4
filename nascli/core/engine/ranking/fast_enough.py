"""The best of a ranking that are fast enough on this machine."""

from collections.abc import Sequence

from nascli.artifacts.runs.scores import Scored
from nascli.config import DeriveConfig
from nascli.core.engine.latency import Latency, measure_latency
from nascli.core.engine.ranking.prepare import Prepared
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.sizing import shape_of
from nascli.core.nn.build import build_network
from nascli.errors import UsageError

SECONDS = 0.5
"""For each candidate, besides the warm-up."""


def fast_enough(
    best_first: Sequence[Scored], count: int, limit: float, ready: Prepared, config: DeriveConfig, reporter: Reporter
) -> tuple[list[Scored], tuple[Latency, ...]]:
    """The first `count` whose own networks classify one image within `limit` milliseconds, with what they take.

    Their networks are built, and measured from the best on until there are enough: exactly what measuring all of them
    would choose. Raises UsageError where there are fewer.
    """
    shape = shape_of(ready.data.info)
    found: list[Scored] = []
    latencies: list[Latency] = []
    fastest, slower = float("inf"), 0
    reporter.notice(f"measuring from the best on which candidates take at most {limit:g} ms for an image")
    for score in best_first:
        graph = ready.source.genotype(config.seed, score.number).graph(shape)
        network = ready.runtime.place(build_network(graph, seed=0)).eval()
        latency = measure_latency(network, shape, ready.runtime, seconds=SECONDS)[0]
        fastest = min(fastest, latency.median_ms)
        if latency.median_ms > limit:
            slower += 1
            continue
        found.append(score)
        latencies.append(latency)
        if len(found) == count:
            reporter.notice(f"{slower:,} better candidates are slower than {limit:g} ms")
            return found, tuple(latencies)
    raise UsageError(
        f"{len(found):,} of {len(best_first):,} candidates take at most {limit:g} ms for an image, and {count:,} are "
        f"asked for; the fastest takes {fastest:.3g} ms. Raise --max-latency, or draw more --candidates"
    )
