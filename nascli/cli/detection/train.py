"""`nascli train --task detect`: from a genotype to a detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nascli.cli.options.of_config import resolve
from nascli.cli.options.shared import StageOptions
from nascli.cli.session import Session
from nascli.config import DetectConfig, read_file
from nascli.errors import UsageError

if TYPE_CHECKING:
    from nascli.artifacts.load import LoadedGenotype, LoadedModel


def train(
    session: Session,
    given: Mapping[str, Any],
    stage: StageOptions,
    sources: list[str] | None,
    seeds: str | None,
    start: str | None,
) -> None:
    """Train a detector on the network of a genotype; arguments as those of `nascli train`."""
    from nascli.cli.output.dry_run import print_plan
    from nascli.cli.output.progress import progress
    from nascli.cli.output.results import print_result, stage_destination
    from nascli.core.engine.destination import stored_config
    from nascli.core.engine.detection.train import plan_detector, train_detector

    if seeds is not None or len(sources or ()) > 1:
        raise UsageError("detectors are trained one at a time: name one genotype, and give --seed for another seed")
    target = stage_destination(stage)
    genotype, classifier = _inputs(target, sources, start, resume=stage.resume)
    own = {**given, **({"weights": "inherited"} if classifier is not None else {})}
    stored = stored_config(target, DetectConfig.stage, own.get("method")) if stage.resume else {}
    if not stored:
        stored = _inherited(genotype, classifier, stage.config, own)
    config = resolve(DetectConfig, own, file=stage.config, stored=stored)
    if stage.dry_run:
        with progress(session) as reporter:
            plan = plan_detector(genotype, config, reporter, start=classifier)
        print_plan(plan, stage=config.stage, json=stage.json)
        return
    with progress(session) as reporter:
        result = train_detector(genotype, config, target, reporter, start=classifier)
    print_result(result, target, stage.json)


def _inputs(
    target: Any, sources: list[str] | None, start: str | None, *, resume: bool
) -> "tuple[LoadedGenotype, LoadedModel | None]":
    """The genotype, of the run that is resumed or of the classifier if none is named, and the classifier."""
    from nascli.artifacts.files.disk import read_once
    from nascli.artifacts.genotypes.genotype import GenotypeFile
    from nascli.artifacts.load import load_artifact
    from nascli.artifacts.model import ModelFile
    from nascli.core.engine.destination import stored_genotype
    from nascli.core.engine.starting_weights import genotype_of, starting_file

    classifier: LoadedModel | None = None
    if start is not None:
        read_once(start, *(sources or ()))
        found = starting_file(start)
        if not isinstance(found.value, ModelFile):
            raise UsageError(
                f"{found.where} holds a {found.kind}; a detector starts from a classifier: make one with 'nascli "
                f"train', or leave --from out"
            )
        classifier = found.holding(ModelFile)
    if sources:
        return load_artifact(sources[0]).holding(GenotypeFile), classifier
    if resume:
        return stored_genotype(target), classifier
    if classifier is not None:
        return genotype_of(classifier), classifier
    raise UsageError("no genotype is given: name one. See 'nascli train --help'")


def _inherited(
    genotype: "LoadedGenotype", classifier: "LoadedModel | None", file: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """What a training takes from its files: the method, the space, and the size of the classifier's network.

    That of a genotype of channels is fixed, so a size from the recipe is left out by its space.
    """
    from nascli.cli.options.of_file import inherited_method
    from nascli.settings.groups import NETWORK_SIZE

    found = {**inherited_method(genotype), "space": genotype.value.genotype.space}
    if classifier is not None:
        size = classifier.value.network.model_dump()
        found |= {name: size[name] for name in NETWORK_SIZE if name in size}
    known = {**(read_file(file) if file is not None else {}), **given}
    return {name: value for name, value in found.items() if name not in known}
