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
    "Comparison": "nascli.core.engine.compare",
    "DeriveConfig": "nascli.config",
    "DetectConfig": "nascli.config",
    "DetectorEvaluation": "nascli.core.engine.detection.evaluate",
    "Destination": "nascli.core.engine.destination",
    "EnsembleEvaluation": "nascli.core.engine.ensemble",
    "EvalConfig": "nascli.config",
    "Evaluation": "nascli.core.engine.evaluate",
    "Exported": "nascli.core.engine.export.export",
    "FinetuneConfig": "nascli.config",
    "NascliError": "nascli.errors",
    "PredictConfig": "nascli.config",
    "PictureBoxes": "nascli.core.engine.detection.predict",
    "Prediction": "nascli.core.engine.predict",
    "SceneEvalConfig": "nascli.config",
    "SearchConfig": "nascli.config",
    "TrainConfig": "nascli.config",
    "Mode": "nascli.core.engine.derive",
    "Ranking": "nascli.core.engine.ranking.rank",
    "Shard": "nascli.artifacts.ranking_part",
    "Sample": "nascli.core.engine.derive",
    "Top": "nascli.core.engine.derive",
    "compare": "nascli.core.engine.compare",
    "configure": "nascli.fitted_config",
    "derive": "nascli.core.engine.derive",
    "derive_each": "nascli.core.engine.derive",
    "derive_several": "nascli.core.engine.derive",
    "draw": "nascli.visualize.sources",
    "evaluate": "nascli.core.engine.evaluate",
    "evaluate_detector": "nascli.core.engine.detection.evaluate",
    "evaluate_ensemble": "nascli.core.engine.ensemble",
    "export": "nascli.core.engine.export.export",
    "find_boxes": "nascli.core.engine.detection.predict",
    "finetune": "nascli.core.engine.search",
    "join": "nascli.core.engine.ranking.join",
    "load_artifact": "nascli.artifacts.load",
    "load_network": "nascli.core.engine.evaluate",
    "predict": "nascli.core.engine.predict",
    "rank": "nascli.core.engine.ranking.rank",
    "rank_shard": "nascli.core.engine.ranking.shard",
    "search": "nascli.core.engine.search",
    "search_all": "nascli.core.engine.search_all",
    "train": "nascli.core.engine.train",
    "train_all": "nascli.core.engine.train_all",
    "train_detector": "nascli.core.engine.detection.train",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:  # `as` says to type checkers that these are for users
    from nascli.artifacts.load import load_artifact as load_artifact
    from nascli.artifacts.ranking_part import Shard as Shard
    from nascli.config import DeriveConfig as DeriveConfig
    from nascli.config import DetectConfig as DetectConfig
    from nascli.config import EvalConfig as EvalConfig
    from nascli.config import FinetuneConfig as FinetuneConfig
    from nascli.config import PredictConfig as PredictConfig
    from nascli.config import SceneEvalConfig as SceneEvalConfig
    from nascli.config import SearchConfig as SearchConfig
    from nascli.config import TrainConfig as TrainConfig
    from nascli.core.engine.compare import Comparison as Comparison
    from nascli.core.engine.compare import compare as compare
    from nascli.core.engine.derive import Mode as Mode
    from nascli.core.engine.derive import Sample as Sample
    from nascli.core.engine.derive import Top as Top
    from nascli.core.engine.derive import derive as derive
    from nascli.core.engine.derive import derive_each as derive_each
    from nascli.core.engine.derive import derive_several as derive_several
    from nascli.core.engine.destination import Destination as Destination
    from nascli.core.engine.detection.evaluate import DetectorEvaluation as DetectorEvaluation
    from nascli.core.engine.detection.evaluate import evaluate_detector as evaluate_detector
    from nascli.core.engine.detection.predict import PictureBoxes as PictureBoxes
    from nascli.core.engine.detection.predict import find_boxes as find_boxes
    from nascli.core.engine.detection.train import train_detector as train_detector
    from nascli.core.engine.ensemble import EnsembleEvaluation as EnsembleEvaluation
    from nascli.core.engine.ensemble import evaluate_ensemble as evaluate_ensemble
    from nascli.core.engine.evaluate import Evaluation as Evaluation
    from nascli.core.engine.evaluate import evaluate as evaluate
    from nascli.core.engine.evaluate import load_network as load_network
    from nascli.core.engine.export.export import Exported as Exported
    from nascli.core.engine.export.export import export as export
    from nascli.core.engine.predict import Prediction as Prediction
    from nascli.core.engine.predict import predict as predict
    from nascli.core.engine.ranking.join import join as join
    from nascli.core.engine.ranking.rank import Ranking as Ranking
    from nascli.core.engine.ranking.rank import rank as rank
    from nascli.core.engine.ranking.shard import rank_shard as rank_shard
    from nascli.core.engine.search import finetune as finetune
    from nascli.core.engine.search import search as search
    from nascli.core.engine.search_all import search_all as search_all
    from nascli.core.engine.train import train as train
    from nascli.core.engine.train_all import train_all as train_all
    from nascli.errors import NascliError as NascliError
    from nascli.fitted_config import configure as configure
    from nascli.visualize.sources import draw as draw


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nascli' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
