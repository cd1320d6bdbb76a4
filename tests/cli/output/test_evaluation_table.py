"""Evaluations as a person reads them, of few classes and of many."""

from nascli.cli.output.evaluation_table import table
from nascli.core.engine.class_scores import ClassScores
from nascli.core.engine.evaluate import Evaluation


def evaluation(confusion: list[list[int]], classes: tuple[str, ...]) -> Evaluation:
    scores = ClassScores.of(confusion)
    precision, recall, f1 = (
        dict(zip(classes, shares, strict=True)) for shares in (scores.precision, scores.recall, scores.f1)
    )
    shares = {"top1": 0.5, "top5": None, "loss": 1.0, "calibration_error": 0.1, "balanced_accuracy": 0.5}
    means = {"macro_precision": 0.25, "macro_recall": 0.5, "macro_f1": 0.75}
    size = {"parameters": 1, "multiply_adds": 2, "images_per_second": 3.0, "device": "cpu"}
    each = {"per_class": recall, "precision": precision, "recall": recall, "f1": f1, "classes": classes}
    images = sum(map(sum, confusion))
    return Evaluation(dataset="folder", images=images, confusion=confusion, **shares, **means, **size, **each)


def test_a_matrix_of_long_names_fits_a_screen_and_what_is_undefined_is_a_dash():
    names = tuple(f"{letter} rather long name of a class" for letter in "abcdefghijkl")
    confusion = [[90 * (i == j) + 5 * (i == j + 1) for j in range(12)] for i in range(12)]
    confusion[11] = [0] * 12
    lines = table(evaluation(confusion, names)).splitlines()
    assert max(map(len, lines)) <= 110
    start = next(number for number, line in enumerate(lines) if line.startswith("class  "))
    assert lines[start + 1].split()[-4:] == ["90", "94.7%", "100.0%", "97.3%"]
    assert lines[start + 12].split()[-4:] == ["0", "-", "-", "-"]
    assert "mean of classes            1,040      25.0%   50.0%  75.0%" in lines


def test_of_many_classes_the_worst_are_listed():
    confusion = [[(i * (i == j)) + (200 - i) * (j == 0 < i) for j in range(120)] for i in range(120)]
    text = table(evaluation(confusion, tuple(f"class {i}" for i in range(120))))
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("class  "))
    assert [line.split()[1] for line in lines[start + 1 : start + 4]] == ["0", "1", "2"]
    assert lines[start + 22] == "(the 20 classes of least F1 out of 120; --json gives all)"
    assert "199  class 1 taken for class 0" in lines
    assert len(lines) < 50
