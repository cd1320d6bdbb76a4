"""What images want, before anything else is decided."""

from nascli.config import Config
from nascli.data.images import LARGE_SIDE
from nascli.data.sources.folders import find_training_part


def probe_image_size(config: Config) -> int | None:
    """The side in pixels that `open_data` would choose for `folder` and `imagenet`; None for data of one known size.

    Reads the headers of some files at most. Raises as `open_data` does for a folder that cannot serve.
    """
    if config.dataset == "imagenet":
        return config.image_size or LARGE_SIDE
    if config.dataset == "folder":
        return config.image_size or find_training_part(config).side()
    return None


def probe_train_images(config: Config) -> int | None:
    """The number of training images, where it may be small: of a folder, or of those that are left; None: enough."""
    if config.dataset == "folder":
        count = len(find_training_part(config))
        return count if config.limit_train is None else min(count, config.limit_train)
    return config.limit_train
