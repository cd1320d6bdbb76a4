"""Evaluation of several models as one: their probabilities are averaged."""

from collections.abc import Sequence
from itertools import combinations
from math import log

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import LoadedModel
from nascli.artifacts.model import ModelFile
from nascli.config import EvalConfig
from nascli.core.engine.evaluate import Count, Evaluation, Tally, evaluate_on, evaluation, resolved, test_data
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Output, Source, artifacts, given_twice
from nascli.core.engine.mistakes import WrongAnswers, check_table, write_table
from nascli.core.engine.reporter import Reporter, Silent
from nascli.data import DataModule
from nascli.errors import UsageError
from nascli.graphs.graph import Size


class MemberEvaluation(Evaluation):
    """The evaluation of one model of an ensemble, and the file that it came from."""

    file: str


class EnsembleEvaluation(BaseModel):
    """How models do on the same test images, each alone and together, all in the first one's order of classes.

    The ensemble answers with the mean of its members' probabilities. Its parameters and multiply-adds are their sums,
    its time is that of all members, one after the other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: tuple[MemberEvaluation, ...]
    ensemble: Evaluation


class MeanProbabilities:
    """The mean over networks of the probabilities that they give, batch by batch of one pass over a data set.

    Kept as the logarithm of their running sum, in float64, on the device of the batches, so that even a probability of
    1e-300 counts. That is one number per image and class, however many networks there are.
    """

    def __init__(self) -> None:
        self._log_sums: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._members = self._batch = 0

    def begin_member(self) -> None:
        """The next batch is the first one of another network."""
        self._check_whole_pass()
        self._members += 1
        self._batch = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """The next batch of the current network. [images, classes], [images]."""
        log_p = logits.double().log_softmax(dim=1)
        if self._members == 1:
            self._log_sums.append(log_p)
            self._labels.append(labels)
        else:
            assert torch.equal(self._labels[self._batch], labels), "members see the same images in the same order"
            log_sum = self._log_sums[self._batch]
            torch.logaddexp(log_sum, log_p, out=log_sum)
        self._batch += 1

    def tally(self, classes: int, *counts: Count) -> Tally:
        """The tally of the mean's answers, which `counts` get, too."""
        self._check_whole_pass()
        tally = Tally(classes)
        for log_sum, labels in zip(self._log_sums, self._labels, strict=True):
            for count in (tally, *counts):
                count.add(log_sum - log(self._members), labels)
        return tally

    def _check_whole_pass(self) -> None:
        assert self._batch == len(self._labels), "every member sees all images"


def evaluate_ensemble(
    sources: Sequence[Source],
    config: EvalConfig | None = None,
    reporter: Reporter = Silent(),
    *,
    errors: Output = None,
    overwrite: bool = False,
) -> EnsembleEvaluation:
    """Evaluate models on the same test images, each alone and all together.

    By default on those of the data set that they were trained on. The members may differ in everything but the set of
    their classes. One network at a time is on the device. errors, overwrite: as in `evaluate`,
    of the ensemble. Raises ArtifactError, UsageError, DataError, MemoryExhausted.
    """
    models = artifacts(sources, ModelFile)
    check_members(models)
    check_table(errors, overwrite, models)
    config = _shared_config(models, config)
    first = models[0].value.data
    mean = MeanProbabilities()
    members: list[MemberEvaluation] = []
    notices: dict[str, None] = {}
    data: DataModule | None = None
    with working(config) as runtime:
        for loaded in models:
            model = loaded.value
            if model.data.fingerprint != first.fingerprint:
                reporter.notice(
                    f"{loaded.where} was trained on other images than {models[0].where}: make sure that neither has "
                    "seen the test images"
                )
            # Images are not read again for a member that sees them as the one before.
            if data is None or preprocessing(data.info) != preprocessing(model.data):
                data = test_data(model, config, runtime, first.classes)
            mean.begin_member()
            alone = evaluate_on(data, loaded, config, runtime, mean)
            members.append(MemberEvaluation(file=loaded.where, **alone.model_dump()))
            for text in data.notices:
                if text not in notices:
                    reporter.notice(text)
                    notices[text] = None
        assert data is not None
        together = Size(
            parameters=sum(member.parameters for member in members),
            multiply_adds=sum(member.multiply_adds for member in members),
        )
        seconds = sum(member.images / member.images_per_second for member in members)
        wrong = WrongAnswers()
        tally = mean.tally(len(first.classes), *(() if errors is None else (wrong,)))
        for count in (tally, wrong):
            count.add_up(runtime.ranks)
        ensemble = evaluation(tally, data, runtime, together, seconds)
        write_table(errors, overwrite, wrong, data, reporter)
    return EnsembleEvaluation(members=tuple(members), ensemble=ensemble)


def preprocessing(info: DataInfo) -> tuple[object, ...]:
    """What decides how a model sees images."""
    return info.mean, info.std, info.image_size, info.fit, info.background


def check_members(models: Sequence[LoadedModel]) -> None:
    """Raise UsageError for models that cannot answer together, before any of them does."""
    for one, other in combinations(models, 2):
        if one.sha256 == other.sha256:
            raise UsageError(f"{given_twice(one, other)}: an ensemble counts each member once")
    first = models[0]
    classes = set(first.value.data.classes)
    for model in models[1:]:
        if strange := sorted(classes ^ set(model.value.data.classes)):
            raise UsageError(
                f"{model.where} has other classes than {first.where} ({len(strange)} are in only one of them, such as "
                f"{strange[0]!r}): the members of an ensemble need the same"
            )


def _shared_config(models: Sequence[LoadedModel], config: EvalConfig | None) -> EvalConfig:
    """The first model's configuration, as `resolved`. Raises UsageError where the models' data sets differ."""
    configs = [resolved(model, config) for model in models]
    for model, own in zip(models, configs, strict=True):
        if own.dataset != configs[0].dataset:
            raise UsageError(
                f"{model.where} was trained on {own.dataset}, {models[0].where} on {configs[0].dataset}: say with "
                "--dataset on which to evaluate them"
            )
    return configs[0]
