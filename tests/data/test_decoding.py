"""Files of every mode and orientation to 8-bit pixels, and what becomes of broken ones."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nascli.data.decoding import UnreadableImage, check, decode, read_header
from tests.data.pictures import noise, read, save


def test_colour_and_grey_are_what_was_saved(tmp_path: Path):
    colour = noise(0, 5, 7)
    path = save(tmp_path / "a.png", colour)
    assert np.array_equal(decode(path, 3).numpy(), colour.transpose(2, 0, 1))
    grey = noise(0, 5, 7, channels=1)
    path = save(tmp_path / "b.png", grey)
    assert np.array_equal(decode(path, 1).numpy(), grey[None])
    assert np.array_equal(decode(path, 3).numpy(), np.stack([grey] * 3))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 30}, {"subsampling": 0}, {"keep_rgb": True}]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_jpegs_are_what_pillow_makes_of_them(tmp_path: Path, options: dict, channels: int):
    Image.fromarray(noise(0, 37, 50, channels)).save(tmp_path / "a.jpg", **options)
    for wanted in (1, 3):
        assert np.array_equal(decode(tmp_path / "a.jpg", wanted).numpy(), read(tmp_path / "a.jpg", wanted))


def test_colour_becomes_grey_by_luminance(tmp_path: Path):
    """ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B."""
    colour = noise(1, 4, 4)
    expected = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decode(save(tmp_path / "a.png", colour), 1).numpy()[0] - expected).max() <= 1


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path):
    values = np.array([[0, 128, 129, 257], [1000, 32768, 65406, 65535]], np.uint16)
    expected = [[0, 0, 1, 1], [4, 128, 254, 255]]  # value / 257, rounded
    for name in ("a.png", "a.tif"):
        path = tmp_path / name
        Image.fromarray(values).save(path)
        assert decode(path, 1).tolist() == [expected]
        assert read_header(path).grey
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 4 2 65535\n" + values.astype(">u2").tobytes())
    assert decode(path, 1).tolist() == [expected]


def test_palette_bilevel_cmyk_and_alpha(tmp_path: Path):
    colour = Image.fromarray(np.full((4, 4, 3), (250, 20, 30), np.uint8))
    opaque = colour.convert("RGBA")
    opaque.putalpha(255)
    pictures = {
        "palette.png": colour.convert("P", palette=Image.Palette.ADAPTIVE, colors=4),
        "palette.gif": colour.convert("P", palette=Image.Palette.ADAPTIVE, colors=4),
        "alpha.png": opaque,
        "cmyk.jpg": colour.convert("CMYK"),
        "colour.jpg": colour,
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        mean = decode(tmp_path / name, 3).double().mean((1, 2)).numpy()
        assert np.abs(mean - (250, 20, 30)).max() < 3, name
        assert not read_header(tmp_path / name).grey
    Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / "bilevel.png")
    assert decode(tmp_path / "bilevel.png", 1).tolist() == [(np.eye(4, dtype=int) * 255).tolist()]
    Image.fromarray(noise(0, 4, 4, 1)).convert("LA").save(tmp_path / "la.png")
    assert np.array_equal(decode(tmp_path / "la.png", 1).numpy()[0], noise(0, 4, 4, 1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
def test_transparent_parts_show_the_background(tmp_path: Path, mode: str, background: tuple[int, int, int]):
    """Black at 0, 20 and 100 % over it, by the formula of alpha compositing."""
    alphas = np.array([[0, 51, 255]], np.uint8)
    if mode in ("P", "PA"):
        picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
        picture.putpalette([0] * 768)
        picture.save(tmp_path / "a.png", transparency=alphas[0].tobytes() + bytes([255] * 253))
    else:
        layers = [np.zeros((1, 3), np.uint8)] * (len(mode) - 1) + [alphas]
        Image.merge(mode, [Image.fromarray(layer) for layer in layers]).save(tmp_path / "a.png")
    seen = decode(tmp_path / "a.png", 3, background).numpy()
    for channel, value in enumerate(background):
        assert np.abs(seen[channel, 0] - value * (1 - alphas[0] / 255)).max() <= 1
    assert np.abs(decode(tmp_path / "a.png", 1)[0, 0].numpy() - 255 * (1 - alphas[0] / 255)).max() <= 1


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path):
    picture = Image.fromarray(noise(0, 4, 4)).convert("P")
    picture.save(tmp_path / "a.png", transparency=bytes([0] * 10 + [255] * 246))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(tmp_path / "a.png", 3).shape == (3, 4, 4)


@pytest.mark.parametrize("grey", [True, False])
def test_a_palette_of_greys_is_grey(tmp_path: Path, grey: bool):
    picture = Image.new("P", (4, 4))
    picture.putpalette([value for k in range(256) for value in ((k, k, k) if grey else (k, k, 255 - k))])
    picture.save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").grey == grey


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, suffix: str, orientation: int):
    """The eight orientations of EXIF 2.3, 4.6.4A, by the transformation that shows the picture upright."""
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :16] = 255  # the upper left quarter
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a{suffix}", exif=exif)
    seen = decode(tmp_path / f"a{suffix}", 1).numpy()[0]
    assert seen.shape == (16, 32)
    assert np.abs(seen.astype(int) - upright).max() < 10


def test_an_animation_gives_its_first_frame(tmp_path: Path):
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert set(decode(tmp_path / "a.gif", 1).unique().tolist()) == {10}


@pytest.mark.parametrize("look", [lambda path: decode(path, 3), check])
def test_broken_files_are_named_with_the_reason(tmp_path: Path, look):
    whole = save(tmp_path / "whole.jpg", noise(0, 64, 64)).read_bytes()
    broken = {
        "empty.jpg": (b"", "the file is empty"),
        "text.png": (b"hello", "not an image"),
        "cut.jpg": (whole[: len(whole) // 2], "truncated"),
        "head.jpg": (whole[:30], ""),
    }
    look(tmp_path / "whole.jpg")
    for name, (content, reason) in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage) as caught:
            look(tmp_path / name)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / name}: ")
        assert reason in message
        assert "\n" not in message
    with pytest.raises(UnreadableImage, match="No such file"):
        look(tmp_path / "missing.png")
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(UnreadableImage, match="floating-point"):
        decode(tmp_path / "f.tif", 1)


def test_bit_flips_lead_to_pixels_or_to_the_one_error(tmp_path: Path):
    """Pillow's plugins raise many things on malformed files; only UnreadableImage may come out."""
    rng = np.random.default_rng(0)
    unreadable = 0
    for suffix in (".png", ".jpg", ".gif", ".bmp", ".tif", ".webp", ".ppm"):
        content = np.frombuffer(save(tmp_path / f"a{suffix}", noise(0, 8, 8)).read_bytes(), np.uint8)
        for _ in range(40):
            flipped = content.copy()
            flipped[rng.integers(len(content), size=3)] ^= rng.integers(1, 256, 3, dtype=np.uint8)
            path = tmp_path / f"b{suffix}"
            path.write_bytes(flipped.tobytes()[: rng.integers(len(content) // 2, len(content) + 1)])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's own remarks
                try:
                    assert decode(path, 3).shape[0] == 3
                except UnreadableImage:
                    unreadable += 1
    assert unreadable > 100
