"""ImageNet."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from nascli.config import Config
from nascli.data.sources.folders import read_folder, required_folder
from nascli.data.sources.source import Source
from nascli.errors import DataError

_ARCHIVES = "ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"


def imagenet(config: Config) -> Source:
    """ImageNet, ILSVRC 2012: Russakovsky et al., 2015. `data_dir/train/n01440764/…` and `data_dir/val/n01440764/…`.

    If the three archives of image-net.org lie in data_dir, torchvision makes these folders from them. The names of the
    classes are their WordNet numbers, since two pairs of classes share an English name.
    Raises UsageError without data_dir, DataError if there are neither folders nor archives.
    """
    root = required_folder(config)
    for part in ("train", "val"):
        if not (root / part).is_dir():
            _unpack(root, part)
    return read_folder(root)


def _unpack(root: Path, part: str) -> None:
    import torchvision

    try:
        with redirect_stdout(sys.stderr):
            torchvision.datasets.ImageNet(root, part)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{root} has no folder {part}/ ({str(error).splitlines()[0]}): "
            f"put {_ARCHIVES} from https://image-net.org there, or make train/CLASS/ and val/CLASS/ yourself"
        ) from None
