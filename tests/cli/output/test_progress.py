"""What is shown of a run: plain lines, and the live display on a terminal that is only pretended."""

import io
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from nascli.cli.output.clock import Clock, duration
from nascli.cli.output.live import Live
from nascli.cli.output.progress import Lines, progress
from nascli.cli.session import Session
from nascli.core.engine.reporter import Silent
from nascli.metrics import shown

ROW = {
    "epoch": 1,
    "step": 10,
    "lr": 0.025,
    "train_loss": 2.3026,
    "train_accuracy": 0.1234,
    "edge_entropy/normal": 2.0794,
    "gradient_norm": 7.0,
    "images_per_second": 1234.5,
}


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (245, "4:05"), (3723, "1:02:03")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_metrics_are_shown_in_a_fixed_order_and_only_the_known_ones():
    expected = [
        ("loss", "2.303"),
        ("accuracy", "12.3%"),
        ("entropy normal", "2.079"),
        ("lr", "0.025"),
        ("images/s", "1,234"),
    ]
    assert shown(dict(reversed(ROW.items()))) == expected


def test_a_sampling_search_shows_its_entropy_its_mode_and_its_samples():
    """Of the dozen numbers of an epoch of PARSEC, those that tell whether it goes well."""
    row = {
        "train_loss": 1.5,
        "entropy/normal": 25.14,
        "entropy": 50.281,
        "mode_accuracy": 0.4567,
        "mode_probability": 1e-22,
        "effective_samples": 1.26,
        "samples": 16.0,
        "skip_share": 0.125,
    }
    assert [f"{label} {text}" for label, text in shown(row)] == [
        "loss 1.500",
        "mode accuracy 45.7%",
        "entropy 50.28",
        "effective samples 1.3",
        "of 16",
        "skips 12%",
    ]


def test_a_search_that_knows_the_truth_shows_it_and_not_its_cell():
    row = {"edge_entropy/cell": 1.6094, "genotype": "|none~0|", "true_accuracy": 0.93467, "lr": 0.025}
    assert shown(row) == [("entropy cell", "1.609"), ("true accuracy", "93.47%"), ("lr", "0.025")]


def test_time_left_counts_from_where_the_run_resumed(time):
    clock = Clock(time)
    clock.start(step=60, total=100)
    assert clock.left(60) is None
    time.now += 20
    assert clock.left(70) == pytest.approx(60)  # 10 steps in 20 s, 30 steps to go


def test_lines_are_one_an_epoch(time):
    stream = io.StringIO()
    lines = Lines(stream, now=time)
    lines.begin("search", {"data": "digits", "device": "cpu"}, epochs=12, steps_per_epoch=10, step=0)
    for step in range(1, 11):
        time.now += 1
        lines.step(1, step, ROW)
    lines.epoch(ROW)
    lines.notice("the auxiliary tower is left out")
    lines.end(Path("run.safetensors"))
    assert stream.getvalue().splitlines() == [
        "search: data digits, device cpu",
        "epoch  1/12  loss 2.303  accuracy 12.3%  entropy normal 2.079  lr 0.025  images/s 1,234  1:50 left",
        "note: the auxiliary tower is left out",
        "done in 0:10, wrote run.safetensors",
    ]


def test_long_epochs_say_something_every_half_minute(time):
    stream = io.StringIO()
    lines = Lines(stream, now=time)
    lines.begin("train", {}, epochs=1, steps_per_epoch=100, step=0)
    for step in range(1, 101):
        time.now += 1
        lines.step(1, step, {"train_loss": 1.0})
    steps = re.findall(r"step (\d+)/100", stream.getvalue())
    assert steps == ["30", "60", "90"]


def test_verbose_lines_show_every_step_and_a_resumption(time):
    stream = io.StringIO()
    lines = Lines(stream, verbose=True, now=time)
    lines.begin("train", {}, epochs=2, steps_per_epoch=3, step=4)
    lines.step(2, 5, {"train_loss": 1.0})
    lines.step(2, 6, {"train_loss": 1.0})
    assert "resumed after step 4" in stream.getvalue()
    assert stream.getvalue().count("loss 1.000") == 2


def test_candidates_are_counted_as_such(time):
    stream = io.StringIO()
    lines = Lines(stream, verbose=True, now=time)
    lines.begin("derive", {"images": 30}, epochs=1, steps_per_epoch=9, step=4, unit="candidate")
    known = {"best_accuracy": 0.9, "mean_accuracy": 0.8}
    lines.step(1, 6, known)
    lines.step(1, 9, {**known, "uniform_best_accuracy": 0.7, "uniform_mean_accuracy": 0.6})
    assert stream.getvalue().splitlines() == [
        "derive: images 30, resumed after candidate 4",
        "  candidate 6/9  best 90.0%  mean 80.0%",
        "  candidate 9/9  best 90.0%  mean 80.0%  best of uniform 70.0%  mean 60.0%",
    ]


def test_a_live_display_of_candidates_has_no_epochs_and_no_images(time):
    live, stream = draw(time)
    with live:
        live.begin("derive", {}, epochs=1, steps_per_epoch=9, step=0, unit="candidate")
        live.step(1, 6, {"best_accuracy": 0.9})
    assert "candidate 6/9" in stream.getvalue()
    assert "epoch" not in stream.getvalue()
    assert "images/s" not in stream.getvalue()


def test_a_second_round_leaves_standard_output_alone_afterwards(time, capsys):
    live, stream = draw(time)
    before = sys.stdout
    with live:
        live.begin("derive", {}, epochs=1, steps_per_epoch=9, step=0, unit="candidate")
        live.begin("derive", {}, epochs=1, steps_per_epoch=2, step=0, unit="candidate")
        live.end(None)
        assert sys.stdout is before
        print("cell.json")
    assert capsys.readouterr().out == "cell.json\n"
    assert "cell.json" not in stream.getvalue()


def draw(time: Time, width: int = 100) -> tuple[Live, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    return Live(console, now=time), stream


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_live_display_shows_epoch_step_metrics_and_time_left(time):
    live, stream = draw(time)
    with live:
        live.begin("search", {"data": "digits"}, epochs=2, steps_per_epoch=10, step=0)
        time.now += 5
        live.step(1, 5, ROW)
    text = plain(stream.getvalue())
    for part in (
        "epoch 1/2",
        "step 5/10",
        "loss 2.303",
        "accuracy 12.3%",
        "entropy normal 2.079",
        "1,234 images/s",
        "0:15 left",
    ):
        assert part in text


def test_live_display_keeps_a_line_per_epoch_and_draws_no_faster_than_ten_times_a_second(time):
    live, stream = draw(time)
    with live:
        live.begin("train", {}, epochs=2, steps_per_epoch=10, step=0)
        for step in range(1, 11):
            time.now += 0.02  # 50 steps a second
            live.step(1, step, ROW)
        drawn = stream.getvalue().count("left")
        live.epoch(ROW)
        live.end(Path("model.safetensors"))
    assert drawn == 2  # after 0.02 s and 0.12 s
    kept = [line.strip() for line in plain(stream.getvalue()).splitlines()]
    assert "epoch 1/2  loss 2.303  accuracy 12.3%  entropy normal 2.079" in kept
    assert kept[-1] == "done in 0:00, wrote model.safetensors"


def test_live_display_gives_the_cursor_back_when_the_run_fails(time):
    live, stream = draw(time)

    def fail() -> None:
        with live:
            live.begin("train", {}, epochs=1, steps_per_epoch=1, step=0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert stream.getvalue().rindex(show) > stream.getvalue().rindex(hide)


def screen(text: str) -> list[str]:
    """The lines that a terminal shows after `text`: it goes up, erases lines and overwrites as it is told."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A"):
            row -= int(part[2:-1] or 1)
        elif part.endswith("K"):
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] = lines[row].ljust(column)[:column] + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def test_a_second_run_leaves_what_is_shown_of_the_first(time):
    live, stream = draw(time)
    with live:
        for number in (1, 2):
            live.notice(f"training {number} of 2")
            live.begin("train", {}, epochs=1, steps_per_epoch=10, step=0)
            time.now += 1
            live.step(1, 5, ROW)
            live.epoch(ROW)
            live.end(Path(f"model-{number}.safetensors"))
    shown_of_one = ["train", "epoch 1/1", "train ━", "loss", "done in"]
    starts = ["note: training 1 of 2", *shown_of_one, "note: training 2 of 2", *shown_of_one]
    lines = [line for line in screen(stream.getvalue()) if line]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines


def test_markup_in_names_is_not_obeyed(time):
    live, stream = draw(time)
    with live:
        live.begin("search", {"data": "my [bold]data[/nonsense]"}, epochs=1, steps_per_epoch=1, step=0)
        live.notice("left out cat[/x].png")
    assert "my [bold]data[/nonsense]" in plain(stream.getvalue())
    assert "left out cat[/x].png" in plain(stream.getvalue())


def test_lines_off_a_terminal_and_silence_when_asked(capsys):
    with progress(Session()) as reporter:
        assert isinstance(reporter, Lines)
    with progress(Session(quiet=True)) as reporter:
        assert isinstance(reporter, Silent)


@pytest.mark.parametrize(("term", "kind"), [("xterm", Live), ("dumb", Lines)])
def test_live_display_on_a_terminal_that_can_draw(term, kind, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    with progress(Session()) as reporter:
        assert isinstance(reporter, kind)
