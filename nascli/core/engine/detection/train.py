"""Training of a detector, from random weights or with those of a classifier in its backbone."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydantic import ValidationError

from nascli.artifacts.detector import DetectorFile, DetectorSettings, detector_bytes
from nascli.artifacts.genotypes.genotype import Genotype, GenotypeFile
from nascli.artifacts.load import LoadedArtifact, LoadedDetector, LoadedGenotype, LoadedModel
from nascli.artifacts.model import ModelFile
from nascli.config import DetectConfig, describe
from nascli.core.engine.connection import check_connected
from nascli.core.engine.destination import Destination, provenance
from nascli.core.engine.detection.average_precision import check_packages
from nascli.core.engine.detection.job import DetectJob
from nascli.core.engine.dry_run import measure, total
from nascli.core.engine.frame import complete, learn, working
from nascli.core.engine.inputs import Source, artifact, read_back, refuse_overwriting_artifacts
from nascli.core.engine.replan import earlier_plans
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.settling import few_steps, settled_notice
from nascli.core.engine.sizing import check_batch, detector_layout
from nascli.core.engine.starting_weights import check_kind, starting_file, weights_from
from nascli.core.nn.detector import build_detector
from nascli.core.nn.transfer import Transfer, transfer_to_backbone
from nascli.core.runtime import Runtime, check_maps, check_memory, fitting_threads
from nascli.data.scenes import SceneData, open_scenes
from nascli.errors import UsageError
from nascli.graphs.detector import DetectorLayout
from nascli.seeds import derive_seed
from nascli.spaces.network_settings import DataShape


def train_detector(
    source: Source,
    config: DetectConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    start: Source | None = None,
) -> LoadedDetector:
    """Train a detector on the network of a genotype and return it; write it where `destination` says.

    `start` is a classifier of the same genotype, or of one of the same kind; its weights that fit are taken if
    `config.weights` is "inherited". Raises ArtifactError, UsageError, DataError, MemoryExhausted, Diverged,
    Interrupted.
    """
    genotype, classifier = _inputs(source, config, start)
    refuse_overwriting_artifacts([destination.output], genotype, classifier)
    made_from, model = genotype.ancestor(), weights_from(classifier)
    if done := complete(destination, config, made_from, reporter, DetectorFile, model):
        return done
    with working(config) as runtime:
        opened = _open(genotype, classifier, config, runtime, reporter)
        rows = learn(
            opened.job,
            config,
            destination,
            reporter,
            data=opened.data,
            made_from=made_from,
            facts=_facts(opened, config, runtime),
            runtime=runtime,
            genotype=genotype.value,
            weights_from=model,
        )
        last = rows[-1]
        if last["step"] < few_steps(opened.job.network):
            opened.job.settle()
            reporter.notice(settled_notice(last["step"], "detector", watched=opened.data.has_validation))
            last = {**last, **opened.job.epoch_metrics()}  # of the network that is written
        content = detector_bytes(
            DetectorFile(
                weights={name: value.detach().cpu() for name, value in opened.job.network.state_dict().items()},
                genotype=opened.genotype,
                network=opened.network,
                settings=opened.settings,
                data=opened.data.info,
                metrics=_measured(last),
                provenance=provenance(config, opened.data.info, made_from, earlier_plans(destination.run_path), model),
            )
        )
        path = destination.write(content)
        reporter.end(path)
    return read_back(content, path, DetectorFile)


def plan_detector(
    source: Source, config: DetectConfig, reporter: Reporter = Silent(), *, start: Source | None = None
) -> dict[str, Any]:
    """Configuration, size and cost of a training, by two real steps of it. Raises as it would before its first step."""
    genotype, classifier = _inputs(source, config, start)
    with working(config) as runtime:
        opened = _open(genotype, classifier, config, runtime, reporter)
        reporter.notice("measuring two steps")
        with fitting_threads(runtime, config.batch_size * opened.data.info.image_size**2):
            cost = measure(opened.job, opened.job.network, config.epochs * opened.job.steps_per_epoch)
    return {"config": config.model_dump(mode="json"), **opened.layout.facts(), **total([cost], runtime, None)}


@dataclass(frozen=True)
class _Opened:
    """A training before its first step."""

    genotype: Genotype
    network: DataShape
    settings: DetectorSettings
    layout: DetectorLayout
    data: SceneData
    job: DetectJob


def _inputs(source: Source, config: DetectConfig, start: Source | None) -> tuple[LoadedGenotype, LoadedModel | None]:
    """The genotype and the classifier. Raises UsageError where they don't go together."""
    genotype = artifact(source, GenotypeFile)
    check_connected(genotype, config)
    if start is None:
        if config.weights == "inherited":
            raise UsageError("this training starts from a classifier's weights: name it with --from")
        return genotype, None
    found = starting_file(start)
    if not isinstance(found.value, ModelFile):
        raise UsageError(
            f"{found.where} holds a {found.kind}; a detector starts from a classifier: make one with 'nascli train "
            f"--from {found.where}', or leave --from out"
        )
    if config.weights != "inherited":
        raise UsageError(f"weights from {found.where} are given, and the configuration wants fresh ones")
    check_kind(genotype, found.value, found.where)
    return genotype, LoadedArtifact(found.value, found.sha256, found.where)


def _open(
    genotype: LoadedGenotype,
    classifier: LoadedModel | None,
    config: DetectConfig,
    runtime: Runtime,
    reporter: Reporter,
) -> _Opened:
    """The pictures, the detector and its training. Reports what is worth knowing. Raises as `train_detector`."""
    found = genotype.value.genotype
    data = open_scenes(config, device=runtime.device, normal=None if classifier is None else classifier.value.data)
    for notice in (*data.notices, *runtime.notices):
        if notice:
            reporter.notice(notice)
    if data.has_validation:
        check_packages()
    shape = DataShape(
        classes=len(data.info.classes), image_channels=data.info.channels, image_size=data.info.image_size
    )
    try:
        sized, settings, layout = detector_layout(found, config, shape)
    except ValidationError as error:
        raise UsageError(describe(error)) from None
    check_batch(config.batch_size, (one.side for one in layout.maps))
    if text := layout.backbone.notice:
        reporter.notice(text)
    smaller = "a genotype that keeps less" if config.layers is None else "fewer --channels or --layers"
    check_memory(layout.size.parameters, runtime.device, smaller)
    largest = layout.backbone.graph.largest_map
    check_maps(config.batch_size, largest, data.info.image_size, runtime, config.stem)
    network = build_detector(layout, settings, data.info, derive_seed(config.seed, "weights"))
    if classifier is not None:
        reporter.notice(f"inherited from {classifier.where}: {_inherit(network, classifier)}")
    job = DetectJob(network, config, data, runtime)
    if job.batch_size < config.batch_size:
        reporter.notice(f"batches of {job.batch_size} instead of {config.batch_size}: there are no more pictures")
    return _Opened(found, sized, settings, layout, data, job)


def _inherit(network: Any, classifier: LoadedModel) -> Transfer:
    """Give the backbone the classifier's weights that fit. Raises UsageError where none does."""
    taken = transfer_to_backbone(network.backbone.body, classifier.value.weights)
    if taken.taken == 0:
        raise UsageError(
            f"nothing in {classifier.where} fits this backbone, all layers have other names or shapes: give the "
            "--layers, --channels and --stem of that model, or leave --from out"
        )
    return taken


def _facts(opened: _Opened, config: DetectConfig, runtime: Runtime) -> dict[str, object]:
    """What is worth a line before a training starts."""
    body = opened.layout.backbone
    return {
        "data": opened.data.info.in_words(),
        "recipe": config.recipe,
        "backbone": opened.genotype.in_words(opened.network),
        "strides": " and ".join(map(str, body.strides)),
        "parameters": opened.layout.size.parameters,
        "multiply-adds": opened.layout.size.multiply_adds,
        "of the backbone": body.graph.multiply_adds,
        "device": str(runtime.device),
        "precision": runtime.precision,
    }


def _measured(row: dict[str, Any]) -> dict[str, float]:
    """What a detector's file says of the last epoch; a number that is not finite has no place in a file."""
    measured = {name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
    return {name: value for name, value in measured.items() if isinstance(value, int | float) and isfinite(value)}
