"""Facts about the images that a configuration depends on."""

from nascli.config import Config
from nascli.data.images import LARGE_SIDE
from nascli.data.sources.folders import find_training_part


def probe_image_size(config: Config) -> int | None:
    """The side in pixels that `open_data` would choose for `folder` and `imagenet`; None for data of a known size.

    Reads the headers of some files at most. Raises the errors of `open_data` for an unusable folder.
    """
    if config.dataset == "imagenet":
        return config.image_size or LARGE_SIDE
    if config.dataset == "folder":
        return config.image_size or find_training_part(config).side()
    return None


def probe_train_images(config: Config) -> int | None:
    """The number of training images if it may be small: in a folder, or with limit_train; None: there are enough."""
    if config.dataset == "folder":
        count = len(find_training_part(config))
        return count if config.limit_train is None else min(count, config.limit_train)
    return config.limit_train
