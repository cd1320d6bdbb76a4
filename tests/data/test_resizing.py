"""Squares out of images of any shape."""

import pytest
import torch
from torchvision.transforms.v2 import functional as transforms

from nascli.data.resizing import evaluation_side, fit_square, to_channels


def gradient(height: int, width: int) -> torch.Tensor:
    rows, columns = torch.linspace(0, 100, height)[:, None], torch.linspace(0, 155, width)
    return (rows + columns).round().to(torch.uint8).expand(3, height, width)


def test_a_network_of_224_pixels_is_evaluated_on_256():
    assert evaluation_side(224) == 256
    assert evaluation_side(112) == 128


def test_an_image_of_the_right_size_is_left_alone():
    image = gradient(12, 12)
    assert fit_square(image, 12) is image


@pytest.mark.parametrize(("height", "width"), [(20, 35), (35, 20), (9, 9), (7, 50)])
def test_the_middle_is_kept_with_its_proportions(height: int, width: int):
    """The square's corners show what lies at the corners of the centre square of the original."""
    image, short = gradient(height, width), min(height, width)
    square = fit_square(image, 16)
    assert square.shape == (3, 16, 16)
    top, left = (height - short) // 2, (width - short) // 2
    centre = image[:, top : top + short, left : left + short].double()
    step = 1 if short < 16 else 2  # a pixel of the smaller one shows some of its neighbours
    assert (square[:, 0, 0] - centre[:, 0, 0]).abs().max() <= 16 * step
    assert (square[:, -1, -1] - centre[:, -1, -1]).abs().max() <= 16 * step
    assert abs(float(square.double().mean() - centre.mean())) < 4


@pytest.mark.parametrize("shape", [(10, 200), (200, 10), (11, 201)])
def test_long_strips_are_cut_before_they_are_enlarged_and_look_the_same(shape: tuple[int, int]):
    image = gradient(*shape)
    whole = transforms.center_crop(transforms.resize(image, [40], antialias=True), [32, 32])
    assert (fit_square(image, 32, 40).int() - whole.int()).abs().max() <= 4


def test_a_strip_of_sixty_thousand_pixels_takes_no_gigabytes():
    assert fit_square(torch.zeros((3, 1, 60_000), dtype=torch.uint8), 224).shape == (3, 224, 224)


@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20), (30, 30), (1, 50)])
def test_squashing_keeps_all_corners(height: int, width: int):
    image = gradient(height, width)
    square = fit_square(image, 16, fit="squash").double()
    assert square.shape == (3, 16, 16)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert abs(float(square[0, row, column] - image[0, row, column])) <= 20
    assert abs(float(square.mean() - image.double().mean())) < 2


@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20), (30, 30), (1, 5000)])
def test_padding_keeps_the_proportions_and_fills_with_the_background(height: int, width: int):
    image = gradient(height, width)
    square = fit_square(image, 24, fit="pad", background=(1, 2, 3))
    inner = [max(1, round(length * 24 / max(height, width))) for length in (height, width)]
    top, left = ((24 - length) // 2 for length in inner)
    middle = square[:, top : top + inner[0], left : left + inner[1]]
    assert torch.equal(middle, transforms.resize(image, inner, antialias=True))
    border = square.clone()
    border[:, top : top + inner[0], left : left + inner[1]] = 0
    for channel in range(3):
        assert set(border[channel].unique().tolist()) <= {0, channel + 1}
        assert (border[channel] == channel + 1).sum() == 24 * 24 - inner[0] * inner[1]


def test_grey_is_repeated_and_colour_weighted():
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8).view(3, 1, 1).expand(3, 2, 2)
    grey = to_channels(colour, 1)
    assert grey.shape == (1, 2, 2)
    assert abs(int(grey[0, 0, 0]) - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1
    assert torch.equal(to_channels(grey, 3), grey.expand(3, 2, 2))
