"""What a ranking takes from the search behind a distribution: its settings, and images that its weights never saw."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.load import LoadedDistribution
from nascli.config import PLACE, DeriveConfig, FinetuneConfig, SearchConfig
from nascli.core.engine.inputs import Source, artifact
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.same_data import difference
from nascli.data import DataModule, open_data
from nascli.errors import ArtifactError, DataError, UsageError
from nascli.registry import DISTRIBUTIONS, METHODS
from nascli.settings.groups import HELD_OUT, SEARCH


@dataclass(frozen=True)
class Rankable:
    """A distribution with candidates to rank, and the configuration of the search that made it."""

    start: LoadedDistribution
    search: SearchConfig

    def recipe(self) -> DeriveConfig:
        """A ranking by the recipe for its method and images."""
        search, own = self.search, self.start.distribution
        side = search.image_size if own.data is None else own.data.image_size
        known: dict[str, Any] = {name: getattr(search, name) for name in ("method", "dataset", "data_dir")}
        return DeriveConfig(**known, image_size=side)


def rankable(source: Source) -> Rankable:
    """A distribution whose candidates can be ranked: a posterior, or one over cells with shared weights.

    Raises ArtifactError, UsageError for any other.
    """
    start = artifact(source, DistributionFile)
    if not DISTRIBUTIONS[start.distribution.kind].candidates:
        raise UsageError(f"a {start.distribution.noun} has no candidates to rank on images")
    origin = start.provenance
    if origin.method not in METHODS or origin.stage not in (SearchConfig.stage, FinetuneConfig.stage):
        raise ArtifactError(f"{start.where} does not say how it was searched for, so what it held out is not known")
    kind = FinetuneConfig if origin.stage == FinetuneConfig.stage else SearchConfig
    search = kind(**origin.config)
    if start.value.weights is None and start.distribution.data is None:
        raise UsageError(f"{start.where} has no shared weights to score candidates with: search again to have them")
    if origin.data is None:
        raise ArtifactError(f"{start.where} does not say what images it is for")
    return Rankable(start, search)


def held_out_images(
    origin: Rankable, config: DeriveConfig, device: Any, reporter: Reporter
) -> tuple[DataModule, np.ndarray]:
    """The images of the search, and which of its training images its weights have never seen.

    They are those that it held out for the ranking, or else those that only the architecture learnt from.

    Raises UsageError where it held out none, or other data are given; DataError where they are not what they were.
    """
    start, search = origin.start, origin.search
    then = start.provenance.data
    assert then is not None
    if config.dataset != search.dataset:
        raise UsageError(
            f"{start.where} was made with {search.dataset}, and its candidates are ranked on images held out of that: "
            "leave --dataset out"
        )
    here = {name: getattr(config, name) for name in {*PLACE, "download"}}
    data = open_data(search.model_copy(update=here), device=device)
    if found := difference(then, data.info.description()):
        raise DataError(
            f"the images of {search.dataset} are not those that {start.where} was made with ({found}): candidates are "
            "ranked on images that its search held out, so give the same --data-dir"
        )
    shares = search.settings.parts
    part = HELD_OUT if HELD_OUT in shares or SEARCH not in shares else SEARCH
    if not shares.get(part):
        raise UsageError(
            f"the search of {start.where} held out no images to rank on: search with --held-out 0.1, or derive "
            "without ranking by --sample"
        )
    for notice in data.notices:
        reporter.notice(notice)
    return data, data.split(shares, search.seed)[part]
