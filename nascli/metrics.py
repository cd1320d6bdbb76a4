"""The metrics of a run: their names in the rows of metrics.jsonl, and where each of them is shown.

A new metric needs a row in METRICS and the line that computes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

GENOTYPE = "genotype"
"""The key, in a row of metrics, of the cells that the search would derive after the epoch, as text."""

FROZEN = "architecture_frozen"
"""The key that is true in the rows of warm-up epochs, in which only the weights learn."""

DRIFT = "drift_entropy"
"""The entropy that the steps so far would have left in a distribution under a constant likelihood."""

TRUE_ACCURACY = "true_accuracy"
"""The accuracy of the cells under GENOTYPE in the table of true accuracies, if the search was given one."""


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis in the picture of a run, and the name of the axis.

    The axis spans at least `least_span`, so that a constant looks constant. `better` says which end is good, if one is.
    `of_one`: the panel is for a single run, since it has many curves, which have an order.
    """

    axis: str
    least_span: float
    better: Literal["high", "low", ""] = ""
    of_one: bool = False


PANELS: Mapping[str, Panel] = {
    "Accuracy": Panel("accuracy (%)", 10, "high"),
    "Loss": Panel("cross-entropy (nats)", 0.1, "low"),
    "Average precision": Panel("AP (%)", 10, "high"),
    "Loss of boxes": Panel("loss per matched default box", 0.5, "low"),
    "Found cells": Panel("accuracy on the search half (%)", 10, "high"),
    "Entropy of p(α | π)": Panel("entropy (nats)", 1),
    "Decisions: {cell}": Panel("entropy of a decision (nats)", 1, of_one=True),
    "Entropy": Panel("entropy per edge (nats)", 0.1),
    "Samples of a step": Panel("children", 2),
    "Accuracy on held-out images": Panel("accuracy (%)", 10, "high"),
    "Loss on held-out images": Panel("cross-entropy (nats)", 0.1, "low"),
    "Kept channels": Panel("expected share (%)", 20),
    "p of dropping a channel": Panel("probability", 0.2),
    "Deviation of the weights": Panel("of their root mean square", 0.2),
    "Entropy of the masks": Panel("entropy (nats)", 1),
    "Divergence from the prior": Panel("nats per image", 0.01),
    "Skip connections": Panel("skips among the picks (%)", 20),
}
"""By title, in order. A title with a name in braces stands for several panels, one for each value of that name."""


@dataclass(frozen=True)
class Unit:
    """The unit of a metric. A terminal shows the number in `form`; a picture shows `scale` times the number."""

    form: str
    scale: float = 1.0


SHARE = Unit("{:.1%}", scale=100)
"""A share of a whole, from 0 to 1; shown in per cent."""
NATS = Unit("{:.3f}")
COUNT = Unit("{:.0f}")
SECONDS = Unit("{:.1f}")
PER_SECOND = Unit("{:,.0f}")
PLAIN = Unit("{:.2g}")
"""Without a unit: rates, norms, probabilities."""


@dataclass(frozen=True)
class Metric:
    """A number of an epoch, or the mean of a number of its steps.

    `name`: its key in a row. With names in braces it stands for all keys of that form, and `live` and `label` may use
    the same names. `live`: its name while a run lasts; if empty, it is not shown. `panel`: the title of its panel, and
    `label` the name of its curve there; if empty, it has no curve. `form`: its format on a terminal, if not its unit's.

    `total`: another metric that is shown with this one, as in "3 of 8". `whole`: the metric that this one is a part of;
    the only part of a whole has no curve of its own. `beside`: the row applies only where that other metric is present,
    since methods use one name for different things. `grey`: the curve is only there for comparison.
    """

    name: str
    unit: Unit
    live: str = ""
    panel: str = ""
    label: str = ""
    form: str = ""
    total: str = ""
    whole: str = ""
    beside: str = ""
    grey: bool = False

    def keys(self, row: Iterable[str]) -> dict[str, dict[str, str]]:
        """The keys of a row that belong to this metric, each with its values for the names in braces."""
        keys = list(row)
        if self.beside and all(_match(self.beside, key) is None for key in keys):
            return {}
        return {key: names for key in keys if (names := _match(self.name, key)) is not None}


METRICS = (
    Metric("train_loss", NATS, "loss", "Loss", "train"),
    Metric("train_accuracy", SHARE, "accuracy", "Accuracy", "train"),
    Metric("search_loss", NATS, "search loss", "Loss", "search"),
    Metric("search_accuracy", SHARE, "search accuracy", "Accuracy", "search"),
    Metric("validation_loss", NATS, "validation loss", "Loss", "validation"),
    Metric("validation_accuracy", SHARE, "validation accuracy", "Accuracy", "validation"),
    Metric("detection_loss", NATS, "loss", "Loss of boxes", "train"),
    Metric("class_loss", NATS, "classes", "Loss of boxes", "classes"),
    Metric("box_loss", NATS, "boxes", "Loss of boxes", "places"),
    Metric("validation_ap", SHARE, "validation AP", "Average precision", "validation"),
    Metric("penalty", NATS, panel="Divergence from the prior", label="penalty"),
    Metric("gradient_norm", PLAIN),
    Metric("mode_accuracy", SHARE, "mode accuracy", "Found cells", "mode"),
    Metric("mode_probability", PLAIN),
    Metric("trials_done", COUNT, "trials done"),
    Metric("best_accuracy", SHARE, "best", "Found cells", "best"),
    Metric("mean_accuracy", SHARE, "mean", "Found cells", "mean"),
    Metric("uniform_best_accuracy", SHARE, "best of uniform"),
    Metric("uniform_mean_accuracy", SHARE, "mean"),
    Metric("supernet_accuracy", SHARE, "held-out accuracy", "Accuracy on held-out images", "super-network"),
    Metric("supernet_loss", NATS, panel="Loss on held-out images", label="super-network"),
    Metric("sampled_accuracy", SHARE, "of networks drawn", "Accuracy on held-out images", "networks drawn"),
    Metric("sampled_loss", NATS, panel="Loss on held-out images", label="networks drawn"),
    Metric("kept_share", SHARE, "kept", "Kept channels", "all", form="{:.0%}"),
    Metric("drop_max", PLAIN, panel="p of dropping a channel", label="largest"),
    Metric("drop_mean", PLAIN, panel="p of dropping a channel", label="mean"),
    Metric("drop_min", PLAIN, panel="p of dropping a channel", label="least"),
    Metric("noise_mean", PLAIN, "noise", "Deviation of the weights", "mean of groups", form="{:.0%}"),
    Metric("noise_max", PLAIN, panel="Deviation of the weights", label="largest"),
    Metric("noise_min", PLAIN, panel="Deviation of the weights", label="least"),
    Metric("entropy", NATS, "entropy", "Entropy of the masks", "all channels", form="{:.2f}", beside="kept_share"),
    Metric("entropy", NATS, "entropy", "Entropy of p(α | π)", "all", form="{:.2f}", beside="entropy/{cell}"),
    Metric(DRIFT, NATS, panel="Entropy of p(α | π)", label="without data", grey=True),
    Metric("entropy/{cell}", NATS, panel="Entropy of p(α | π)", label="{cell}", whole="entropy"),
    Metric("entropy/{cell}/{decision}", NATS, panel="Decisions: {cell}", label="{decision}"),
    Metric("samples", COUNT, panel="Samples of a step", label="drawn"),
    Metric("distinct_children", COUNT),
    Metric("trained_children", COUNT, panel="Samples of a step", label="trained"),
    Metric(
        "effective_samples",
        COUNT,
        "effective samples",
        "Samples of a step",
        "effective",
        form="{:.1f}",
        total="samples",
    ),
    Metric("edge_entropy/{cell}", NATS, "entropy {cell}", "Entropy", "{cell}"),
    Metric("skip_share", SHARE, "skips", "Skip connections", "all cells", form="{:.0%}"),
    Metric(TRUE_ACCURACY, SHARE, "true accuracy", form="{:.2%}"),
    Metric("lr", PLAIN, "lr"),
    Metric("images_per_second", PER_SECOND, "images/s"),
    Metric("seconds", SECONDS),
)
"""In the order in which they are shown. A row also has "epoch", "step", GENOTYPE and FROZEN, which are no metrics."""


def shown(row: Mapping[str, float]) -> list[tuple[str, str]]:
    """Name and text of each metric of a row that a running stage shows, in a fixed order."""
    found = []
    for metric in METRICS:
        for key, names in metric.keys(row).items() if metric.live else ():
            found.append((metric.live.format(**names), (metric.form or metric.unit.form).format(row[key])))
            if metric.total in row:
                found.append(("of", COUNT.form.format(row[metric.total])))
    return found


def _match(name: str, key: str) -> dict[str, str] | None:
    """The values that a key has for the names in braces of a metric's name; None if it belongs to another metric.

    >>> _match("entropy/{cell}", "entropy/normal")
    {'cell': 'normal'}
    """
    if "{" not in name:
        return {} if name == key else None
    parts = list(zip(name.split("/"), key.split("/"), strict=False))
    if name.count("/") != key.count("/") or any(part[0] != "{" and part != own for part, own in parts):
        return None
    return {part.strip("{}"): own for part, own in parts if part[0] == "{"}
