"""An evaluation as a person reads it."""

from nascli.cli.printing import aligned
from nascli.core.engine.evaluate import Evaluation

MOST_MATRIX_CLASSES = 12
"""Up to so many classes the confusion matrix fits on a screen; above, the most frequent confusions are listed."""

LISTED_CONFUSIONS = 10
LONGEST_NAME = 12


def table(result: Evaluation) -> str:
    """Accuracies, sizes and speed; accuracy per class; who is taken for whom."""
    head: list[tuple[str, str]] = [("top-1", f"{result.top1:.2%}")]
    if result.top5 is not None:
        head.append(("top-5", f"{result.top5:.2%}"))
    head += [
        ("loss", f"{result.loss:.4f}"),
        ("parameters", f"{result.parameters:,}"),
        ("multiply-adds", f"{result.multiply_adds:,}"),
        ("images/s", f"{result.images_per_second:,.0f}"),
    ]
    blocks = [f"{result.dataset}: {result.images:,} test images on {result.device}", aligned(head)]
    blocks.append(_matrix(result) if len(result.classes) <= MOST_MATRIX_CLASSES else _lists(result))
    return "\n\n".join(blocks)


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
