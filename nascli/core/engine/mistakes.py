"""Which test images a network, or an ensemble, gets wrong."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nascli.artifacts.files.disk import check_output, is_pipe, refuse_overwriting, write_output
from nascli.artifacts.load import LoadedModel
from nascli.artifacts.mistakes import Mistake, Mistakes, mistakes_csv
from nascli.core.answer import log_probabilities
from nascli.core.engine.inputs import Output
from nascli.core.engine.reporter import Reporter
from nascli.data import DataModule


class WrongAnswers:
    """Collects the wrong answers of one pass over the test images, batch by batch."""

    def __init__(self) -> None:
        self.images = 0
        self._found: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """The next batch. [images, classes] of logits or log-probabilities, [images]."""
        log_p, best = log_probabilities(logits)
        answers = best.indices[:, 0]
        (wrong,) = (answers != labels).nonzero(as_tuple=True)
        columns = (
            wrong + self.images,
            labels[wrong],
            answers[wrong],
            best.values[wrong, 0].exp(),
            log_p[wrong, labels[wrong]].exp(),
        )
        self._found.append(torch.stack([column.double() for column in columns], dim=1).cpu())
        self.images += len(labels)

    def table(self, data: DataModule) -> Mistakes:
        """All of them, the most confident first; those of equal probability in the order of the images."""
        classes, paths = data.info.classes, data.test_paths()
        assert paths is None or len(paths) == self.images
        found = sorted(torch.cat(self._found).tolist(), key=lambda row: (-row[3], row[0]))
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
    if target is not None:
        table = wrong.table(data)
        write_output(target, mistakes_csv(table), overwrite)
        if not is_pipe(target):
            reporter.notice(f"wrong answers are in {target}: {len(table.rows):,} of {wrong.images:,} images")
