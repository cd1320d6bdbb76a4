"""The table that compares several trained models."""

from collections.abc import Sequence

from nascli.artifacts.load import LoadedModel
from nascli.cli.output.printing import aligned
from nascli.metrics import shown

FINAL = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
"""The metrics of the last epoch that are worth comparing."""


def models_table(models: Sequence[LoadedModel]) -> str:
    """A row for each model: its file, its seed, and the metrics of its last epoch."""
    rows = []
    header: tuple[str, ...] = ()
    for loaded in models:
        figures = shown({name: value for name, value in loaded.value.metrics.items() if name in FINAL})
        header = ("model", "seed", *(label for label, _ in figures))
        rows.append((loaded.where, str(loaded.provenance.seed), *(text for _, text in figures)))
    return aligned([header, *rows])
