"""What scores the candidates of a distribution: one network with all their weights, as the search has left it."""

from torch import Tensor

from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.load import LoadedDistribution
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.offers import OffersCells
from nascli.core.engine.ranking.draw import search_network
from nascli.core.engine.ranking.held_out import search_behind
from nascli.core.engine.ranking.score_cells import CellScorer, Children
from nascli.core.engine.ranking.score_channels import ChannelScorer
from nascli.core.engine.search import open_streams
from nascli.core.runtime import Runtime
from nascli.data import DataModule
from nascli.errors import UsageError
from nascli.settings.groups import SharesWeights

CALIBRATION_IMAGES = 2048
"""The training images, or all if there are fewer, from which a candidate's own statistics are taken."""

Scorer = ChannelScorer | CellScorer


def open_scorer(start: LoadedDistribution, data: DataModule, config: DeriveConfig, runtime: Runtime) -> Scorer:
    """A scorer with the weights of a `rankable` distribution. Raises ArtifactError where they don't fit its network."""
    search, own = search_behind(start), start.distribution
    if isinstance(own, PosteriorDistribution):
        calibration = _calibration_batches(search, data, runtime) if config.recalibrate else []
        return ChannelScorer(own, data, config, runtime, start.where, calibration=calibration)
    if config.recalibrate:
        raise UsageError("cells always have the statistics of their own batches: leave --recalibrate out")
    assert isinstance(own, OffersCells)
    assert start.value.weights is not None
    assert isinstance(search.settings, SharesWeights)
    children = Children(own.space, search_network(search, data.info), search.settings.wiring(own.space))
    return CellScorer(children, start.value.weights, data, config.batch_size, runtime, start.where)


def _calibration_batches(search: SearchConfig, data: DataModule, runtime: Runtime) -> list[Tensor]:
    """The first batches of images that the search trained its weights on."""
    train = open_streams(search, data, runtime)["train"]
    count = min(train.batches_per_pass, -(-CALIBRATION_IMAGES // train.batch_size))
    batches = [train.next()[0] for _ in range(count)]
    train.close()
    return batches
