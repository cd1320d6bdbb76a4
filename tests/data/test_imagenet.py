"""ImageNet as folders, and as the archives that torchvision unpacks."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision
from PIL import Image

from nascli.config import SearchConfig
from nascli.data import open_data
from nascli.errors import DataError, UsageError
from tests.data.pictures import CPU, make_folder, noise

WNIDS = ("n01440764", "n01443537")


def config_of(root: Path | None, **options) -> SearchConfig:
    return SearchConfig(dataset="imagenet", data_dir=root, **options)


def test_folders_named_by_wordnet(tmp_path: Path):
    make_folder(tmp_path / "train", dict.fromkeys(WNIDS, 4), side=(290, 230), suffix=".JPEG")
    make_folder(tmp_path / "val", dict.fromkeys(WNIDS, 2), side=(90, 70), suffix=".JPEG")
    data = open_data(config_of(tmp_path), device=CPU)
    assert data.info.classes == WNIDS
    assert (data.info.image_size, data.info.channels) == (224, 3)
    assert (data.info.train_images, data.info.test_images) == (8, 4)
    assert next(data.test_batches(3))[0].shape == (3, 3, 224, 224)


def _tar(path: Path, files: dict[str, bytes]) -> str:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def _jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(seed, 20, 20)).save(buffer, "jpeg")
    return buffer.getvalue()


def test_archives_are_unpacked_by_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    kind = [("ILSVRC2012_ID", int), ("WNID", object), ("words", object), ("gloss", object), ("num_children", int)]
    rows = np.array([(k + 1, wnid, f"fish {k}", "", 0) for k, wnid in enumerate(WNIDS)], dtype=kind)
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"synsets": rows[:, None]})
    inside = {}
    for k, wnid in enumerate(WNIDS):
        _tar(tmp_path / f"{wnid}.tar", {f"{wnid}_{n}.JPEG": _jpeg(10 * k + n) for n in range(3)})
        inside[f"{wnid}.tar"] = (tmp_path / f"{wnid}.tar").read_bytes()
    root = tmp_path / "data"
    root.mkdir()
    contents = {
        "devkit": {
            "ILSVRC2012_devkit_t12/data/meta.mat": buffer.getvalue(),
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n",
        },
        "train": inside,
        "val": {f"ILSVRC2012_val_{n}.JPEG": _jpeg(90 + n) for n in range(2)},
    }
    archives = dict(torchvision.datasets.imagenet.ARCHIVE_META)
    for part, files in contents.items():
        archives[part] = (archives[part][0], _tar(root / archives[part][0], files))
    monkeypatch.setattr(torchvision.datasets.imagenet, "ARCHIVE_META", archives)
    data = open_data(config_of(root, image_size=16), device=CPU)
    assert data.info.classes == WNIDS
    assert (data.info.train_images, data.info.test_images) == (6, 2)
    assert [labels.tolist() for _, labels in data.test_batches(2)] == [[0, 1]]
    assert capsys.readouterr().out == ""


def test_without_images_the_message_says_which_files_go_where(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        open_data(config_of(tmp_path), device=CPU)
    for part in (str(tmp_path), "ILSVRC2012_img_train.tar", "ILSVRC2012_devkit_t12.tar.gz", "train/CLASS/"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="'imagenet' needs --data-dir"):
        open_data(config_of(None), device=CPU)
