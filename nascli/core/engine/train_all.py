"""Training of several networks, one after the other: of several genotypes, from several seeds, or both."""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import LoadedGenotype, LoadedModel
from nascli.config import TrainConfig
from nascli.core.engine.connection import check_connected
from nascli.core.engine.destination import Destination, check_destination, finished
from nascli.core.engine.dry_run import plan_train
from nascli.core.engine.inputs import Output, Source, artifacts, given_twice, refuse_overwriting_artifacts
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.signals import StopRequest
from nascli.core.engine.starting_weights import inherited_weights, starting_file, weights_from
from nascli.core.engine.train import train
from nascli.errors import Interrupted, UsageError


@dataclass(frozen=True)
class Member:
    """One of several trainings: its genotype, its seed (None: the configuration's), and where its model goes."""

    genotype: LoadedGenotype
    seed: int | None
    destination: Destination

    def config(self, shared: TrainConfig) -> TrainConfig:
        """The configuration of this training, given the one that all share."""
        return shared if self.seed is None else TrainConfig(**{**shared.model_dump(), "seed": self.seed})


def members(
    sources: Sequence[Source], seeds: Sequence[int] | None = None, destination: Destination = Destination()
) -> tuple[Member, ...]:
    """Every genotype with every seed. Raises ArtifactError, UsageError.

    Models are written beside `destination.output`, with the number of the genotype where there are several (from 1)
    and the seed where `seeds` are given: model-1.safetensors, model-seed0.safetensors, model-1-seed0.safetensors. Each
    has its run directory beside it. One genotype without `seeds` is written to `destination` itself.
    """
    genotypes = artifacts(sources, GenotypeFile)
    for one, other in combinations(genotypes, 2):
        if one.value.genotype == other.value.genotype:
            raise UsageError(
                f"{given_twice(one, other)}: the second network would be the same as the first; several networks of "
                "one genotype come from several --seeds"
            )
    if seeds is not None:
        if not seeds:
            raise UsageError("no seed is given: name at least one")
        if repeated := [seed for seed, count in Counter(seeds).items() if count > 1]:
            raise UsageError(f"seed {repeated[0]} is given twice: the second network would be the same as the first")
    if len(genotypes) > 1 or seeds is not None:
        _check_shared(destination)
    targets = destination.numbered(len(genotypes))
    each: Sequence[int | None] = [None] if seeds is None else seeds
    return tuple(
        Member(genotype, seed, replace(target, output=_with_seed(target.output, seed)))
        for (genotype, target), seed in product(zip(genotypes, targets, strict=True), each)
    )


def train_all(
    sources: Sequence[Source],
    config: TrainConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    seeds: Sequence[int] | None = None,
    start: Source | None = None,
) -> tuple[LoadedModel, ...]:
    """Train every genotype with every seed, each as `train` would, and return the models in the order of `members`.

    `start` is the run that all of them were derived from, or a model, where they start from its weights. Any fault of
    it, of a genotype or of a destination is raised before the first training starts. Resuming skips what is complete,
    continues what was interrupted and starts what is missing. Raises as `train`.
    """
    planned = members(sources, seeds, destination)
    origin = None if start is None else starting_file(start)
    for member in planned:
        own, made_from, model = member.config(config), member.genotype.ancestor(), weights_from(origin)
        inherited_weights(member.genotype, origin, own)
        check_connected(member.genotype, own)
        refuse_overwriting_artifacts([member.destination.output], *(other.genotype for other in planned), origin)
        if not finished(member.destination, own, made_from, model):
            check_destination(member.destination, own, made_from, model)
    stop = StopRequest()
    models: list[LoadedModel] = []
    for number, member in enumerate(planned, start=1):
        # After a signal during a training's last step, that training finishes and the next one does not begin.
        if stop.signal_number is not None:
            name = signal.Signals(stop.signal_number).name
            raise Interrupted(
                f"stopped by {name} after {len(models)} of {len(planned)} trainings; continue with --resume",
                stop.signal_number,
            )
        if len(planned) > 1:
            reporter.notice(f"training {number} of {len(planned)}: {description(member)}")
        own = member.config(config)
        models.append(train(member.genotype, own, member.destination, reporter, stop, start=origin))
    return tuple(models)


def plan_train_all(
    planned: Sequence[Member], config: TrainConfig, reporter: Reporter = Silent(), *, start: Source | None = None
) -> dict[str, dict[str, Any]]:
    """What `train_all` would do: by `description`, the plan of each training. Seeds change no size and no cost."""
    origin = None if start is None else starting_file(start)
    costs: dict[str, dict[str, Any]] = {}
    plans: dict[str, dict[str, Any]] = {}
    for member in planned:
        own, digest = member.config(config), member.genotype.sha256
        if digest not in costs:
            costs[digest] = plan_train(member.genotype, own, reporter, member.destination, start=origin)
        plans[description(member)] = {**costs[digest], "config": own.model_dump(mode="json")}
    return plans


def description(member: Member) -> str:
    """A training in words: its genotype, its seed if seeds are given, its model if it is written."""
    seed = f", seed {member.seed}" if member.seed is not None else ""
    output = member.destination.output
    return f"{member.genotype.where}{seed}{f', to {output}' if output is not None else ''}"


def _check_shared(destination: Destination) -> None:
    """Raise UsageError for a destination that only suits one model."""
    if destination.is_pipe:
        raise UsageError("several models cannot share standard output: name a file with -o, and they lie beside it")
    if destination.run_dir is not None:
        raise UsageError("--run-dir is the folder of one run: leave it out, and each model has its own beside it")
    if destination.output is not None and Path(destination.output).is_dir():
        raise UsageError(f"{destination.output} is a folder: name a file in it, from which the models' names are made")


def _with_seed(output: Output, seed: int | None) -> Output:
    """The file for one of several seeds, which stands in its name before the ending."""
    if output is None or seed is None:
        return output
    path = Path(output)
    return path.with_name(f"{path.stem}-seed{seed}{path.suffix}")
