"""nascli: neural architecture search on images, as a command-line tool and as a package.

    import nascli

    run = nascli.search(nascli.SearchConfig(dataset="digits"), nascli.Destination("run.safetensors"))
    cell = nascli.derive(run)
    model = nascli.train(cell, nascli.TrainConfig(dataset="digits"))
    print(nascli.evaluate(model).top1)

Names are imported when they are first used, so that `import nascli` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "DeriveConfig": "nascli.config",
    "Destination": "nascli.core.engine.session",
    "EnsembleEvaluation": "nascli.core.engine.ensemble",
    "EvalConfig": "nascli.config",
    "Evaluation": "nascli.core.engine.evaluate",
    "FinetuneConfig": "nascli.config",
    "NascliError": "nascli.errors",
    "SearchConfig": "nascli.config",
    "TrainConfig": "nascli.config",
    "Mode": "nascli.core.engine.derive",
    "Ranking": "nascli.core.engine.ranking.rank",
    "Sample": "nascli.core.engine.derive",
    "Top": "nascli.core.engine.derive",
    "configure": "nascli.configuration",
    "derive": "nascli.core.engine.derive",
    "derive_several": "nascli.core.engine.derive",
    "draw": "nascli.visualize.sources",
    "evaluate": "nascli.core.engine.evaluate",
    "evaluate_ensemble": "nascli.core.engine.ensemble",
    "finetune": "nascli.core.engine.search",
    "load_artifact": "nascli.artifacts.load",
    "load_network": "nascli.core.engine.evaluate",
    "rank": "nascli.core.engine.ranking.rank",
    "search": "nascli.core.engine.search",
    "train": "nascli.core.engine.train",
    "train_all": "nascli.core.engine.train_all",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from nascli.artifacts.load import load_artifact
    from nascli.config import DeriveConfig, EvalConfig, FinetuneConfig, SearchConfig, TrainConfig
    from nascli.configuration import configure
    from nascli.core.engine.derive import Mode, Sample, Top, derive, derive_several
    from nascli.core.engine.ensemble import EnsembleEvaluation, evaluate_ensemble
    from nascli.core.engine.evaluate import Evaluation, evaluate, load_network
    from nascli.core.engine.ranking.rank import Ranking, rank
    from nascli.core.engine.search import finetune, search
    from nascli.core.engine.session import Destination
    from nascli.core.engine.train import train
    from nascli.core.engine.train_all import train_all
    from nascli.errors import NascliError
    from nascli.visualize.sources import draw


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nascli' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
