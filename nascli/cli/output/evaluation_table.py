"""An evaluation as a person reads it."""

from collections.abc import Sequence
from statistics import mean, stdev

from nascli.cli.output.printing import aligned
from nascli.core.engine.ensemble import EnsembleEvaluation
from nascli.core.engine.evaluate import Evaluation

MOST_MATRIX_CLASSES = 12
"""The most classes whose confusion matrix fits on a screen; with more, the most frequent confusions are listed."""

MATRIX_WIDTH = 100
"""Columns of the terminal that the matrix fills, unless counts need more; the names above it are cut short for that."""

LONGEST_HEAD, SHORTEST_HEAD = 12, 4

MOST_LISTED_CLASSES = 100
LISTED_CLASSES = 20
"""How many classes are listed where there are more than MOST_LISTED_CLASSES."""

LISTED_CONFUSIONS = 10
LONGEST_NAME = 24


def table(result: Evaluation) -> str:
    """Accuracies, sizes and speed; how well each class is told, and what its images are taken for."""
    head: list[tuple[str, str]] = [("top-1", f"{result.top1:.2%}")]
    if result.top5 is not None:
        head.append(("top-5", f"{result.top5:.2%}"))
    head += [
        ("balanced accuracy", f"{result.balanced_accuracy:.2%}"),
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
        (
            "model",
            "top-1",
            "top-5",
            "balanced",
            "neg. log-likelihood",
            "calibration error",
            "parameters",
            "multiply-adds",
        ),
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
        f"{result.balanced_accuracy:.2%}",
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
    return (
        f"{_scores(result)}\n\n{_matrix(result) if len(result.classes) <= MOST_MATRIX_CLASSES else _confusions(result)}"
    )


def _scores(result: Evaluation) -> str:
    """A row per class, and their means; of more than `MOST_LISTED_CLASSES`, the classes that are told worst."""
    listed = list(zip(result.classes, map(sum, result.confusion), strict=True))
    left = ""
    if len(listed) > MOST_LISTED_CLASSES:
        listed = sorted(listed, key=lambda row: (result.f1[row[0]] is None, result.f1[row[0]]))[:LISTED_CLASSES]
        left = f"\n(the {LISTED_CLASSES} classes of least F1 out of {len(result.classes):,}; --json gives all)"
    rows: list[tuple[str, ...]] = [("class", "images", "precision", "recall", "F1")]
    for name, images in listed:
        shares = (result.precision[name], result.recall[name], result.f1[name])
        rows.append((_short(name), f"{images:,}", *map(_share, shares)))
    means = (result.macro_precision, result.macro_recall, result.macro_f1)
    rows.append(("mean of classes", f"{result.images:,}", *map(_share, means)))
    return aligned(_right_aligned(rows)) + left


def _matrix(result: Evaluation) -> str:
    """One row per class: what its images were taken for."""
    names = [_short(name) for name in result.classes]
    left = MATRIX_WIDTH - max(map(len, names))
    heads = (n for n in range(LONGEST_HEAD, SHORTEST_HEAD, -1) if sum(2 + min(len(name), n) for name in names) <= left)
    longest = next(heads, SHORTEST_HEAD)
    rows: list[tuple[str, ...]] = [("class", *(_short(name, longest) for name in result.classes))]
    rows += [(name, *(str(n or ".") for n in row)) for name, row in zip(names, result.confusion, strict=True)]
    return f"{aligned(_right_aligned(rows))}\n(rows: the true class; columns: the answers)"


def _confusions(result: Evaluation) -> str:
    """The most frequent confusions."""
    mistakes = [
        (count, f"{result.classes[true]} taken for {result.classes[answer]}")
        for true, counts in enumerate(result.confusion)
        for answer, count in enumerate(counts)
        if count and true != answer
    ]
    worst = sorted(mistakes, key=lambda mistake: -mistake[0])[:LISTED_CONFUSIONS]
    return f"most frequent confusions\n{aligned(worst) if worst else 'none'}"


def _share(share: float | None) -> str:
    return f"{share:.1%}" if share is not None else "-"


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"
