"""`nascli train`: from genotypes to trained models."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascli.cli.options.completion import among
from nascli.cli.options.of_config import options_of, resolve
from nascli.cli.options.shared import RECIPE_PANEL, GenotypeSources, Seeds, StageOptions
from nascli.cli.session import Session, command
from nascli.config import DetectConfig, TrainConfig, read_file
from nascli.errors import UsageError
from nascli.registry import TASKS, load, lookup

if TYPE_CHECKING:
    from nascli.artifacts.load import Artifact, LoadedArtifact
    from nascli.core.engine.compare import Contest
    from nascli.core.engine.destination import Destination


@command(*options_of(TrainConfig, DetectConfig), output="model.safetensors")
def train(
    session: Session,
    given: dict[str, Any],
    stage: StageOptions,
    sources: GenotypeSources = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="|".join(TASKS),
            help="what the networks learn: one class for a picture, or boxes around things and their classes; "
            f"default {next(iter(TASKS))}, with --resume that of the run",
            autocompletion=among(lambda: TASKS),
            rich_help_panel=RECIPE_PANEL,
        ),
    ] = None,
    seeds: Seeds = None,
    keep_best: Annotated[
        bool,
        typer.Option(
            "--keep-best",
            metavar="",
            help="of several cells, trained alike, print the one that is best on the validation images (of the epochs "
            "of a training: --keep best)",
            rich_help_panel=RECIPE_PANEL,
        ),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|MODEL",
            help="start from these weights: of the search that found the genotypes, or of a model, as far as they fit",
            rich_help_panel=RECIPE_PANEL,
        ),
    ] = None,
) -> None:
    """Train the networks of genotypes and write the models.

    A genotype is a file (JSON, or the text of DARTS or NAS-Bench-201), such a text itself, '-', or a published cell.
    --resume needs none, nor --task, since the run has both. The weights start at random, or with --from from those of
    a search or of a model, which may have had other classes. Without a genotype, that of the model is trained.

    Several genotypes, or --seeds, give several models, trained one after another: model-1.safetensors,
    model-seed0.safetensors or model-1-seed0.safetensors, and so on. 'nascli eval' takes them as an ensemble.

    --keep-best compares several genotypes on validation images, such as those of --validation 0.1, and prints the best
    one, to be trained on all images. The table goes to model-ranked.csv. Test images are read by 'nascli eval' alone.

    With --task detect the network becomes the backbone of a detector, an SSD, for a data set of pictures with boxes:
    --dataset coco, or the built-in digits-scenes. --from then names a classifier.
    """
    if part := lookup(TASKS, "--task", _task(task, stage)).train:
        if keep_best:
            raise UsageError("--keep-best compares classifiers: train detectors one by one, and leave it out")
        load(part)(session, given, stage, sources, seeds, start)
        return
    from nascli.artifacts.files.disk import read_once
    from nascli.artifacts.load import LoadedGenotype
    from nascli.artifacts.model import ModelFile
    from nascli.cli.options.of_file import inherited_by_all, of_model
    from nascli.cli.options.seeds import seeds as parsed
    from nascli.cli.output.dry_run import print_plan, print_plans
    from nascli.cli.output.models_table import models_table
    from nascli.cli.output.progress import progress
    from nascli.cli.output.results import print_result, print_results, stage_destination
    from nascli.core.engine.compare import check_held_out, contest
    from nascli.core.engine.destination import stored_config, stored_genotype
    from nascli.core.engine.starting_weights import genotype_of, starting_file
    from nascli.core.engine.train_all import members, plan_members, train_all

    if seeds is not None and "seed" in given:
        raise UsageError("--seed and --seeds contradict each other: give one of them")
    target, origin, model = stage_destination(stage), None, None
    if start is not None:
        read_once(start, *(sources or ()))
        origin = starting_file(start)
        model = origin.holding(ModelFile) if isinstance(origin.value, ModelFile) else None
        given = {**given, "weights": "inherited"}
    named: list[str | LoadedGenotype] = list(sources or ())
    if not named and not keep_best:
        if stage.resume and seeds is None:
            named = [stored_genotype(target)]
        elif model is not None:
            named = [genotype_of(model)]
        else:
            raise UsageError("no genotype is given: name at least one. See 'nascli train --help'")
    numbers = parsed(seeds) if seeds is not None else None
    compared = contest(named, numbers, target) if keep_best else None
    planned = compared.members if compared is not None else members(named, numbers, target)
    genotypes = list({member.genotype.sha256: member.genotype for member in planned}.values())
    runs = (
        stored_config(member.destination, TrainConfig.stage, given.get("method")) for member in planned if stage.resume
    )
    stored = next(filter(None, runs), None)
    if stored is None:
        own = {**(read_file(stage.config) if stage.config else {}), **given}
        size = {} if model is None else of_model(model, own)
        stored = {**inherited_by_all(genotypes, {**size, **own}), **size}
    elif numbers is not None:
        del stored["seed"]
    config = resolve(TrainConfig, given, file=stage.config, stored=stored)
    several = len(planned) > 1 or numbers is not None
    if stage.dry_run:
        if compared is not None:
            check_held_out(config)
        with progress(session) as reporter:
            plans = plan_members(planned, config, reporter, start=origin)
        if several:
            print_plans(plans, stage=config.stage, json=stage.json)
        else:
            print_plan(*plans.values(), stage=config.stage, json=stage.json)
        return
    if compared is not None:
        _compare(session, stage, target, config, compared, list(map(str, named)), origin)
        return
    with progress(session) as reporter:
        models = train_all(genotypes, config, target, reporter, seeds=numbers, start=origin)
    if not several:
        print_result(models[0], target, stage.json)
        return
    if not session.quiet:
        print(models_table(models), file=sys.stderr)
    print_results([(model, member.destination) for model, member in zip(models, planned, strict=True)], stage.json)


def _task(given: str | None, stage: StageOptions) -> str:
    """The task that is given, that of the run which is resumed, or the first. Raises UsageError where they differ."""
    if stage.resume and (given is None or given in TASKS):
        from nascli.cli.output.results import stage_destination
        from nascli.core.engine.destination import task_of_run

        given = task_of_run(stage_destination(stage), given)
    return given or next(iter(TASKS))


def _compare(
    session: Session,
    stage: StageOptions,
    target: "Destination",
    config: TrainConfig,
    compared: "Contest",
    cells: Sequence[str],
    origin: "LoadedArtifact[Artifact] | None",
) -> None:
    """Train cells that are compared, and print the table and the best one, as it was given among `cells`."""
    from nascli.cli.output.compared_table import compared_facts, compared_table
    from nascli.cli.output.printing import print_json
    from nascli.cli.output.progress import progress
    from nascli.core.engine.compare import decide

    with progress(session) as reporter:
        found = decide(compared, config, target, reporter, start=origin)
    best = cells[found.cells[0].number - 1]
    if not session.quiet:
        print(compared_table(found), file=sys.stderr)
    if stage.json:
        print_json(compared_facts(found, best))
    else:
        print(best)
