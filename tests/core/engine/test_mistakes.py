"""Wrong answers, by hand, with the pictures that they belong to."""

from pathlib import Path

import pytest
import torch

from nascli.artifacts.mistakes import Mistake
from nascli.config import EvalConfig
from nascli.core.engine.mistakes import WrongAnswers
from nascli.data import open_data
from tests.data.pictures import CPU, known, make_folder


def wrong(data, *batches) -> tuple[Mistake, ...]:
    found = WrongAnswers()
    for probabilities, labels in batches:
        found.add(torch.tensor(probabilities).log(), torch.tensor(labels))
    return found.table(data).rows


def folder(root: Path, side: int = 8, **options):
    for part in ("train", "test"):
        make_folder(root / part, {"a": 2, "b": 3})
    return open_data(EvalConfig(dataset="folder", data_dir=root, **options), device=CPU, like=known(side=side))


def test_the_most_confident_comes_first_with_its_own_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = folder(Path("x"))
    labels = [y for _, batch in data.test_batches(2) for y in batch.tolist()]
    assert labels == [0, 0, 1, 1, 1]
    rows = wrong(data, ([[0.4, 0.6], [0.9, 0.1]], [0, 0]), ([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]], [1, 1, 1]))
    assert [(row.place, row.truth, row.answer) for row in rows] == [
        (str(tmp_path / "x/test/b/000.png"), "b", "a"),
        (str(tmp_path / "x/test/a/000.png"), "a", "b"),
        (str(tmp_path / "x/test/b/002.png"), "b", "a"),
    ]
    shares = [[row.probability, row.truth_probability] for row in rows]
    torch.testing.assert_close(torch.tensor(shares), torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.6, 0.4]]))


@pytest.mark.parametrize(("side", "opened"), [(8, False), (72, False), (72, True)])
def test_pictures_that_are_left_out_shift_no_other(side, opened, tmp_path):
    data = folder(tmp_path, side, skip_corrupt=True)
    if opened:
        assert len(data.test_paths()) == 5
    (tmp_path / "test/a/001.png").write_bytes(b"damaged")
    assert [y for _, batch in data.test_batches(8) for y in batch.tolist()] == [0, 1, 1, 1]
    rows = wrong(data, ([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8]], [0, 1, 1, 1]))
    assert [row.place for row in rows] == [str(tmp_path / "test/b/000.png")]
