"""Configurations whose recipe depends on the images."""

from typing import Any, TypeVar

from pydantic import ValidationError

from nascli.config import Config, SearchConfig, TrainConfig, describe, fitting_batch
from nascli.errors import UsageError
from nascli.registry import DATASETS

AnyConfig = TypeVar("AnyConfig", bound=Config)


def configure(model: type[AnyConfig], **given: Any) -> AnyConfig:
    """`model(**given)`, with the recipe that suits the images.

    If the data set has no known image size, as in a folder, the headers of a few image files are read first.
    `configure(SearchConfig, dataset="folder", data_dir="pictures")` is what `nascli search` gets for these options;
    `SearchConfig(…)` alone assumes that images of unknown size are small. If a part has fewer images than the recipe's
    batch, a smaller batch is chosen. Raises one UsageError for all faults, and DataError for missing images.
    """
    config = _build(model, given)
    if "recipe" in model.model_fields and config.image_size is None and DATASETS[config.dataset].image_size is None:
        from nascli.data import probe_image_size

        config = _build(model, {**given, "image_size": probe_image_size(config)})
    if given.get("batch_size") is None and (fits := _smaller_batch(config)) is not None:
        return config.with_fitting_batch(fits)
    return config


def _smaller_batch(config: Config) -> int | None:
    """The batch size if a part has fewer images than the recipe's batch; None if all parts have enough."""
    if not isinstance(config, SearchConfig | TrainConfig):
        return None
    from nascli.data import probe_train_images

    images = probe_train_images(config)
    if images is None:
        return None
    fits = fitting_batch(int(images * config.smallest_share), config.batch_size)
    return fits if fits < config.batch_size else None


def _build(model: type[AnyConfig], given: dict[str, Any]) -> AnyConfig:
    try:
        return model(**given)
    except ValidationError as error:
        raise UsageError(describe(error)) from None
