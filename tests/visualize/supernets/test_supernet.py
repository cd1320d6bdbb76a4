"""The picture of a super-network shows each convolution's kept share in numbers and in lengths."""

import re
from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.registry import SUPERNETS
from nascli.supernets import stages_of
from nascli.supernets import supernet as supernet_of
from nascli.visualize import visualize
from nascli.visualize.panel import MARGIN
from nascli.visualize.sources import draw
from nascli.visualize.style import PAPER
from nascli.visualize.supernets import supernet
from nascli.visualize.supernets.block_picture import GONE
from nascli.visualize.supernets.channels import draw_channels
from nascli.visualize.supernets.kept import of_genotype
from nascli.visualize.supernets.posterior import draw_posterior
from nascli.visualize.supernets.supernet import PADDING
from tests.artifacts.examples import bytes_of
from tests.visualize.examples import PROVENANCE, channels, posterior, small_graph
from tests.visualize.figures import made, overlaps, texts


@pytest.fixture(autouse=True)
def _figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures stay figures."""
    monkeypatch.setattr(supernet, "picture", made)


def boxes(axes) -> list[Rectangle]:
    """All plain rectangles, from top to bottom and from left to right."""
    found = [child for child in axes.get_children() if type(child) is Rectangle and child is not axes.patch]
    return sorted(found, key=lambda box: (box.get_y(), box.get_x()))


def half_of_one() -> ChannelsGenotype:
    """A resnet-mb of three blocks, whole except for stage 1: half of one convolution, and nothing of another branch."""
    kept = {name: range(sum(conv.sources)) for name, conv in small_graph("resnet-mb", 1).masked.items()}
    branches = "stage1.block0.branch"
    some = {f"{branches}0.conv2": range(4), f"{branches}1.conv1": []}
    return ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), kept | some)


def test_boxes_are_as_full_as_they_are_kept() -> None:
    axes = draw_channels(half_of_one(), "svg", None).axes[0]
    numbers = [text.get_text() for text in texts(axes) if re.fullmatch(r"\d+|–", text.get_text())]
    assert sorted(numbers) == sorted(["100"] * 15 + ["50"] + ["–"] * 2)
    faces = {box: to_hex(box.get_facecolor(), keep_alpha=True) for box in boxes(axes)}
    frames = [box for box, face in faces.items() if face.endswith("00")]
    filled = {
        (box.get_x(), box.get_y()): box.get_width()
        for box, face in faces.items()
        if box not in frames and face != f"{PAPER}ff"
    }
    shares = [filled.get((box.get_x(), box.get_y()), 0) / box.get_width() for box in frames]
    assert sorted(shares)[-16:] == pytest.approx([0.5] + [1] * 15)


def test_what_is_dropped_is_dashed() -> None:
    axes = draw_channels(half_of_one(), "svg", None).axes[0]
    dashed = [box for box in boxes(axes) if box.get_linestyle() not in {"-", "solid"}]
    assert len(dashed) == 2
    assert {to_hex(box.get_edgecolor()) for box in dashed} == {GONE}
    assert [line for line in axes.lines if line.get_linestyle() == "--" and to_hex(line.get_color()) == GONE]
    assert "dropped" in [text.get_text() for text in texts(axes)]
    whole = {name: range(sum(conv.sources)) for name, conv in small_graph("resnet-mb", 1).masked.items()}
    full = draw_channels(ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), whole), "svg", None).axes[0]
    assert not [box for box in boxes(full) if box.get_linestyle() not in {"-", "solid"}]
    assert "dropped" not in [text.get_text() for text in texts(full)]


def test_a_table_shows_the_share_of_every_source() -> None:
    genotype = channels("densenet121", 3)
    kept = of_genotype(genotype)
    shown = [text.get_text() for text in texts(draw_channels(genotype, "svg", None).axes[0])]
    shares = [f"{100 * share:.0f}" for conv in kept.convolutions.values() if not conv.dead for share in conv.shares]
    names = [str(layer) for layer in range(3)] * 4
    assert sorted(text for text in shown if text.isdigit()) == sorted(shares + names)


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("name", sorted(SUPERNETS.keys() - {"resnet-mb-inflated", "enas-inflated"}))  # as without
def test_nothing_overlaps_at_any_depth(name: str, depth: int) -> None:
    figure = draw_channels(channels(name, depth), "svg", "A title")
    assert figure.get_size_inches()[0] * 96 == pytest.approx(830)
    assert overlaps(figure) == []


@pytest.mark.parametrize("name", sorted(SUPERNETS.keys() - {"resnet-mb-inflated", "enas-inflated"}))
def test_the_extremes_have_pictures(name: str) -> None:
    """Nothing kept at all, and everything."""
    for channels_of in (lambda conv: (), lambda conv: range(sum(conv.sources))):
        kept = {conv: channels_of(op) for conv, op in small_graph(name, 2).masked.items()}
        genotype = ChannelsGenotype.of(name, 4, stages_of(name, 2), kept)
        everything = {text.get_text() for text in texts(draw_channels(genotype, "svg", None).axes[0])}
        assert ("100" in everything) is any(kept.values())
        assert visualize(genotype, format="txt")


def test_a_very_deep_table_stays_on_the_page() -> None:
    stages = (1, 1, 40, 1)
    graph = supernet_of("densenet121", 2, stages, classes=1, image_channels=1, image_size=32)
    kept = {conv: range(sum(op.sources)) for conv, op in graph.masked.items()}
    axes = draw_channels(ChannelsGenotype.of("densenet121", 2, stages, kept), "svg", None).axes[0]
    cells = boxes(axes)
    assert len(cells) > 40 * 41 / 2
    assert max(box.get_x() + box.get_width() for box in cells) < axes.get_xlim()[1] - MARGIN - PADDING + 0.1


@pytest.mark.parametrize("spread", [0.0, 9.0])
@pytest.mark.parametrize("name", ["resnet-mb", "densenet121"])
def test_nothing_overlaps_whatever_p_is(name: str, spread: float) -> None:
    assert overlaps(draw_posterior(posterior(name, 2, spread), "svg", "A title")) == []


def test_every_probability_is_a_dot_at_its_logit() -> None:
    artifact = posterior("densenet121", 2)
    chart = draw_posterior(artifact, "svg", None).axes[1]
    dots = {x: y for line in chart.get_lines() for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    expected = [float(artifact.logits[group.conv][group.source]) for group in artifact.graph.groups]
    assert [dots[number] for number in range(len(expected))] == pytest.approx(expected)
    low, high = chart.get_ylim()
    assert low < min(expected) <= max(expected) < high
    ticks = {label.get_text(): place for place, label in zip(chart.get_yticks(), chart.get_yticklabels(), strict=True)}
    assert ticks["0.5"] == pytest.approx(0)
    assert ticks["0.9"] == pytest.approx(2.1972, abs=1e-4)


def test_text_says_what_the_blocks_keep() -> None:
    lines = visualize(half_of_one(), format="txt", title="A title").decode().splitlines()
    assert lines[0] == "A title"
    (row,) = [line for line in lines if "stage 1" in line]
    # Of stage 1 the two halves of the skip, two convolutions of either branch: 4 * 4 channels, then 2 * 8.
    assert row.split()[4:9] == ["75.0", "24", "32", "4", "6"]
    assert row.split()[9] == "███▅––"
    assert lines[-1] == "–: a convolution that is gone"


def test_text_of_a_posterior_says_how_p_is_spread() -> None:
    artifact = posterior("resnet-mb", 1)
    lines = visualize(artifact, format="txt").decode().splitlines()
    (row,) = [line for line in lines if "stage 2" in line]
    dropped = [1 / (1 + 2.718281828 ** -float(v[0])) for name, v in artifact.logits.items() if "stage2" in name]
    least, mean, largest = (float(number) for number in row.split()[6:9])
    assert least == pytest.approx(min(dropped), rel=0.01)
    assert mean == pytest.approx(sum(dropped) / len(dropped), rel=0.01)
    assert largest == pytest.approx(max(dropped), rel=0.01)


def test_text_sums_the_blocks_of_a_stage() -> None:
    artifact = posterior("enas", 2)
    rows = [line.split() for line in visualize(artifact, format="txt").decode().splitlines() if "all 3" in line]
    sizes = {part: sum(map(len, ranges)) for part, ranges in artifact.graph.mask_parts.items()}
    kept = {part["part"]: part["expected_kept"] for part in artifact.facts()["parts"]}
    assert {f"stage{row[1]}" for row in rows} == {"stage1", "stage2"}  # with a reduction before the two cells
    for row in rows:
        assert int(row[4].replace(",", "")) == sizes[f"stage{row[1]}"]
        assert float(row[5]) == pytest.approx(100 * kept[f"stage{row[1]}"], abs=0.05)


def test_files_of_both_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # real pictures
    genotype = GenotypeFile(genotype=channels(depth=1), provenance=PROVENANCE)
    (tmp_path / "cell.json").write_bytes(genotype_bytes(genotype))
    (tmp_path / "run.safetensors").write_bytes(bytes_of(posterior(depth=1)))
    for name in ("cell.json", "run.safetensors"):
        picture = draw(tmp_path / name, output=tmp_path / f"{name}.svg")
        assert b"<svg" in picture.read_bytes()
