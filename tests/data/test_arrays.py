"""Images in `.npz` archives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nascli.config import EvalConfig, SearchConfig
from nascli.data import DataModule, open_data, probe_image_size, probe_train_images
from nascli.errors import DataError
from tests.data.pictures import CPU, noise

COLOUR = np.stack([noise(seed, 9, 9) for seed in range(10)])
LABELS = np.arange(10) % 2
PLAIN = {"images": COLOUR, "labels": LABELS}


def opened(file: Path, **content: np.ndarray) -> DataModule:
    np.savez(file, **content)
    return open_data(SearchConfig(dataset="npz", data_dir=file), device=CPU)


def pixels(data: DataModule) -> np.ndarray:
    """The test images as they were, uint8 [N, C, H, W]."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (data.info.mean, data.info.std))
    found = torch.cat([images for images, _ in data.test_batches(4)])
    return (255 * (found * std + mean)).round().byte().numpy()


@pytest.mark.parametrize(
    ("test_images", "expected"),
    [
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR[..., 0], COLOUR[..., :1].transpose(0, 3, 1, 2)),
        (COLOUR[..., :1], COLOUR[..., :1].transpose(0, 3, 1, 2)),
    ],
)
def test_images_in_any_layout(tmp_path: Path, test_images: np.ndarray, expected: np.ndarray):
    data = opened(tmp_path / "a.npz", images=test_images, labels=LABELS, test_images=test_images, test_labels=LABELS)
    assert (data.info.channels, data.info.image_size, data.info.classes) == (expected.shape[1], 9, ("0", "1"))
    assert np.array_equal(pixels(data), expected)
    assert data.train_labels.tolist() == LABELS.tolist()


def test_names_as_in_medmnist_and_classes_in_words(tmp_path: Path):
    data = opened(
        tmp_path / "a.npz",
        train_images=COLOUR,
        train_labels=LABELS[:, None].astype(np.uint8),
        val_images=COLOUR[:2],
        val_labels=LABELS[:2, None],
        test_images=COLOUR[:3],
        test_labels=LABELS[:3, None],
        classes=np.array(["no", "yes"]),
    )
    assert (data.info.classes, data.info.test_images, data.has_validation) == (("no", "yes"), 3, True)
    words = opened(tmp_path / "b.npz", images=COLOUR, labels=np.array(["yes", "no"])[LABELS])
    assert (words.info.classes, words.train_labels[0]) == (("no", "yes"), 1)


def test_without_parts_a_fifth_is_held_out_which_an_evaluation_finds_again(tmp_path: Path):
    data = opened(tmp_path / "a.npz", **PLAIN)
    assert (data.info.train_images, data.info.test_images) == (8, 2)
    config = SearchConfig(dataset="npz", data_dir=tmp_path / "a.npz")
    assert (probe_image_size(config), probe_train_images(config)) == (9, 8)

    def evaluated(file: Path) -> DataModule:
        config = EvalConfig(dataset="npz", data_dir=file)
        return open_data(config, device=CPU, classes=data.info.classes, like=data.info, trained_at=tmp_path / "a.npz")

    assert np.array_equal(pixels(evaluated(tmp_path / "a.npz")), pixels(data))
    np.savez(tmp_path / "b.npz", images=COLOUR[:5], labels=LABELS[:5])
    other = evaluated(tmp_path / "b.npz")
    assert len(pixels(other)) == 5
    assert "their accuracy flatters" in other.notices[0]


def test_the_fingerprint_knows_pixels_labels_and_parts(tmp_path: Path):
    found = {opened(tmp_path / "a.npz", **PLAIN).info.fingerprint}
    found.add(opened(tmp_path / "b.npz", images=COLOUR[::-1], labels=LABELS).info.fingerprint)
    found.add(opened(tmp_path / "c.npz", images=COLOUR, labels=1 - LABELS).info.fingerprint)
    found.add(opened(tmp_path / "d.npz", **PLAIN, classes=np.array(["a", "b"])).info.fingerprint)
    assert len(found) == 4
    assert opened(tmp_path / "e.npz", **PLAIN).info.fingerprint in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": COLOUR}, "has no array 'images', but 'x'"),
        ({"images": COLOUR}, "has images, but no labels"),
        ({**PLAIN, "test_images": COLOUR}, "has test_images, but no test_labels"),
        ({**PLAIN, "images": COLOUR / 255}, "images has numbers of type float64: save shades as uint8"),
        ({**PLAIN, "images": COLOUR[0]}, r"images has the shape|labels has the shape"),
        ({**PLAIN, "images": COLOUR[..., :2]}, r"shape \(10, 9, 9, 2\)"),
        ({"images": COLOUR[:0], "labels": LABELS[:0]}, "images is empty"),
        ({**PLAIN, "labels": LABELS[:9]}, r"labels has the shape \(9,\), for 10 images"),
        ({**PLAIN, "labels": LABELS / 2}, "labels has values of type float64"),
        ({**PLAIN, "labels": np.array([object()] * 10)}, "not a readable .npz file: Object arrays"),
        ({**PLAIN, "labels": LABELS * 0}, "one class only"),
        ({**PLAIN, "classes": np.array(["a", "a"])}, "classes is not a list of different names"),
        ({**PLAIN, "classes": np.array([["a"], ["b"]])}, "classes is not a list of different names"),
        ({**PLAIN, "classes": np.array([b"a", b"b"])}, "classes is not a list of different names"),
        ({**PLAIN, "test_images": COLOUR, "test_labels": LABELS.astype(str)}, "integers in one part and text in"),
        ({**PLAIN, "classes": np.array(["a"])}, "label 1 is none of the 1 classes"),
        ({**PLAIN, "test_images": COLOUR[:, :8], "test_labels": LABELS}, "parts have images of other sizes"),
        ({"test_images": COLOUR, "test_labels": LABELS}, "has no training images"),
    ],
)
def test_faults_are_told(tmp_path: Path, content: dict, message: str):
    with pytest.raises(DataError, match=message) as raised:
        opened(tmp_path / "a.npz", **content)
    assert "\n" not in str(raised.value)


def test_labels_of_several_types_stay_what_they_are(tmp_path: Path):
    data = opened(tmp_path / "a.npz", **PLAIN, test_images=COLOUR, test_labels=LABELS.astype(np.uint64))
    assert data.info.classes == ("0", "1")
    large = np.array([2**60, 2**60 + 1])[LABELS]
    assert opened(tmp_path / "b.npz", images=COLOUR, labels=large).train_labels.tolist().count(1) == 4


def test_a_damaged_archive_is_told(tmp_path: Path):
    np.savez_compressed(tmp_path / "a.npz", **PLAIN)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="is not a readable .npz file"):
        open_data(SearchConfig(dataset="npz", data_dir=tmp_path / "a.npz"), device=CPU)


def test_another_kind_of_file_is_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", COLOUR)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04torn")
    for name in ("a.npy", "torn.npz"):
        with pytest.raises(DataError, match=r"is not an \.npz file: save it with numpy\.savez"):
            open_data(SearchConfig(dataset="npz", data_dir=tmp_path / name), device=CPU)
