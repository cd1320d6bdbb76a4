"""Every artifact in every format that it has: the files are what they say, and the same each time."""

import functools
import hashlib
import importlib
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import parse_genotype
from nascli.errors import UsageError
from nascli.visualize import FORMATS, visualize
from nascli.visualize.sources import _names
from tests.artifacts.examples import gaussian
from tests.small_cells import SMALL_CELL
from tests.visualize.examples import (
    GENOTYPE,
    PARTLY_NONE,
    candidates,
    categorical,
    channels,
    few_operations,
    mixture,
    parsec_rows,
    pgnas_rows,
    posterior,
    search_rows,
    trials,
    trials_by_table,
)

SMALL = parse_genotype(SMALL_CELL.encode(), "small").genotype


def two_charts(epochs: int) -> list[dict[str, object]]:
    """A search's numbers for the charts of loss and entropy alone."""
    shown = ("epoch", "train_loss", "search_loss", "edge_entropy/normal", "edge_entropy/reduce", "architecture_frozen")
    return [{name: row[name] for name in shown} for row in search_rows(epochs, warm_up=1)]


ARTIFACTS = {
    "genotype": (GENOTYPE, {"svg", "png", "pdf", "dot", "mermaid", "txt"}),
    "mixture": (mixture(space=few_operations(1)), {"svg", "png", "pdf", "txt"}),
    "categorical": (categorical(space=few_operations(1)), {"svg", "png", "pdf", "txt"}),
    "trials": (trials(5, nodes=1), {"svg", "png", "pdf", "txt"}),
    "run": (search_rows(3, warm_up=1), {"svg", "png", "pdf", "txt"}),
    "sampling": (parsec_rows(3, nodes=1), {"svg", "png", "pdf", "txt"}),
    "channels": (channels(depth=1), {"svg", "png", "pdf", "dot", "mermaid", "txt"}),
    "posterior": (posterior(depth=1), {"svg", "png", "pdf", "txt"}),
    "gaussian": (gaussian(), {"svg", "png", "pdf", "txt"}),
    "candidates": (candidates(4), {"svg", "png", "pdf", "txt"}),
    "dropping": (pgnas_rows(3), {"svg", "png", "pdf", "txt"}),
    "benchmark": (PARTLY_NONE, {"svg", "png", "pdf", "dot", "mermaid", "txt"}),
    "benchmark mixture": (mixture(space="nas-bench-201"), {"svg", "png", "pdf", "txt"}),
    "benchmark categorical": (categorical(space="nas-bench-201"), {"svg", "png", "pdf", "txt"}),
    "benchmark trials": (trials_by_table(5), {"svg", "png", "pdf", "txt"}),
    "benchmark sampling": (parsec_rows(3, space="nas-bench-201"), {"svg", "png", "pdf", "txt"}),
    "runs": ({"a": two_charts(2), "b": two_charts(3)}, {"svg", "png", "pdf", "txt"}),
}

ONE_OF_EACH = [
    "genotype",
    "mixture",
    "categorical",
    "trials",
    "runs",
    "channels",
    "posterior",
    "gaussian",
    "candidates",
]
"""One kind of each function that draws."""


@functools.cache
def drawn(kind: str, form: str) -> bytes:
    """An artifact of ARTIFACTS, drawn once for all tests that look at it."""
    return visualize(ARTIFACTS[kind][0], format=form)


def svg_size(picture: bytes) -> tuple[float, float]:
    """Width and height in CSS pixels."""
    root = ET.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return float(root.attrib["width"].removesuffix("pt")) / 0.75, float(root.attrib["height"].removesuffix("pt")) / 0.75


@pytest.mark.parametrize("kind", ["genotype", "runs", "candidates"])
def test_svg_and_png_have_the_same_size(kind: str) -> None:
    """Of bare axes, of charts, and of both; what is drawn on them is one function for all formats."""
    width, height = svg_size(drawn(kind, "svg"))
    assert width == pytest.approx(830), "as wide as a README"
    picture = drawn(kind, "png")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (pytest.approx(2 * width, abs=1), pytest.approx(2 * height, abs=1))


@pytest.mark.parametrize("kind", ["genotype", "runs", "candidates"])
def test_pdf_is_one_page(kind: str) -> None:
    picture = drawn(kind, "pdf")
    assert picture.startswith(b"%PDF-1.")
    assert picture.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", picture)) == 1


@pytest.fixture
def _not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all pictures are made by is told the format, and a size, and says so."""
    for module in ("cells.page", "runs.candidates", "runs.run", "supernets.gaussian", "supernets.supernet"):
        monkeypatch.setattr(
            importlib.import_module(f"nascli.visualize.{module}"),
            "picture",
            lambda width, height, _draw, form: f"{width:.0f} {height:.0f} {form}".encode(),
        )


@pytest.mark.usefixtures("_not_rendered")
@pytest.mark.parametrize(
    ("kind", "form"), [*((kind, "svg") for kind in ARTIFACTS), *((kind, "png") for kind in ONE_OF_EACH)]
)
def test_every_kind_is_drawn_in_the_format_that_is_asked_for_as_wide_as_a_readme(kind: str, form: str) -> None:
    width, height, told = visualize(ARTIFACTS[kind][0], format=form).split()
    assert (int(width), int(height) > 0, told) == (830, True, form.encode())


@pytest.mark.usefixtures("_not_rendered")
@pytest.mark.parametrize("name", published.names())
def test_published_cells_fit_a_readme(name: str) -> None:
    width, height, _ = map(bytes.decode, visualize(published.load(name).genotype, format="svg", title=name).split())
    assert int(width) == 830
    assert int(height) < 1000


def test_another_process_makes_the_same_bytes_and_imports_no_more_than_it_must() -> None:
    """Another process has another hash seed, time and history of figures. Text needs no matplotlib, pictures no pyplot.

    What it imports is looked at on the way, since starting it takes longest. A small cell is enough for what only
    encodes the drawing in another way than SVG does.
    """
    code = (
        "import hashlib, sys; from nascli.artifacts.genotypes import published;"
        "from nascli.visualize import FORMATS, visualize;"
        "from nascli.artifacts.genotypes.genotype import parse_genotype;"
        f"small = parse_genotype({SMALL_CELL.encode()!r}, 'small').genotype;"
        "of = lambda f: small if f in ('png', 'pdf') else published.load('enas').genotype;"
        "show = lambda f: print(f, hashlib.sha256(visualize(of(f), format=f, title='ENAS')).hexdigest());"
        "words = ('txt', 'dot', 'mermaid');"
        "[show(form) for form in words];"
        "assert not {'matplotlib', 'numpy', 'torch'} & sys.modules.keys();"
        "[show(form) for form in FORMATS if form not in words];"
        "assert not {'matplotlib.pyplot', 'torch'} & sys.modules.keys()"
    )
    other = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout
    hashes = dict(line.split() for line in other.splitlines())
    of = {**dict.fromkeys(FORMATS, published.load("enas").genotype), "png": SMALL, "pdf": SMALL}
    here = {form: hashlib.sha256(visualize(of[form], format=form, title="ENAS")).hexdigest() for form in FORMATS}
    assert hashes == here


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_text_is_the_same_twice(kind: str) -> None:
    assert drawn(kind, "txt") == visualize(ARTIFACTS[kind][0], format="txt")


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_pictures_are_the_same_twice(kind: str) -> None:
    assert drawn(kind, "svg") == visualize(ARTIFACTS[kind][0], format="svg")


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_no_date_and_no_program_in_the_metadata(form: str) -> None:
    picture = visualize(SMALL, format=form)
    assert not re.search(rb"CreationDate|<dc:date>|Matplotlib v|tIME|Software", picture)


@pytest.mark.parametrize("kind", ARTIFACTS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_format_that_does_not_fit_names_those_that_do(kind: str, form: str) -> None:
    artifact, known = ARTIFACTS[kind]
    if form in known:
        return
    with pytest.raises(UsageError) as caught:
        visualize(artifact, format=form)
    assert repr(form) in str(caught.value)
    assert all(name in str(caught.value) for name in known)


def test_an_unknown_format_is_corrected() -> None:
    with pytest.raises(UsageError, match="unknown format 'sgv': did you mean 'svg'"):
        visualize(GENOTYPE, format="sgv")


def test_what_has_no_picture_says_so() -> None:
    with pytest.raises(UsageError, match="no picture of a float"):
        visualize(1.0, format="svg")


FORMULA, CONTROL, MISSING, QUOTED = "cost: $5 or $\\frac{", "a\nb\x00\x1b[31m", "セル --> <b>&amp;", 'quo"te \\'
TITLES = {
    **dict.fromkeys(("svg", "dot", "mermaid", "txt"), (FORMULA, CONTROL, MISSING, QUOTED, "x" * 500)),
    "pdf": (MISSING + QUOTED,),  # the same text as in an SVG by then
    "png": (MISSING,),
}


@pytest.mark.parametrize(("form", "title"), [(form, title) for form, titles in TITLES.items() for title in titles])
def test_any_title_is_only_text(form: str, title: str) -> None:
    """No formula, escape sequence, tag or missing glyph of a title breaks the picture or warns."""
    picture = visualize(SMALL, format=form, title=title)
    if form == "svg":
        svg_size(picture)
    if form == "txt":
        assert b"\x1b" not in picture


def test_a_users_matplotlib_settings_change_nothing() -> None:
    import matplotlib

    expected = visualize(SMALL, format="svg")
    with matplotlib.rc_context(
        {"font.size": 30, "svg.fonttype": "none", "axes.facecolor": "red", "lines.linewidth": 9}
    ):
        assert visualize(SMALL, format="svg") == expected
        assert matplotlib.rcParams["font.size"] == 30  # and theirs are as before


def test_svg_has_a_solid_background() -> None:
    """The first thing drawn covers the page in white, so that dark pages don't shine through."""
    root = ET.fromstring(visualize(SMALL, format="svg"))
    first = root.find(".//{http://www.w3.org/2000/svg}path")
    assert first is not None
    assert "fill: #ffffff" in first.attrib["style"]


def test_a_run_that_is_given_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one.run")
    with pytest.raises(UsageError, match=r"the run directory \S*one\.run is given twice"):
        _names([tmp_path / "one.run", tmp_path / "link"])
