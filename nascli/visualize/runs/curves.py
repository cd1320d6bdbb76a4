"""The curves of runs, read from the rows of their metrics.jsonl and grouped into charts by `nascli.metrics`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from nascli.errors import UsageError
from nascli.metrics import FROZEN, METRICS, PANELS, Metric, Panel

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curve:
    """A metric over the epochs, with its key in the rows. `label` tells it from the others of its chart."""

    key: str
    label: str
    metric: Metric


@dataclass(frozen=True)
class Chart:
    """Curves that share an axis."""

    title: str
    panel: Panel
    curves: tuple[Curve, ...]


def named_runs(runs: Rows | Mapping[str, Rows]) -> dict[str, Rows]:
    """The runs by their names; a run alone is named "". Raises UsageError where there is nothing to show."""
    named = dict(runs) if isinstance(runs, Mapping) else {"": runs}
    if not named:
        raise UsageError("no run to draw")
    for name, rows in named.items():
        if not rows:
            raise UsageError(f"run{f' {name}' if name else ''} has no finished epoch yet: there is nothing to draw")
    if not charts(named):
        known = dict.fromkeys(metric.name for metric in METRICS if metric.panel)
        raise UsageError(f"no row has a number for a chart: {', '.join(known)}")
    return named


def charts(runs: Mapping[str, Rows]) -> list[Chart]:
    """The charts for which any run has numbers, without the curves for which none has."""
    found: list[Chart] = []
    for title, panel in PANELS.items():
        if panel.of_one and len(runs) > 1:
            continue
        curves: dict[str, list[Curve]] = {}
        for metric in METRICS:
            keys = _keys(metric, runs) if metric.panel == title else {}
            if metric.whole and len(keys) == 1:  # the only part is the whole
                continue
            for key, names in keys.items():
                curve = Curve(key, metric.label.format(**names), metric)
                if any(points_of(rows, curve) for rows in runs.values()):
                    curves.setdefault(title.format(**names), []).append(curve)
        found += [Chart(name, panel, tuple(own)) for name, own in curves.items()]
    return found


def _keys(metric: Metric, runs: Mapping[str, Rows]) -> dict[str, dict[str, str]]:
    """`Metric.keys` over all rows of all runs."""
    return {key: names for rows in runs.values() for key, names in metric.keys(_columns(rows)).items()}


def _columns(rows: Rows) -> list[str]:
    """The keys of all rows, in order."""
    return list(dict.fromkeys(key for row in rows for key in row))


def shown_in(chart: Chart, runs: Mapping[str, Rows]) -> dict[str, Rows]:
    """The runs that have a number for the chart."""
    return {name: rows for name, rows in runs.items() if any(points_of(rows, curve) for curve in chart.curves)}


def points_of(rows: Rows, curve: Curve) -> list[tuple[int, float]]:
    """(epoch, shown number) of each row that has one; rows without the key or with nan are left out."""
    if curve.metric.beside and curve.key not in curve.metric.keys(_columns(rows)):
        return []
    points = []
    for row in rows:
        epoch, value = row.get("epoch"), row.get(curve.key)
        if isinstance(epoch, int) and isinstance(value, int | float) and isfinite(value):
            points.append((epoch, value * curve.metric.unit.scale))
    return sorted(points)


def frozen_epochs(runs: Mapping[str, Rows]) -> list[int]:
    """The epochs in which no run's architecture learnt; empty if that is the start, epoch 0, alone."""
    frozen = [{row["epoch"] for row in rows if row.get(FROZEN) and "epoch" in row} for rows in runs.values()]
    common = set.intersection(*frozen)
    return sorted(common) if common - {0} else []
