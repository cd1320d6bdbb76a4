"""The sheet of pictures that were answered wrong."""

import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import AxesImage

from nascli.artifacts.mistakes import Mistake, Mistakes, mistakes_csv
from nascli.visualize import visualize
from nascli.visualize.canvas import text_width
from nascli.visualize.mistakes import sheet_picture
from nascli.visualize.mistakes.sheet import Sheet
from nascli.visualize.mistakes.sheet_picture import BOX, TEXT, fitting
from tests.data.pictures import noise, read, save
from tests.visualize.figures import made, overlaps, texts

SIZES = [(20, 200), (200, 20), (32, 32), (3, 90), (60, 80)]
NAMES = ["Acer pseudoplatanus (sycamore maple)", "Acer platanoides (Norway maple)", "a", "W" * 40, "$x^2$ 日"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Mistakes:
    """Thirty mistakes of five pictures, one of them grey."""
    root = tmp_path_factory.mktemp("pictures")
    paths = [save(root / f"{n}.png", noise(n, *size, 1 if n == 2 else 3)) for n, size in enumerate(SIZES)]
    rows = (Mistake(str(paths[n % 5]), NAMES[n % 5], NAMES[(n + 1) % 5], 0.99 - n / 100, n / 1000) for n in range(30))
    return Mistakes(tuple(rows), in_files=True)


def test_pictures_are_shown_as_they_are_with_both_names_and_probabilities(table, monkeypatch):
    monkeypatch.setattr(sheet_picture, "picture", made)
    figure = sheet_picture.draw_sheet(Sheet(table), "svg", "Maples")
    (page,) = figure.axes
    shown = page.findobj(AxesImage)
    assert len(shown) == 24
    for number, image in enumerate(shown):
        left, right, lower, upper = image.get_extent()
        height, width = SIZES[number % 5]
        assert (right - left) / (lower - upper) == pytest.approx(width / height)
        assert max(right - left, lower - upper) == pytest.approx(BOX)
        np.testing.assert_array_equal(image.get_array(), read(Path(table.rows[number].place)).transpose(1, 2, 0))
    written = [text.get_text() for text in texts(page)]
    assert written[:3] == [
        "Maples",
        "24 of 30 wrong answers",
        "✗ the answer, ✓ the truth, and the probabilities of both",
    ]
    assert written[3:8] == ["✗", "Acer pla…y maple)", "✓", "Acer pse… maple)", "99.0 % and 0.0 %"]
    assert "$x^2$ ?" in written
    assert overlaps(figure) == []


def test_a_name_that_is_too_long_keeps_both_ends_and_fits():
    for room in (40, 60, 100):
        for name in NAMES:
            short = fitting(name, room)
            assert text_width(short, TEXT) <= room
            assert (short[0], short[-1]) == (name[0], name[-1].replace("日", "?"))
    assert fitting("cat", 100) == "cat"


@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF-1.")])
def test_files_are_what_they_say_and_the_same_twice(form, start, table):
    few = Mistakes(table.rows[:3], True)
    content = visualize(Sheet(few), format=form)
    assert content.startswith(start)
    assert content == visualize(Sheet(few), format=form)
    if form == "png":
        assert struct.unpack(">I", content[16:20]) == (2 * 830,)


def test_the_command_draws_from_anywhere_and_tells_what_is_missing(table, tmp_path, nascli, monkeypatch):
    gone = Mistake("/nowhere/x.png", "a", "b", 1.0, 0.0)
    written = {
        "errors.csv": mistakes_csv(Mistakes((gone, *table.rows[:2]), True)),
        "gone.csv": mistakes_csv(Mistakes((gone, gone), True)),
        "numbers.csv": mistakes_csv(Mistakes((Mistake("7", "a", "b", 1.0, 0.0),), False)),
        "none.csv": mistakes_csv(Mistakes((), True)),
        "other.csv": b"name,size\nx,1\n",
    }
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    done = nascli("visualize", "errors.csv", "-o", "errors.png")
    assert (done.code, done.out) == (0, "errors.png\n")
    assert done.err == "note: left out, as it cannot be read: /nowhere/x.png: No such file or directory\n"
    piped = nascli("visualize", "-", "--format", "png", "-q", stdin=written["errors.csv"])
    assert (piped.raw, piped.err) == (Path("errors.png").read_bytes(), "")
    assert "/nowhere/x.png" in nascli("visualize", "errors.csv", "--format", "txt").out
    assert nascli("visualize", "numbers.csv", "--format", "txt").code == 0
    for name, code, message in (
        ("gone.csv", 4, "none of the 2 pictures can be read; /nowhere/x.png: No such file"),
        ("numbers.csv", 4, "no paths, since the data are not in files"),
        ("none.csv", 2, "no wrong answer"),
        ("other.csv", 3, "other.csv: is not a table of wrong answers"),
    ):
        done = nascli("visualize", name, "-o", "x.png")
        assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
        assert message in done.err
    assert not Path("x.png").exists()
    done = nascli("visualize", "errors.csv", "-o", "x.dot")
    assert (done.code, "no picture of wrong answers" in done.err) == (2, True)
