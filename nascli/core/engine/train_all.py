"""Training of several networks, one after the other: of several genotypes, from several seeds, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import LoadedGenotype, LoadedModel
from nascli.config import TrainConfig
from nascli.core.engine.connection import check_connected
from nascli.core.engine.destination import Destination, check_destination, finished
from nascli.core.engine.dry_run import plan_train
from nascli.core.engine.inputs import Source, artifacts, given_twice, refuse_overwriting_artifacts
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.series import check_goes_on, check_seeds, check_shared, seeded
from nascli.core.engine.signals import StopRequest
from nascli.core.engine.starting_weights import inherited_weights, starting_file, weights_from
from nascli.core.engine.train import train
from nascli.errors import UsageError


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
    return with_seeds(list(zip(genotypes, targets_of(genotypes, seeds, destination), strict=True)), seeds)


def targets_of(
    genotypes: Sequence[LoadedGenotype], seeds: Sequence[int] | None, destination: Destination
) -> list[Destination]:
    """Where the models of each genotype go, without the seeds. Raises UsageError, also for seeds that make no sense."""
    if seeds is not None:
        check_seeds(seeds, "network")
    if len(genotypes) > 1 or seeds is not None:
        check_shared(destination, "model")
    return destination.numbered(len(genotypes))


def with_seeds(
    genotypes: Sequence[tuple[LoadedGenotype, Destination]], seeds: Sequence[int] | None
) -> tuple[Member, ...]:
    """The trainings of genotypes, whose models go to these destinations, from every seed."""
    each: Sequence[int | None] = [None] if seeds is None else seeds
    return tuple(Member(genotype, seed, seeded(target, seed)) for (genotype, target), seed in product(genotypes, each))


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
    return train_members(members(sources, seeds, destination), config, reporter, start=start)


def train_members(
    planned: Sequence[Member], config: TrainConfig, reporter: Reporter = Silent(), *, start: Source | None = None
) -> tuple[LoadedModel, ...]:
    """Carry out trainings that are planned, as `train_all`."""
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
        check_goes_on(stop, len(models), len(planned), "trainings")
        if len(planned) > 1:
            reporter.notice(f"training {number} of {len(planned)}: {description(member)}")
        own = member.config(config)
        models.append(train(member.genotype, own, member.destination, reporter, stop, start=origin))
    return tuple(models)


def plan_members(
    planned: Sequence[Member], config: TrainConfig, reporter: Reporter = Silent(), *, start: Source | None = None
) -> dict[str, dict[str, Any]]:
    """What `train_members` would do: by `description`, the plan of each training. Seeds change no size and no cost."""
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
