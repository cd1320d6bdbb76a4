"""The pictures on which an export is checked."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import LoadedModel
from nascli.config import EvalConfig
from nascli.core.engine.evaluate import resolved, test_data
from nascli.core.runtime import open_runtime
from nascli.data import Pictures, find_pictures
from nascli.errors import DataError, UsageError

MOST = 64
"""Pictures on which an export is checked, at most."""


@dataclass(frozen=True)
class CheckPictures:
    """Images as a network sees them, uint8 [pictures, C, H, W], and what they are, in words."""

    images: Tensor
    source: str


def check_pictures(model: LoadedModel, folder: Path | None) -> CheckPictures:
    """Those in the folder; else the model's test images, if they can be found; else noise from a fixed seed.

    Raises DataError for a folder without a readable picture.
    """
    plain = unscaled(model.value.data)
    if folder is not None:
        return _of_folder(folder, plain)
    try:
        return _test_images(model, plain)
    except (DataError, UsageError):
        noise = np.random.default_rng(0).integers(0, 256, (MOST, *_shape(plain)), dtype=np.uint8)
        return CheckPictures(torch.from_numpy(noise), f"{MOST} pictures of noise, for want of test images")


def unscaled(data: DataInfo) -> DataInfo:
    """The same images before they are normalised: from 0 to 1."""
    return data.model_copy(update={"mean": (0.0,) * data.channels, "std": (1.0,) * data.channels})


def _of_folder(folder: Path, plain: DataInfo) -> CheckPictures:
    paths = find_pictures([folder])
    chosen = [paths[k] for k in np.linspace(0, len(paths) - 1, min(MOST, len(paths))).round().astype(int)]
    pictures = Pictures(chosen, plain, torch.device("cpu"), 0)
    ((images, _, errors),) = pictures.batches(MOST, torch.contiguous_format)
    if not len(images):
        raise DataError(f"no picture in {folder} can be read; {next(iter(errors.values()))}")
    return CheckPictures(_pixels(images), f"{len(images)} pictures in {folder}")


def _test_images(model: LoadedModel, plain: DataInfo) -> CheckPictures:
    config = resolved(model, EvalConfig(device="cpu", workers=0))
    value = model.value
    seen = type(value)(value.weights, value.genotype, value.network, plain, value.metrics, value.provenance)
    data = test_data(seen, config, open_runtime(config), value.data.classes)
    batches = [images for images, _ in islice(data.test_batches(MOST), 1)]
    if not batches:
        raise DataError("there is no test image")
    return CheckPictures(_pixels(batches[0]), f"{len(batches[0])} test images of {data.info.dataset}")


def _pixels(scaled: Tensor) -> Tensor:
    return (scaled * 255).round().to(torch.uint8)


def _shape(data: DataInfo) -> tuple[int, int, int]:
    return data.channels, data.image_size, data.image_size
