"""Streams: what a pass holds, what a position means, and that workers change no number."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from nascli.config import SearchConfig
from nascli.data import Augmentation, DataModule, Stream, open_data
from nascli.data.augmentation import Normalization
from nascli.data.permutation import even_batches
from nascli.data.resident import ResidentFeed
from nascli.errors import DataError, UsageError
from tests.data.pictures import CPU, make_folder, read

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def numbered_stream(images: int, batch_size: int, **options) -> Stream:
    """A stream whose n-th image has the label n."""
    pixels = torch.arange(images, dtype=torch.uint8)[:, None, None, None].expand(images, 1, 4, 4).contiguous()
    feed = ResidentFeed(pixels, torch.arange(images))
    settings = {"seed": 0, "name": "train", "augmentation": Augmentation(), "indices": np.arange(images), **options}
    indices = settings.pop("indices")
    return Stream(feed, indices, batch_size, normalize=Normalization((0.0,), (1.0,), CPU), **settings)


def labels_of(stream: Stream, batches: int) -> list[list[int]]:
    return [stream.next()[1].tolist() for _ in range(batches)]


def test_a_pass_shows_every_image_once_and_drops_the_incomplete_batch():
    stream = numbered_stream(22, 5)
    assert stream.batches_per_pass == 4
    passes = [[label for batch in labels_of(stream, 4) for label in batch] for _ in range(50)]
    assert all(len(set(shown)) == 20 for shown in passes)
    assert len({tuple(shown) for shown in passes}) == 50
    dropped = [22 * 21 // 2 - sum(shown) for shown in passes]
    assert len(set(dropped)) > 10  # not always the same two images


def test_only_the_given_images_are_shown_with_their_own_pixels():
    stream = numbered_stream(30, 4, indices=np.array([3, 5, 7, 11, 13, 17, 19, 23]))
    images, labels = stream.next()
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    torch.testing.assert_close(images, (labels / 255)[:, None, None, None].expand(4, 1, 4, 4))
    assert sorted(labels.tolist() + stream.next()[1].tolist()) == [3, 5, 7, 11, 13, 17, 19, 23]


@pytest.mark.parametrize("position", [0, 1, 6, 7, 8, 29, 1_000_003])
def test_the_position_is_the_whole_state(position: int):
    augmentation = Augmentation(crop_padding=2, flip=True, cutout=2)
    there = numbered_stream(37, 5, augmentation=augmentation)
    there.next()
    there.position = position
    assert there.position == position
    expected = [there.next() for _ in range(9)]
    assert there.position == position + 9
    again = numbered_stream(37, 5, augmentation=augmentation)
    again.position = position + 4
    for (images, labels), (same_images, same_labels) in zip(
        expected[4:], (again.next() for _ in range(5)), strict=True
    ):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


def test_walking_there_is_the_same_as_jumping_there():
    walked, jumped = numbered_stream(23, 4), numbered_stream(23, 4)
    labels_of(walked, 17)
    jumped.position = 17
    assert labels_of(walked, 8) == labels_of(jumped, 8)


def test_seed_and_name_each_make_another_stream():
    streams = [numbered_stream(64, 16), numbered_stream(64, 16, seed=1), numbered_stream(64, 16, name="search")]
    assert len({str(labels_of(stream, 2)) for stream in streams}) == 3


def test_the_same_image_looks_different_in_every_pass():
    stream = numbered_stream(9, 1, indices=np.array([8]), augmentation=Augmentation(cutout=1))
    looks = [stream.next()[0].numpy().tobytes() for _ in range(40)]
    assert len(set(looks)) > 10  # of the 16 places of a single pixel
    stream.position = 0
    assert [stream.next()[0].numpy().tobytes() for _ in range(40)] == looks


def test_once_shows_each_image_as_it_is_in_batches_of_nearly_one_size_and_leaves_the_stream_where_it_was():
    given = {"indices": np.arange(3, 25), "augmentation": Augmentation(crop_padding=2, flip=True, cutout=2)}
    stream, untouched = numbered_stream(30, 5, **given), numbered_stream(30, 5, **given)
    assert torch.equal(stream.next()[0], untouched.next()[0])
    shown = []
    for images, labels in stream.once():
        torch.testing.assert_close(images, (labels / 255)[:, None, None, None].expand(-1, 1, 4, 4))
        assert torch.equal(stream.next()[0], untouched.next()[0])  # also in the middle of it
        shown.append(labels.tolist())
    assert [len(batch) for batch in shown] == [5, 5, 4, 4, 4]
    order = [label for batch in shown for label in batch]
    assert sorted(order) == list(range(3, 25)) != order
    assert [label for _, labels in stream.once() for label in labels.tolist()] == order
    assert [label for _, labels in numbered_stream(30, 5, seed=1, **given).once() for label in labels.tolist()] != order


@pytest.mark.parametrize(
    ("images", "batch", "sizes"),
    [(57, 19, [19, 19, 19]), (7, 3, [3, 2, 2]), (3, 2, [3]), (5, 2, [3, 2]), (5, 1, [3, 2]), (2, 1, [2]), (1, 1, [1])],
)
def test_no_even_batch_has_a_single_image(images: int, batch: int, sizes: list[int]):
    """Whose maps of one pixel have no statistics; unless there is only one image."""
    found = even_batches(np.arange(images) * 10, batch)
    assert [len(one) for one in found] == sizes
    assert np.concatenate(found).tolist() == list(range(0, 10 * images, 10))


def test_faults_of_the_caller():
    with pytest.raises(UsageError, match="batch 256 is more than the 120 images of the 'search' part"):
        numbered_stream(120, 256, name="search")
    with pytest.raises(ValueError, match="no position -1"):
        numbered_stream(8, 4).position = -1


LARGE = Augmentation(flip=True, cutout=8, resized_crop=True, color_jitter=True)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("photographs"), {"a": 9, "b": 9}, side=(80, 100), suffix=".jpg")


def open_photographs(root: Path, **options) -> DataModule:
    return open_data(SearchConfig(dataset="folder", data_dir=root, **{"image_size": 72, **options}), device=CPU)


def take(data: DataModule, position: int, batches: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    stream = data.stream(np.arange(14), 4, seed=1, name="train", augmentation=LARGE)
    stream.position = position
    taken = [stream.next() for _ in range(batches)]
    stream.close()
    return taken


def test_workers_change_no_number_and_end_with_the_stream(photographs: Path):
    alone, helped = (open_photographs(photographs, workers=workers) for workers in (0, 2))
    for (images, labels), (others, other_labels) in zip(take(alone, 2, 4), take(helped, 2, 4), strict=True):
        assert images.shape == (4, 3, 72, 72)
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    later = take(helped, 4, 1)[0][0]
    assert torch.equal(later, take(alone, 2, 3)[2][0])
    assert alone.info == helped.info
    assert [y.tolist() for _, y in alone.test_batches(3)] == [y.tolist() for _, y in helped.test_batches(3)]
    assert multiprocessing.active_children() == []


def test_large_images_are_cropped_and_jittered_one_by_one(photographs: Path):
    """Without cutout and flip, an image in a batch is torchvision's own pipeline under that image's seed."""
    from nascli.seeds import derive_seed

    data = open_photographs(photographs)
    augmentation = Augmentation(resized_crop=True, color_jitter=True)
    stream = data.stream(np.array([5]), 1, seed=3, name="x", augmentation=augmentation)
    images, labels = stream.next()
    assert not torch.equal(images, stream.next()[0])  # another look in the next pass
    pipeline = v2.Compose([v2.RandomResizedCrop(72, antialias=True), v2.ColorJitter(0.4, 0.4, 0.4, 0.2)])
    source = data._all_train_images.path(5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(derive_seed(3, "x", "pass", 0), "image", 5))
        expected = pipeline(torch.from_numpy(read(source)))
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.info.mean, data.info.std))
    torch.testing.assert_close(images[0], (expected / 255 - mean) / std, atol=1e-5, rtol=0)
    assert labels.tolist() == [data.train_labels[5]]


def test_test_images_are_resized_to_256_224ths_and_cut_to_the_centre(photographs: Path):
    data = open_photographs(photographs, image_size=70)
    images, _ = next(data.batches(np.array([0]), 1))
    pixels = torch.from_numpy(read(data._all_train_images.path(0)))
    resized = v2.functional.resize(pixels, [80, 100], antialias=True)[:, 5:75, 15:85]
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.info.mean, data.info.std))
    torch.testing.assert_close(images[0], (resized / 255 - mean) / std, atol=1e-5, rtol=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_one_line_with_its_path(tmp_path: Path, workers: int):
    root = make_folder(tmp_path / "data", {"a": 6, "b": 6}, side=80)
    data = open_photographs(root, workers=workers)
    path = data._all_train_images.path(3)
    path.write_bytes(path.read_bytes()[:200])
    stream = data.stream(np.arange(len(data.train_labels)), 2, seed=0, name="train", augmentation=LARGE)
    with pytest.raises(DataError) as caught:
        labels_of(stream, stream.batches_per_pass)
    assert str(path) in str(caught.value)
    assert "--skip-corrupt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert multiprocessing.active_children() == []


def test_large_corrupt_images_are_found_beforehand_when_they_may_be_skipped(tmp_path: Path):
    root = make_folder(tmp_path / "data", {"a": 6, "b": 6}, side=80, suffix=".jpg")
    spoilt = open_photographs(root)._all_train_images.path(3)
    spoilt.write_bytes(spoilt.read_bytes()[:-100])
    data = open_photographs(root, skip_corrupt=True)
    assert data.info.train_images == len(data.train_labels) == 9
    assert data.notices == (f"left out 1 image that cannot be read: {spoilt}: {data.notices[0].split(': ')[-1]}",)
    assert sum(len(labels) for _, labels in data.batches(None, 4)) == 9


SCRIPT = """
import multiprocessing, os, signal, sys, numpy as np, torch
from nascli.config import SearchConfig
from nascli.data import Augmentation, open_data
signal.signal(signal.SIGINT, lambda *_: None)
torch.utils.data._utils.worker.MP_STATUS_CHECK_INTERVAL = 0.5  # how often torch's workers look for their parent
config = SearchConfig(dataset="folder", data_dir=sys.argv[1], image_size=72, workers=2)
data = open_data(config, device=torch.device("cpu"))
stream = data.stream(np.arange(14), 2, seed=0, name="t", augmentation=Augmentation(resized_crop=True))
stream.next()
print(*[child.pid for child in multiprocessing.active_children()], flush=True)
sys.stdin.readline()
for _ in range(12):
    stream.next()
print("done", flush=True)
sys.stdin.readline()
"""


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie, which nobody has waited for, does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_workers_ignore_an_interrupt_of_the_group_and_die_with_a_killed_parent(photographs: Path):
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT), str(photographs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        workers = [int(word) for word in process.stdout.readline().split()]
        assert len(workers) == 2
        os.killpg(process.pid, signal.SIGINT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        process.kill()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in workers)
