"""The best of several cells: all are trained alike, on the same images, and compared on those that were held out.

PC-DARTS's way to a result (Xu et al., note to Table 1): five searches, each cell trained on 45,000 of the 50,000 images
and compared on the 5,000 left out; PARSEC's is the same with two searches (Casale et al., Section 4.1).
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel, ConfigDict

from nascli.artifacts.files.disk import check_output, is_pipe, write_output
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import LoadedGenotype, LoadedModel
from nascli.config import TrainConfig
from nascli.core.engine.best_epoch import ACCURACY, LOSS, merit
from nascli.core.engine.destination import Destination
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Source, artifacts, refuse_overwriting_artifacts
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.train import check_watched
from nascli.core.engine.train_all import Member, targets_of, train_members, with_seeds
from nascli.data import open_data
from nascli.errors import UsageError

COLUMNS = ("rank", "cell", "same_as", "validation_accuracy", "validation_loss", "parameters", "seeds", "models")


class ComparedCell(BaseModel):
    """A cell, and how its networks do on the held-out images: the means over the seeds; accuracies are in [0, 1].

    `number` counts the given cells from 1. `same_as` names further ones that are the same cell, and `models` the files
    of its networks, "" where they were not written. `validation_loss` is None where one of them is not finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int
    number: int
    cell: str
    same_as: tuple[str, ...]
    validation_accuracy: float
    validation_loss: float | None
    parameters: int
    seeds: tuple[int, ...]
    models: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Its line in the table of a file."""
        told = self.model_dump(include=set(COLUMNS))
        return {**told, **{name: " ".join(map(str, told[name])) for name in ("same_as", "seeds", "models")}}


@dataclass(frozen=True)
class Comparison:
    """Cells that were trained alike, the best first; the genotype of the best; all models; the file of the table."""

    cells: tuple[ComparedCell, ...]
    best: LoadedGenotype
    models: tuple[LoadedModel, ...]
    table: Path | None


@dataclass(frozen=True)
class Contest:
    """The trainings of a comparison: those of a cell are neighbours. Numbers and copies are by a cell's digest.

    `numbers` count the given cells from 1, `copies` are the places of its equals. `notices` say what is trained once.
    """

    members: tuple[Member, ...]
    numbers: dict[str, int]
    copies: dict[str, tuple[str, ...]]
    notices: tuple[str, ...]


def contest(
    sources: Sequence[Source], seeds: Sequence[int] | None = None, destination: Destination = Destination()
) -> Contest:
    """The trainings by which cells are compared. Raises ArtifactError, UsageError.

    Models are written as `members` says, by the number of the cell. Equal cells are trained once.
    """
    if len(sources) < 2:
        count = "one is given" if sources else "none is given"
        raise UsageError(
            f"--keep-best chooses among several cells, and {count}: name at least two (among the epochs of a training "
            "it is --keep best)"
        )
    if any(is_pipe(source) for source in sources if isinstance(source, str | Path)):
        raise UsageError("--keep-best prints the best cell as it was given, and '-' cannot be given on: name a file")
    genotypes = artifacts(sources, GenotypeFile)
    targets = targets_of(genotypes, seeds, destination)
    different: list[tuple[LoadedGenotype, Destination]] = []
    numbers: dict[str, int] = {}
    copies: dict[str, tuple[str, ...]] = {}
    notices: list[str] = []
    for number, (genotype, target) in enumerate(zip(genotypes, targets, strict=True), start=1):
        same = (one for one, _ in different if one.value.genotype == genotype.value.genotype)
        if (first := next(same, None)) is None:
            different.append((genotype, target))
            numbers[genotype.sha256], copies[genotype.sha256] = number, ()
        else:
            copies[first.sha256] += (genotype.where,)
            notices.append(f"{genotype.where} is the same cell as {first.where}: it is trained once")
    if len(different) == 1:
        notices.append("all of these are one cell: there is nothing to choose, but it is trained")
    return Contest(with_seeds(different, seeds), numbers, copies, tuple(notices))


def compare(
    sources: Sequence[Source],
    config: TrainConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    seeds: Sequence[int] | None = None,
    start: Source | None = None,
) -> Comparison:
    """Train every cell as `train_all` would, and rank them on the held-out images: by accuracy, then by loss.

    With several seeds, by the means over them. Of equals the one that is named first is better. The table is written
    beside the models (`table_path`), once all are trained. The test images are not read. Resuming skips what is
    complete and goes on with the rest. Raises as `train_all`; UsageError where no image is held out, or for one cell.
    """
    return decide(contest(sources, seeds, destination), config, destination, reporter, start=start)


def decide(
    planned: Contest,
    config: TrainConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    start: Source | None = None,
) -> Comparison:
    """Carry out a comparison that is planned, as `compare`."""
    table = _checked_table(planned, destination)
    check_held_out(config)
    for text in planned.notices:
        reporter.notice(text)
    models = train_members(planned.members, config, reporter, start=start)
    cells = ranked(planned, models)
    if table is not None:
        write_output(table, table_bytes(cells), overwrite=destination.overwrite or destination.resume)
    best = next(one.genotype for one in planned.members if planned.numbers[one.genotype.sha256] == cells[0].number)
    return Comparison(cells, best, models, table)


def check_held_out(config: TrainConfig) -> None:
    """Raise UsageError where there are no images to compare cells on."""
    if config.validation == 0:  # then there may be val/ beside test/
        with working(config) as runtime:
            check_watched(config, open_data(config, device=runtime.device), compared=True)


def ranked(planned: Contest, models: Sequence[LoadedModel]) -> tuple[ComparedCell, ...]:
    """The cells, the best first."""
    pairs = zip(planned.members, models, strict=True)
    found = []
    for digest, group in groupby(pairs, key=lambda pair: pair[0].genotype.sha256):
        own = list(group)
        metrics = [model.value.metrics for _, model in own]
        found.append(
            ComparedCell(
                rank=0,
                number=planned.numbers[digest],
                cell=own[0][0].genotype.where,
                same_as=planned.copies[digest],
                validation_accuracy=fmean(one[ACCURACY] for one in metrics),
                validation_loss=fmean(one[LOSS] for one in metrics) if all(LOSS in one for one in metrics) else None,
                parameters=own[0][1].value.graph.parameters,
                seeds=tuple(model.provenance.seed or 0 for _, model in own),
                models=tuple(str(member.destination.output or "") for member, _ in own),
            )
        )
    order = sorted(found, key=_merit, reverse=True)
    return tuple(one.model_copy(update={"rank": rank}) for rank, one in enumerate(order, start=1))


def table_path(destination: Destination) -> Path | None:
    """Where the table goes: beside model.safetensors, to model-ranked.csv."""
    if destination.output is None:
        return None
    path = Path(destination.output)
    return path.with_name(f"{path.stem}-ranked.csv")


def table_bytes(cells: Sequence[ComparedCell]) -> bytes:
    """The table as CSV, a row per cell; lists are separated by blanks."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cell.row() for cell in cells)
    return text.getvalue().encode()


def _checked_table(planned: Contest, destination: Destination) -> Path | None:
    """Where the table goes. Raises UsageError where it could not be written."""
    path = table_path(destination)
    if path is not None:
        refuse_overwriting_artifacts([path], *(member.genotype for member in planned.members))
        check_output(path, destination.overwrite or destination.resume, ending=".csv")
    return path


def _merit(cell: ComparedCell) -> tuple[float, float]:
    loss = cell.validation_loss
    return merit(cell.validation_accuracy, math.nan if loss is None else loss)
