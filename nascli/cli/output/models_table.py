"""The table that compares several trained models."""

from collections.abc import Sequence

from nascli.artifacts.load import LoadedModel
from nascli.cli.output.printing import aligned
from nascli.metrics import shown

FINAL = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
"""The metrics of the epoch that a model's weights are of, where they are worth comparing."""


def models_table(models: Sequence[LoadedModel]) -> str:
    """A row for each model: its file, its seed, its epoch where the best was kept, and the metrics of that epoch."""
    rows = []
    header: tuple[str, ...] = ()
    chosen = any("epochs_done" in loaded.value.metrics for loaded in models)
    for loaded in models:
        figures = shown({name: value for name, value in loaded.value.metrics.items() if name in FINAL})
        epoch = [f"{loaded.value.metrics['epoch']:g}"] if chosen else []
        header = ("model", "seed", *(["epoch"] if chosen else []), *(label for label, _ in figures))
        rows.append((loaded.where, str(loaded.provenance.seed), *epoch, *(text for _, text in figures)))
    return aligned([header, *rows])
