"""Facts about the images that a configuration depends on."""

from nascli.config import Config
from nascli.data.format import colour
from nascli.data.images import Images
from nascli.registry import DATASETS, load


def probe_image_size(config: Config) -> int | None:
    """The side in pixels that `open_data` would choose for images of unknown size; None for data of a known size.

    Reads the headers of some files at most. Raises the errors of `open_data` for unusable data.
    """
    images = _training_part(config) if config.image_size is None else None
    return config.image_size if images is None else images.side()


def probe_shape(config: Config) -> tuple[int, int, int]:
    """Classes, channels and side of images of unknown size, as `open_data` would find them.

    Reads headers alone. Raises the errors of `open_data` for unusable data.
    """
    images = _training_part(config)
    assert images is not None, "a row of the registry knows the shape, or where to look for it"
    return len(images.classes), images.channels(colour(config.background)), config.image_size or images.side()


def probe_train_images(config: Config) -> int | None:
    """The number of training images if it may be small: one's own, or with limit_train; None: there are enough."""
    images = _training_part(config)
    if images is None:
        return config.limit_train
    return len(images) if config.limit_train is None else min(len(images), config.limit_train)


def _training_part(config: Config) -> Images | None:
    finder = DATASETS[config.dataset].training_part
    if finder is None:
        return None
    images: Images = load(finder)(config)
    return images
