"""Public data sets that torchvision downloads and reads."""

import hashlib
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nascli.config import Config
from nascli.data.images import ArrayImages
from nascli.data.sources.source import Source
from nascli.errors import DataError

DEFAULT_FOLDER = Path("data")
"""Where downloads are kept unless data_dir says otherwise."""

_NETWORK_SECONDS = 30.0


@dataclass(frozen=True)
class Layout:
    """How torchvision keeps a data set. Paths are relative to data_dir.

    archives: the files to download, with their MD5. files: the files to read. home: the page that has the archives.
    part: keyword arguments for the training and for the test images. images: from torchvision's object to ours.
    """

    archives: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    home: str
    part: tuple[dict[str, Any], dict[str, Any]]
    images: Callable[[Any], ArrayImages]


def cifar10(config: Config) -> Source:
    """CIFAR-10: Krizhevsky, 2009."""
    return _public(config, "CIFAR10", _cifar_layout, (50_000, 10_000))


def cifar100(config: Config) -> Source:
    """CIFAR-100: Krizhevsky, 2009."""
    return _public(config, "CIFAR100", _cifar_layout, (50_000, 10_000))


def fashion_mnist(config: Config) -> Source:
    """Fashion-MNIST: Xiao, Rasul, Vollgraf, 2017."""
    return _public(config, "FashionMNIST", _mnist_layout, (60_000, 10_000))


def svhn(config: Config) -> Source:
    """Street View House Numbers, cropped digits, without the extra images: Netzer et al., 2011."""
    return _public(config, "SVHN", _svhn_layout, (73_257, 26_032))


def _cifar_layout(dataset: Any) -> Layout:
    names = [name for name, _ in (*dataset.train_list, *dataset.test_list)]
    return Layout(
        archives=((dataset.filename, dataset.tgz_md5),),
        files=tuple(f"{dataset.base_folder}/{name}" for name in (*names, dataset.meta["filename"])),
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        part=({"train": True}, {"train": False}),
        images=lambda read: ArrayImages(
            np.ascontiguousarray(read.data.transpose(0, 3, 1, 2)), np.array(read.targets, np.int64), tuple(read.classes)
        ),
    )


def _mnist_layout(dataset: Any) -> Layout:
    archives = tuple((f"{dataset.__name__}/raw/{name}", md5) for name, md5 in dataset.resources)
    return Layout(
        archives=archives,
        files=tuple(name.removesuffix(".gz") for name, _ in archives),
        home="https://github.com/zalandoresearch/fashion-mnist",
        part=({"train": True}, {"train": False}),
        images=lambda read: ArrayImages(read.data.numpy()[:, None], read.targets.numpy(), tuple(read.classes)),
    )


def _svhn_layout(dataset: Any) -> Layout:
    archives = tuple(tuple(dataset.split_list[split][1:]) for split in ("train", "test"))
    return Layout(
        archives=archives,
        files=tuple(name for name, _ in archives),
        home="http://ufldl.stanford.edu/housenumbers",
        part=({"split": "train"}, {"split": "test"}),
        images=lambda read: ArrayImages(
            np.ascontiguousarray(read.data), read.labels.astype(np.int64), tuple(str(digit) for digit in range(10))
        ),
    )


def _public(config: Config, name: str, layout_of: Callable[[Any], Layout], sizes: tuple[int, int]) -> Source:
    """A data set of `torchvision.datasets`. sizes: the numbers of its training and test images.

    Raises DataError if files are missing or damaged and cannot be downloaded; the message says which go where.
    """
    import torchvision

    dataset = getattr(torchvision.datasets, name)
    layout = layout_of(dataset)
    root = (config.data_dir or DEFAULT_FOLDER).expanduser()

    def read(which: int) -> ArrayImages:
        images = layout.images(_open(dataset, layout, root, which, config))
        if len(images) != sizes[which]:
            raise DataError(
                f"{root} holds {len(images)} images of {config.dataset} instead of {sizes[which]}; "
                f"remove {layout.files[0]} and the files beside it, and download them again"
            )
        return images

    if not all((root / file).is_file() for file in layout.files):
        for which in (0, 1):
            _open(dataset, layout, root, which, config)
    return Source(
        train=lambda: read(0),
        test=lambda: read(1),
        train_images=sizes[0],
        test_images=sizes[1],
        fingerprint=_fingerprint(root, layout.files),
    )


def _open(dataset: Any, layout: Layout, root: Path, which: int, config: Config) -> Any:
    """torchvision's object for the training (0) or test (1) images; files are downloaded or unpacked as needed."""
    try:
        with _quiet():
            try:
                return dataset(root, download=False, **layout.part[which])
            except RuntimeError:  # files are missing or damaged
                if not (config.download or _archives_are_whole(root, layout)):
                    raise FileNotFoundError("files are missing or damaged") from None
                return dataset(root, download=True, **layout.part[which])
    except MemoryError:
        raise
    except Exception as error:  # of the network, of the disk, or any error from a damaged pickle, gzip or MATLAB file
        archives = ", ".join(name for name, _ in layout.archives)
        reason = (str(getattr(error, "reason", error)) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"cannot read {config.dataset} in {root} ({reason}): "
            f"put {archives} from {layout.home} there{'' if config.download else ', or allow the download'}"
        ) from error


def _archives_are_whole(root: Path, layout: Layout) -> bool:
    from torchvision.datasets.utils import check_integrity

    return all(check_integrity(root / name, md5) for name, md5 in layout.archives)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torchvision's messages off standard output, and end a silent connection after a while."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_SECONDS)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _fingerprint(root: Path, files: tuple[str, ...]) -> str:
    total = hashlib.sha256()
    for name in files:
        with (root / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
