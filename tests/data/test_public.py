"""Data sets in torchvision's own file formats, made small here; and what is said where they cannot be had."""

import gzip
import hashlib
import pickle
import struct
import tarfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
import torch
import torchvision

from nascli.config import SearchConfig
from nascli.data import DataModule, open_data
from nascli.data.sources import public
from nascli.errors import DataError
from tests.data.pictures import CPU, known

TRAIN, TEST = 20, 10
RNG = np.random.default_rng(0)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def labelled(count: int, *shape: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % classes


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch):
    """The published sizes give way to those of the files made here, and no one reaches the network."""
    original = public._public
    monkeypatch.setattr(
        public, "_public", lambda config, name, layout, sizes: original(config, name, layout, (TRAIN, TEST))
    )

    def unreachable(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, fine: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    dataset = torchvision.datasets.CIFAR100 if fine else torchvision.datasets.CIFAR10
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)
    key, lists, parts = "fine_labels" if fine else "labels", {}, []
    for attribute, total in (("train_list", TRAIN), ("test_list", TEST)):
        names = [name for name, _ in getattr(dataset, attribute)]
        pixels, labels = labelled(total, 3, 32, 32)
        parts.append((pixels, labels))
        for name, some, their in zip(
            names, np.array_split(pixels, len(names)), np.array_split(labels, len(names)), strict=True
        ):
            (folder / name).write_bytes(pickle.dumps({"data": some.reshape(len(some), -1), key: their.tolist()}))
        lists[attribute] = [[name, md5(folder / name)] for name in names]
        monkeypatch.setattr(dataset, attribute, lists[attribute])
    meta = folder / dataset.meta["filename"]
    meta.write_bytes(pickle.dumps({dataset.meta["key"]: [f"class {k}" for k in range(10)]}))
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": md5(meta)})
    return parts


def write_fashion_mnist(root: Path, archives: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    parts = []
    for prefix, count in (("train", TRAIN), ("t10k", TEST)):
        pixels, labels = labelled(count, 28, 28)
        parts.append((pixels[:, None], labels))
        for name, header, body in (
            ("images-idx3", struct.pack(">iiii", 2051, count, 28, 28), pixels),
            ("labels-idx1", struct.pack(">ii", 2049, count), labels.astype(np.uint8)),
        ):
            content = header + body.tobytes()
            path = folder / f"{prefix}-{name}-ubyte{'.gz' if archives else ''}"
            path.write_bytes(gzip.compress(content) if archives else content)
    return parts


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    root.mkdir(exist_ok=True)
    parts, lists = [], dict(torchvision.datasets.SVHN.split_list)
    for split, count in (("train", TRAIN), ("test", TEST)):
        pixels, labels = labelled(count, 3, 32, 32)
        parts.append((pixels, labels))
        path = root / f"{split}_32x32.mat"
        stored = np.where(labels == 0, 10, labels)[:, None]  # SVHN calls the digit 0 ten
        scipy.io.savemat(path, {"X": pixels.transpose(2, 3, 1, 0), "y": stored.astype(np.uint8)})
        lists[split] = ["http://nowhere", path.name, md5(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", lists)
    return parts


def open_set(name: str, root: Path, **options) -> DataModule:
    return open_data(SearchConfig(dataset=name, data_dir=root, **options), device=CPU)


def check(data: DataModule, parts: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """The module gives exactly these images and labels, in order."""
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (data.info.mean, data.info.std))
    for batches, (pixels, labels) in zip((data.batches(None, 7), data.test_batches(7)), parts, strict=True):
        images, found = (torch.cat(part) for part in zip(*batches, strict=True))
        assert np.array_equal(((images * std + mean) * 255).round().numpy(), pixels)
        assert found.tolist() == labels.tolist()
    train = parts[0][0] / 255
    np.testing.assert_allclose(data.info.mean, train.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(data.info.std, train.std((0, 2, 3)), rtol=1e-12)


@pytest.mark.parametrize("fine", [False, True])
def test_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fine: bool):
    parts = write_cifar(tmp_path, monkeypatch, fine)
    data = open_set("cifar100" if fine else "cifar10", tmp_path)
    assert data.info.classes == tuple(f"class {k}" for k in range(10))
    assert (data.info.channels, data.info.image_size) == (3, 32)
    check(data, parts)


def test_fashion_mnist(tmp_path: Path):
    parts = write_fashion_mnist(tmp_path)
    data = open_set("fashion-mnist", tmp_path)
    assert data.info.classes[9] == "Ankle boot"
    assert (data.info.channels, data.info.image_size) == (1, 28)
    check(data, parts)


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parts = write_svhn(tmp_path, monkeypatch)
    data = open_set("svhn", tmp_path)
    assert data.info.classes == tuple("0123456789")
    check(data, parts)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("cifar10", ["cifar-10-python.tar.gz"]),
        ("cifar100", ["cifar-100-python.tar.gz"]),
        (
            "fashion-mnist",
            ["FashionMNIST/raw/train-images-idx3-ubyte.gz", "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz"],
        ),
        ("svhn", ["train_32x32.mat", "test_32x32.mat"]),
    ],
)
@pytest.mark.parametrize("download", [True, False])
def test_where_nothing_can_be_fetched_the_message_says_which_files_go_where(tmp_path, capsys, name, files, download):
    with pytest.raises(DataError) as caught:
        open_set(name, tmp_path / "data", download=download)
    message = str(caught.value)
    assert "\n" not in message
    for part in (name, str(tmp_path / "data"), "http", *files):
        assert part in message
    assert ("allow the download" in message) != download
    assert capsys.readouterr().out == ""


def test_data_dir_is_data_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_fashion_mnist(tmp_path / "data")
    assert open_data(SearchConfig(dataset="fashion-mnist"), device=CPU).info.train_images == TRAIN


def test_an_archive_that_lies_there_is_unpacked_without_the_network(tmp_path, monkeypatch, capsys):
    write_cifar(tmp_path / "made", monkeypatch, fine=False)
    dataset = torchvision.datasets.CIFAR10
    root = tmp_path / "data"
    root.mkdir()
    with tarfile.open(root / dataset.filename, "w:gz") as archive:
        archive.add(tmp_path / "made" / dataset.base_folder, dataset.base_folder)
    monkeypatch.setattr(dataset, "tgz_md5", md5(root / dataset.filename))
    assert open_set("cifar10", root, download=False).info.train_images == TRAIN
    assert capsys.readouterr().out == ""


def test_damaged_files_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_cifar(tmp_path, monkeypatch, fine=False)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"cannot read cifar10 .*cifar-10-python.tar.gz") as caught:
        open_set("cifar10", tmp_path)
    assert "\n" not in str(caught.value)
    write_fashion_mnist(tmp_path)
    path = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="cannot read fashion-mnist"):
        open_set("fashion-mnist", tmp_path)


def test_a_part_of_the_images_is_not_taken_for_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.TRAIN", 19)
    write_fashion_mnist(tmp_path)
    monkeypatch.undo()
    original = public._public
    monkeypatch.setattr(public, "_public", lambda config, name, layout, sizes: original(config, name, layout, (20, 10)))
    with pytest.raises(DataError, match="holds 19 images of fashion-mnist instead of 20"):
        open_set("fashion-mnist", tmp_path)


def test_evaluation_reads_the_test_images_alone(tmp_path: Path):
    parts = write_fashion_mnist(tmp_path)
    (tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"rubbish")
    config = SearchConfig(dataset="fashion-mnist", data_dir=tmp_path)
    classes = tuple(torchvision.datasets.FashionMNIST.classes)
    data = open_data(config, device=CPU, classes=classes, like=known(channels=1, side=28))
    assert torch.cat([labels for _, labels in data.test_batches(4)]).tolist() == parts[1][1].tolist()
