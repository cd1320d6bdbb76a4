"""Which test images a network, or an ensemble, gets wrong."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor

from nascli.artifacts.files.disk import check_output, is_pipe, refuse_overwriting, write_output
from nascli.artifacts.load import LoadedModel
from nascli.artifacts.mistakes import Mistake, Mistakes, mistakes_csv
from nascli.core.answer import log_probabilities
from nascli.core.engine.inputs import Output
from nascli.core.engine.reporter import Reporter
from nascli.data import DataModule
from nascli.distributed.ranks import Ranks, world


class WrongAnswers:
    """Collects the wrong answers of one pass over the test images, batch by batch."""

    def __init__(self) -> None:
        self._found: list[tuple[int, Tensor]] = []

    @property
    def images(self) -> int:
        """How many images have been seen."""
        return sum(count for count, _ in self._found)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """The next batch. [images, classes] of logits or log-probabilities, [images]."""
        log_p, best = log_probabilities(logits)
        answers = best.indices[:, 0]
        (wrong,) = (answers != labels).nonzero(as_tuple=True)
        columns = (
            wrong,
            labels[wrong],
            answers[wrong],
            best.values[wrong, 0].exp(),
            log_p[wrong, labels[wrong]].exp(),
        )
        self._found.append((len(labels), torch.stack([column.double() for column in columns], dim=1).cpu()))

    def add_up(self, ranks: Ranks) -> None:
        """Put together what all ranks have found, which take turns at the batches."""
        if ranks.count == 1:
            return
        gathered = ranks.gathered([(count, rows.tolist()) for count, rows in self._found], "counts")
        in_turn = (batch for batches in zip_longest(*gathered) for batch in batches if batch is not None)
        self._found = [(count, torch.tensor(rows, dtype=torch.float64).view(-1, 5)) for count, rows in in_turn]

    def table(self, data: DataModule) -> Mistakes:
        """All of them, the most confident first; those of equal probability in the order of the images."""
        classes, paths = data.info.classes, data.test_paths()
        assert paths is None or len(paths) == self.images
        rows_of_all, before = [], 0
        for count, batch in self._found:
            rows_of_all += [[before + row[0], *row[1:]] for row in batch.tolist()]
            before += count
        found = sorted(rows_of_all, key=lambda row: (-row[3], row[0]))
        rows = [
            Mistake(
                place=str(int(image)) if paths is None else str(paths[int(image)].absolute()),
                truth=classes[int(truth)],
                answer=classes[int(answer)],
                probability=probability,
                truth_probability=of_truth,
            )
            for image, truth, answer, probability, of_truth in found
        ]
        return Mistakes(tuple(rows), in_files=paths is not None)


def check_table(target: Output, overwrite: bool, models: Sequence[LoadedModel]) -> None:
    """Raise UsageError where the table could not be written, before any work is done for it."""
    if target is not None:
        check_output(target, overwrite, ending=".csv")
        refuse_overwriting([target], [model.where for model in models])


def write_table(target: Output, overwrite: bool, wrong: WrongAnswers, data: DataModule, reporter: Reporter) -> None:
    """Write the table, if it is wanted."""
    if target is not None and world().first:
        table = wrong.table(data)
        write_output(target, mistakes_csv(table), overwrite)
        if not is_pipe(target):
            reporter.notice(f"wrong answers are in {target}: {len(table.rows):,} of {wrong.images:,} images")
