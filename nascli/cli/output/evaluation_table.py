"""An evaluation as a person reads it."""

from collections.abc import Sequence
from statistics import mean, stdev

from nascli.cli.output.printing import aligned
from nascli.core.engine.ensemble import EnsembleEvaluation
from nascli.core.engine.evaluate import Evaluation

MOST_MATRIX_CLASSES = 12
"""The most classes whose confusion matrix fits on a screen; with more, the most frequent confusions are listed."""

LISTED_CONFUSIONS = 10
LONGEST_NAME = 12


def table(result: Evaluation) -> str:
    """Accuracies, sizes and speed; the accuracy of each class, and what its images are taken for."""
    head: list[tuple[str, str]] = [("top-1", f"{result.top1:.2%}")]
    if result.top5 is not None:
        head.append(("top-5", f"{result.top5:.2%}"))
    head += [
        ("neg. log-likelihood", f"{result.loss:.4f}"),
        ("calibration error", f"{result.calibration_error:.2%}"),
        ("parameters", f"{result.parameters:,}"),
        ("multiply-adds", f"{result.multiply_adds:,}"),
        ("images/s", f"{result.images_per_second:,.0f}"),
    ]
    return "\n\n".join([_title(result), aligned(head), _classes(result)])


def ensemble_table(result: EnsembleEvaluation) -> str:
    """A row for each member and one for the ensemble; then the ensemble's answers for each class."""
    together = result.ensemble
    rows: list[tuple[str, ...]] = [
        ("model", "top-1", "top-5", "neg. log-likelihood", "calibration error", "parameters", "multiply-adds"),
        *(_row(member.file, member) for member in result.members),
        _row(f"ensemble of {len(result.members)}", together),
    ]
    if together.top5 is None:
        rows = [(name, top1, *rest) for name, top1, _, *rest in rows]
    blocks = [_title(together), aligned(_right_aligned(rows))]
    if len(result.members) > 1:
        top1 = [member.top1 for member in result.members]
        blocks.append(f"a member's top-1 is {mean(top1):.2%} ± {stdev(top1):.2%} (mean and standard deviation)")
    return "\n\n".join([*blocks, f"the ensemble's answers\n{_classes(together)}"])


def _title(result: Evaluation) -> str:
    return f"{result.dataset}: {result.images:,} test images on {result.device}"


def _row(name: str, result: Evaluation) -> tuple[str, ...]:
    return (
        name,
        f"{result.top1:.2%}",
        f"{result.top5:.2%}" if result.top5 is not None else "",
        f"{result.loss:.4f}",
        f"{result.calibration_error:.2%}",
        f"{result.parameters:,}",
        f"{result.multiply_adds:,}",
    )


def _right_aligned(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same rows with all columns but the first padded on their left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(row[0], *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))) for row in rows]


def _classes(result: Evaluation) -> str:
    return _matrix(result) if len(result.classes) <= MOST_MATRIX_CLASSES else _lists(result)


def _matrix(result: Evaluation) -> str:
    """One row per class: its accuracy and what its images were taken for."""
    names = [_short(name) for name in result.classes]
    rows: list[tuple[object, ...]] = [("class", "accuracy", *names)]
    for name, true_class, counts in zip(names, result.classes, result.confusion, strict=True):
        rows.append((name, _share(result.per_class[true_class]), *(count or "." for count in counts)))
    return f"{aligned(rows)}\n(rows: the true class; columns: the answers)"


def _lists(result: Evaluation) -> str:
    """Accuracy per class, and the most frequent confusions."""
    classes = aligned((_short(name), _share(share)) for name, share in result.per_class.items())
    mistakes = [
        (count, f"{result.classes[true]} taken for {result.classes[answer]}")
        for true, counts in enumerate(result.confusion)
        for answer, count in enumerate(counts)
        if count and true != answer
    ]
    worst = sorted(mistakes, key=lambda mistake: -mistake[0])[:LISTED_CONFUSIONS]
    return f"{classes}\n\nmost frequent confusions\n{aligned(worst) if worst else 'none'}"


def _share(share: float | None) -> str:
    return f"{share:.1%}" if share is not None else "no image"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
