"""What a ranking writes: the best as genotypes, the best one's network, and the run directory that keeps the scores."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from nascli import __version__
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.files.disk import BINARY, check_output, same_file
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import LoadedDistribution, LoadedGenotype, LoadedModel
from nascli.artifacts.model import ModelFile, model_bytes
from nascli.artifacts.provenance import Provenance
from nascli.artifacts.runs.rundir import RunDir
from nascli.artifacts.runs.scores import Scored
from nascli.config import DeriveConfig
from nascli.core.engine.connection import tell_disconnected
from nascli.core.engine.destination import Destination, check_destination, open_run
from nascli.core.engine.inputs import Output, read_back, refuse_overwriting_artifacts
from nascli.core.engine.latency import Latency
from nascli.core.engine.ranking.prepare import Prepared, candidates_of
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.sizing import shape_of
from nascli.errors import UsageError


class Results:
    """Where the `count` best of a ranking go, and the network of the first of them, if `model` names a place for it.

    Raises UsageError for whatever cannot be written, before any work is done for it.
    """

    def __init__(
        self, start: LoadedDistribution, config: DeriveConfig, destination: Destination, count: int, model: Output
    ) -> None:
        if model is not None and (why := candidates_of(start).no_model):
            raise UsageError(why)
        if why := candidates_of(start).only_model:
            ways = ["give --model FILE for the network of the best"] if model is None else []
            ways += ["leave --top out"] if count > 1 else []
            if ways:
                raise UsageError(f"{why}: {', and '.join(ways)}")
        self._start, self._config = start, config
        self._genotypes, self._model = destination.numbered(count), replace(destination, output=model)
        self._folder = replace(destination, output=None, run_dir=destination.run_path)
        _check_outputs(self._genotypes, self._model, start)
        check_destination(self._folder, config, start.ancestor())

    @contextmanager
    def run(self, data: DataInfo, reporter: Reporter) -> Iterator[RunDir | None]:
        """Hold the run directory, if there is one. Raises as `open_run`."""
        with open_ranking(self._folder, self._config, self._start, data, reporter) as run:
            yield run

    def write(
        self, best: Sequence[Scored], latencies: Sequence[Latency], ready: Prepared, reporter: Reporter
    ) -> tuple[tuple[LoadedGenotype, ...], LoadedModel | None]:
        """Write the genotypes of the best, and the network of the first as scored. latencies: of each, if measured."""
        files = [
            self._file(score, place, None if latency is None else latency.median_ms, ready)
            for place, (score, latency) in enumerate(zip_longest(best, latencies), 1)
        ]
        contents = [genotype_bytes(file) for file in files]
        network = None if self._model.output is None else model_bytes(_network(files[0], best[0], ready))
        genotypes = tuple(
            read_back(content, target.write(content), GenotypeFile)
            for target, content in zip(self._genotypes, contents, strict=True)
        )
        model = None if network is None else read_back(network, self._model.write(network), ModelFile)
        tell_disconnected([file.genotype for file in files], self._start.distribution, reporter)
        first = self._genotypes[0]
        reporter.end(None if first.output is None or first.is_pipe else Path(first.output))
        return genotypes, model

    def _file(self, score: Scored, place: int, latency: float | None, ready: Prepared) -> GenotypeFile:
        start, config, origin = self._start, self._config, self._start.provenance
        how = {
            "choice": "ranked",
            "seed": config.seed,
            "candidates": config.candidates,
            "shortlist": config.shortlist,
            "max_params": config.max_params,
            "max_macs": config.max_macs,
            "max_latency_ms": config.max_latency,
            "latency_ms": latency,
            "layers": config.layers,
            "channels": config.channels,
            "recalibrate": config.recalibrate or None,
            "number": score.number,
            "rank": place,
            "held_out_images": len(ready.images),
            "held_out_accuracy": score.accuracy,
            "held_out_loss": score.loss,
        }
        return GenotypeFile(
            genotype=ready.source.genotype(config.seed, score.number),
            provenance=Provenance(
                nascli=__version__,
                stage=config.stage,
                method=origin.method,
                seed=origin.seed,
                config={name: value for name, value in how.items() if value is not None},
                data=origin.data,
                made_from=start.ancestor(),
            ),
        )


@contextmanager
def open_ranking(
    folder: Destination,
    config: DeriveConfig,
    start: LoadedDistribution,
    data: DataInfo,
    reporter: Reporter,
    shard: str | None = None,
) -> Iterator[RunDir | None]:
    """Hold the run directory of a ranking of `start`, or of one part of it. Raises as `open_run`."""
    if folder.resume and folder.run_path is not None and not RunDir(folder.run_path).has_run():
        reporter.notice(f"there is no run in {folder.run_path} yet: starting from the beginning")
    with open_run(folder, config, start.ancestor(), data, shard=shard) as run:
        yield run


def _network(file: GenotypeFile, score: Scored, ready: Prepared) -> ModelFile:
    """The network of a candidate, as it was scored."""
    network = ready.scorer.network(file.genotype, score.number)
    return ModelFile(
        weights={name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
        genotype=file.genotype,
        network=shape_of(ready.data.info),
        data=ready.data.info,
        metrics={"held_out_accuracy": score.accuracy, "held_out_loss": score.loss},
        provenance=file.provenance,
    )


def _check_outputs(genotypes: Sequence[Destination], model: Destination, start: LoadedDistribution) -> None:
    """Raise UsageError for a file that cannot be written, or that is wanted for two things."""
    replaces = model.overwrite or model.resume
    outputs = [target.output for target in genotypes]
    refuse_overwriting_artifacts((*outputs, model.output), start)
    if model.output is not None:
        if model.is_pipe and genotypes[0].is_pipe:
            raise UsageError("the genotype and the model cannot both go to standard output: name a file for one")
        if not model.is_pipe and any(out is not None and same_file(out, model.output) for out in outputs):
            raise UsageError(f"{model.output} cannot be both the genotype and the model: name another file")
        check_output(model.output, replaces, ending=BINARY)
    for output in outputs:
        if output is not None:
            check_output(output, replaces, ending=".json")
