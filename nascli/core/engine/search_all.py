"""Searches from several seeds, one after the other."""

from collections.abc import Sequence
from typing import Any

from nascli.artifacts.load import LoadedDistribution
from nascli.config import SearchConfig
from nascli.core.engine.destination import Destination, check_destination, finished
from nascli.core.engine.dry_run import plan_search
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.search import search
from nascli.core.engine.series import check_goes_on, check_seeds, check_shared, seeded
from nascli.core.engine.signals import StopRequest
from nascli.core.engine.truth import Truth
from nascli.errors import UsageError
from nascli.registry import METHODS


def search_all(
    config: SearchConfig,
    seeds: Sequence[int],
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    truth: Truth | None = None,
) -> tuple[LoadedDistribution, ...]:
    """Search from every seed, each as `search` would, and return the distributions in the order of the seeds.

    They are written beside `destination.output`: run-seed0.safetensors and so on, each with its run directory beside
    it. A fault of any destination is raised before the first search starts. Resuming skips what is complete, continues
    what was interrupted and starts what is missing. Raises as `search`.
    """
    planned = destinations(seeds, destination)
    configs = [with_seed(config, seed) for seed in seeds]
    for own, target in zip(configs, planned, strict=True):
        if not finished(target, own, None):
            check_destination(target, own, None)
    stop = StopRequest()
    found: list[LoadedDistribution] = []
    for own, target in zip(configs, planned, strict=True):
        check_goes_on(stop, len(found), len(planned), "searches")
        reporter.notice(f"search {len(found) + 1} of {len(planned)}: {description(own, target)}")
        found.append(search(own, target, reporter, truth=truth, stop=stop))
    return tuple(found)


def plan_search_all(
    config: SearchConfig,
    seeds: Sequence[int],
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    truth: Truth | None = None,
) -> dict[str, dict[str, Any]]:
    """What `search_all` would do: by `description`, the plan of each search. Seeds change no size and no cost."""
    if truth is not None and METHODS[config.method].by_table:
        raise UsageError("a table takes seconds and no memory: leave --dry-run out")
    planned = destinations(seeds, destination)
    configs = [with_seed(config, seed) for seed in seeds]
    cost = plan_search(configs[0], None, reporter, planned[0])
    return {
        description(own, target): {**cost, "config": own.model_dump(mode="json")}
        for own, target in zip(configs, planned, strict=True)
    }


def description(config: SearchConfig, target: Destination) -> str:
    """A search in words: its seed, and its file if it is written."""
    return f"seed {config.seed}{f', to {target.output}' if target.output is not None else ''}"


def destinations(seeds: Sequence[int], destination: Destination) -> list[Destination]:
    """Where the search of each seed goes. Raises UsageError."""
    check_seeds(seeds, "search")
    check_shared(destination, "distribution")
    return [seeded(destination, seed) for seed in seeds]


def with_seed(config: SearchConfig, seed: int) -> SearchConfig:
    """The same search from another seed."""
    return type(config)(**{**config.model_dump(), "seed": seed})
