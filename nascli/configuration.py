"""Configurations whose recipe the images choose."""

from typing import Any, TypeVar

from pydantic import ValidationError

from nascli.config import Config, describe
from nascli.errors import UsageError
from nascli.registry import DATASETS

AnyConfig = TypeVar("AnyConfig", bound=Config)


def configure(model: type[AnyConfig], **given: Any) -> AnyConfig:
    """`model(**given)`, with the recipe that suits the images.

    Where only the images say how large they are, as in a folder, they are looked at first: a few headers of files.
    `configure(SearchConfig, dataset="folder", data_dir="pictures")` is what `nascli search` gets for these options;
    `SearchConfig(…)` alone takes images of unknown size for small ones. All faults are one UsageError; raises DataError
    for images that are missing.
    """
    config = _build(model, given)
    if "recipe" in model.model_fields and config.image_size is None and DATASETS[config.dataset].image_size is None:
        from nascli.data import probe_image_size

        config = _build(model, {**given, "image_size": probe_image_size(config)})
    return config


def _build(model: type[AnyConfig], given: dict[str, Any]) -> AnyConfig:
    try:
        return model(**given)
    except ValidationError as error:
        raise UsageError(describe(error)) from None
