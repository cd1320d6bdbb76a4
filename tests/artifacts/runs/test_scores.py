"""The order in which candidates are ranked."""

from nascli.artifacts.runs.scores import Scored, ranked


def scored(number: int, accuracy: float, loss: float) -> Scored:
    return Scored("posterior", number, accuracy, loss, 10, 20)


def test_by_accuracy_then_loss_then_number() -> None:
    rows = [scored(1, 0.5, 0.1), scored(2, 0.9, 0.7), scored(3, 0.9, 0.6), scored(4, 0.9, 0.6)]
    assert [row.number for row in ranked(rows)] == [3, 4, 2, 1]
