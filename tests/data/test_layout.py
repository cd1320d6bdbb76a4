"""Which sub-folders are parts of a data set and which are classes, in the ways that people lay out their pictures."""

import re
from pathlib import Path

import pytest

from nascli.config import SearchConfig
from nascli.data import open_data, probe_image_size
from nascli.data.sources.folders import read_folder
from nascli.data.sources.layout import read_layout
from nascli.errors import DataError, UsageError
from tests.data.pictures import CPU, make_folder, noise, save

FEW = {"cat": 5, "dog": 5}


def parts(root: Path) -> dict[str, Path]:
    return {"train": root / "train", "test": root / "test", "val": root / "val"}


@pytest.mark.parametrize(
    ("train", "test", "val"),
    [
        ("Train", "Test", "Val"),
        ("TRAINING", "testing", "Validation"),
        ("training", "TEST", "valid"),
        ("train", None, None),
        ("Training", None, "VALID"),
    ],
)
def test_the_usual_names_in_any_case(tmp_path, train, test, val):
    for name in filter(None, (train, test, val)):
        make_folder(tmp_path / name, FEW, side=6)
    layout = read_layout(tmp_path)
    assert layout.train == tmp_path / train
    assert layout.test == (tmp_path / (test or val) if test or val else None)
    assert layout.val == (tmp_path / val if test and val else None)
    data = open_data(SearchConfig(dataset="folder", data_dir=tmp_path), device=CPU)
    assert data.info.classes == ("cat", "dog")
    assert data.info.test_images == (10 if test or val else 2)
    assert data.has_validation == bool(test and val)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("train_set", "Test-Set"),
        ("trainset", "testset"),
        ("trains", "tests"),
        ("train", "dev"),
        ("train", "eval"),
        ("TrainingData", "TestingData"),
        ("train_images", "val_images"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("asl_alphabet_train/asl_alphabet_train", "asl_alphabet_test/asl_alphabet_test"),
        ("imagenet_train", "imagenet_val"),
        ("train2014", "val2014"),
        ("train", "test1"),
        ("01_train", "02_test"),
        ("train_v2", "Test v2"),
    ],
)
def test_other_names_are_read_and_told(tmp_path, train, test):
    for name in (train, test):
        make_folder(tmp_path / name, FEW, side=6)
    layout = read_layout(tmp_path)
    assert (layout.train, layout.test, layout.val) == (tmp_path / train, tmp_path / test, None)
    assert layout.notices == (f"read in {tmp_path}: training images in {train}/, test images in {test}/",)
    assert read_folder(tmp_path).test_images == 10


def test_two_test_folders_beside_a_training_folder_are_refused(tmp_path):
    for name in ("train", "private_test", "public_test"):
        make_folder(tmp_path / name, FEW, side=6)
    with pytest.raises(DataError, match="has both private_test/, public_test/ beside train/: keep one"):
        read_layout(tmp_path)


def test_classes_with_parts_of_their_own_are_refused(tmp_path):
    for name in ("cat", "dog"):
        make_folder(tmp_path / "all" / name, {"train": 3, "test": 2}, side=6)
    with pytest.raises(DataError, match=r"each of cat/, dog/ in .* has training and test images of its own: put the"):
        read_layout(tmp_path / "all")
    make_folder(tmp_path / "more" / "imgs", {"Train/cat": 3, "Train/dog": 3, "Test/cat": 2, "Test/dog": 2}, side=6)
    make_folder(tmp_path / "more" / "docs", {".": 2}, side=6)
    with pytest.raises(
        DataError, match=r"imgs has parts of a data set, and lies beside docs/: give --data-dir .*/imgs$"
    ):
        read_layout(tmp_path / "more")


def test_folders_that_hold_the_same_folders_may_be_parts_and_that_is_told(tmp_path):
    for name in ("fold1", "fold2"):
        make_folder(tmp_path / name, FEW, side=6)
    assert read_layout(tmp_path).notices == (
        f"the classes of {tmp_path} are fold1/, fold2/, and each holds cat/, dog/: if these are the classes, call the "
        "folders around them train/ and test/",
    )


def test_pictures_without_a_class_are_told(tmp_path):
    make_folder(tmp_path, {**FEW, ".": 3}, side=6)
    assert read_folder(tmp_path).notices == (f"left out of {tmp_path}: 3 images beside the class folders",)


def test_what_may_have_been_meant_where_there_is_one_class_only(tmp_path):
    make_folder(tmp_path / "outer" / "inner", FEW, side=6)
    with pytest.raises(DataError, match=rf"\('outer'\); .*: did you mean --data-dir {tmp_path}/outer/inner\?$"):
        read_folder(tmp_path)


def test_pictures_to_train_and_to_test_with_in_no_classes_are_refused(tmp_path):
    make_folder(tmp_path, {"train": 3, "test1": 3}, side=6)
    with pytest.raises(DataError, match="train has images, but no class folders"):
        read_folder(tmp_path)


@pytest.mark.parametrize("name", ["trainers", "latest", "contest", "restrain", "test-tubes", "evaluate", "retrain"])
def test_classes_that_only_sound_like_parts(tmp_path, name):
    make_folder(tmp_path, {"boots": 3, name: 3}, side=6)
    assert read_folder(tmp_path).train().classes == ("boots", name)
    assert read_layout(tmp_path).notices == ()


def test_images_in_parts_beside_a_folder_of_labels(tmp_path):
    """As detection data lies about. Without parts a folder beside an empty one is a class, and one is not enough."""
    for name in ("train", "test"):
        make_folder(tmp_path / "images" / name, FEW, side=6)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text("0")
    source = read_folder(tmp_path)
    assert (source.train_images, source.test_images) == (10, 10)
    assert source.notices == (
        f"{tmp_path} holds images/ and otherwise folders without images: reading test/, train/ in that",
    )
    make_folder(tmp_path / "other" / "cat", {"day": 3, "night": 3}, side=6)
    (tmp_path / "other" / "dog").mkdir()
    with pytest.raises(DataError, match="class folder .*/other/dog has no image"):
        read_folder(tmp_path / "other")


def test_a_test_folder_of_one_class_of_which_the_pictures_lie_in_folders(tmp_path):
    make_folder(tmp_path / "train", FEW, side=6)
    make_folder(tmp_path / "test" / "cat", {"day": 2, "night": 2}, side=6)
    assert read_layout(tmp_path).test == tmp_path / "test"


def test_two_names_for_one_part_are_refused(tmp_path):
    for name in ("train", "Training", "test"):
        make_folder(tmp_path / name, FEW, side=6)
    with pytest.raises(DataError, match=f"^{tmp_path} has both Training/, train/: keep one of them"):
        read_layout(tmp_path)


def test_a_class_called_train(tmp_path):
    make_folder(tmp_path, {"bus": 5, "car": 5, "train": 5}, side=6)
    source = read_folder(tmp_path)
    assert source.train().classes == ("bus", "car", "train")
    assert source.notices == (f"train/ is taken for a class of {tmp_path}, since it has no class folders",)


def test_a_class_called_train_whose_pictures_lie_in_folders_as_those_of_the_others(tmp_path):
    for name in ("bus", "car", "train"):
        make_folder(tmp_path / name, {"day": 3, "night": 3}, side=6)
    source = read_folder(tmp_path)
    assert source.train().classes == ("bus", "car", "train")
    assert source.notices == (
        f"train/ is taken for a class of {tmp_path}, since it has the same folders as bus/, car/",
    )


def test_train_beside_folders_that_may_be_classes_is_refused_with_both_readings(tmp_path):
    make_folder(tmp_path / "train", FEW, side=6)
    make_folder(tmp_path, {"bus": 4}, side=6)
    with pytest.raises(DataError) as caught:
        read_layout(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} can be read in two ways: train/ may be a class like bus/, or it has the training images, and bus/ "
        f"none. Give it another name, or --data-dir {tmp_path / 'train'}"
    )


def test_what_lies_beside_the_parts_is_told(tmp_path):
    for name in ("train", "test"):
        make_folder(tmp_path / name, FEW, side=6)
    make_folder(tmp_path, {"unlabelled": 2, **{f"more{number}": 1 for number in range(6)}}, side=6)
    (tmp_path / "empty").mkdir()
    (notice,) = read_layout(tmp_path).notices
    assert notice == f"left alone in {tmp_path}: more0/, more1/, more2/, more3/, more4/ and 2 more"


@pytest.mark.parametrize(
    "inner", [{"cat": 4, "dog": 4}, {"train/cat": 4, "train/dog": 4, "test/cat": 1, "test/dog": 1}]
)
def test_a_folder_that_holds_one_folder_is_that_one(tmp_path, inner):
    """As archives leave it, with what macOS puts beside it."""
    make_folder(tmp_path / "my_dataset", inner, side=6)
    save(tmp_path / "__MACOSX" / "my_dataset" / "cat" / "._0.png", noise(1, 6, 6))
    data = open_data(SearchConfig(dataset="folder", data_dir=tmp_path), device=CPU)
    assert data.info.classes == ("cat", "dog")
    assert data.notices[0].startswith(f"{tmp_path} holds my_dataset/ alone: reading ")
    assert probe_image_size(SearchConfig(dataset="folder", data_dir=tmp_path)) == 6


def test_one_class_of_two_kinds_is_still_one_class(tmp_path):
    make_folder(tmp_path, {"cat": 4}, side=6)
    with pytest.raises(DataError, match=r"has one class only \('cat'\)"):
        read_folder(tmp_path)


def test_classes_beside_a_test_folder_of_the_same_classes(tmp_path):
    make_folder(tmp_path, FEW, side=6)
    make_folder(tmp_path / "test", {"cat": 2, "dog": 1}, side=6)
    source = read_folder(tmp_path)
    assert source.train().classes == ("cat", "dog")
    assert (source.train_images, source.test_images) == (10, 3)
    assert source.notices == (
        f"the classes of {tmp_path} are cat/, dog/; test/ has images of the same classes, to test with",
    )


@pytest.mark.parametrize("inner", ["", "day"])
def test_classes_beside_a_test_folder_of_other_things_are_refused(tmp_path, inner):
    make_folder(tmp_path, FEW, side=6)
    make_folder(tmp_path / "test", {inner or ".": 3}, side=6)
    with pytest.raises(DataError, match="can be read in two ways: test/ may be a class like cat/, dog/, or have test"):
        read_folder(tmp_path)


def test_train_without_class_folders_beside_a_test_folder_is_refused(tmp_path):
    make_folder(tmp_path, {"train": 3, "test": 3}, side=6)
    message = (
        f"^{tmp_path / 'train'} has images, but no class folders; put each image into {tmp_path / 'train'}/CLASS/$"
    )
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_files_that_cannot_be_read_are_counted_by_their_endings(tmp_path):
    make_folder(tmp_path, FEW, side=6)
    for number in range(3):
        (tmp_path / "cat" / f"IMG_{number}.HEIC").write_bytes(b"x")
    (tmp_path / "dog" / "notes.txt").write_text("x")
    (tmp_path / "dog" / "README").write_text("x")
    for silent in (".DS_Store", "Thumbs.db", "._0.png"):
        (tmp_path / "dog" / silent).write_bytes(b"x")
    assert read_folder(tmp_path).notices == (
        f"left out of {tmp_path}: 3 .heic, 1 .txt, 1 without an ending; convert .heic to .jpg or .png to use them",
    )
    for path in (tmp_path / "cat").glob("*.png"):
        path.unlink()
    with pytest.raises(
        DataError, match=r"cat has no image \(.*\), but 3 \.heic; convert \.heic to .jpg or .png to use"
    ):
        read_folder(tmp_path)


def test_where_all_pictures_are_gone_the_advice_is_not_what_was_done(tmp_path):
    make_folder(tmp_path, {"cat": 6, "dog": 6}, side=72)
    config = SearchConfig(dataset="folder", data_dir=tmp_path, skip_corrupt=True)
    data = open_data(config, device=CPU)
    batches = data.batches(None, 4)
    for path in tmp_path.glob("*/*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"nor can the others of its batch \(4 in all\): put them back, and go on with"):
        list(batches)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_is_deleted_during_the_run(tmp_path, workers):
    make_folder(tmp_path, {"cat": 6, "dog": 6}, side=72)
    config = SearchConfig(dataset="folder", data_dir=tmp_path, workers=workers)
    stopping, going_on = (open_data(c, device=CPU) for c in (config, config.model_copy(update={"skip_corrupt": True})))
    whole = [labels.tolist() for _, labels in going_on.batches(None, 4)]
    images = going_on._train.feed.images
    gone = images.path(len(images) - 1)
    gone.unlink()
    advice = "put it back and go on with --resume, or begin again (--overwrite) without it, or with --skip-corrupt"
    with pytest.raises(DataError, match=f"^cannot read {gone}: No such file or directory; {re.escape(advice)}$"):
        list(stopping.batches(None, 4))
    left = [labels.tolist() for _, labels in going_on.batches(None, 4)]
    assert sum(map(len, left)) == sum(map(len, whole)) - 1
    assert going_on.lost == (
        f"left out since the beginning, as they can no longer be read: {gone}: No such file or directory"
    )


def test_a_class_whose_name_is_not_utf_8_is_refused(tmp_path):
    make_folder(tmp_path, FEW, side=6)
    (tmp_path / "cat").rename(tmp_path / "caf\udce9")
    with pytest.raises(DataError, match=r"^the name of the class folder caf\\xe9 in .* is not in UTF-8"):
        read_folder(tmp_path)


def test_a_data_dir_whose_name_is_not_utf_8_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^--data-dir .*/caf\\xe9 is not in UTF-8: give the folder another name$"):
        SearchConfig(dataset="folder", data_dir=tmp_path / "caf\udce9")


@pytest.mark.parametrize(
    ("target", "reason"), [("nowhere", "No such file or directory"), (None, "Too many levels of symbolic links")]
)
def test_a_broken_link_is_an_unreadable_picture(tmp_path, monkeypatch, target, reason):
    make_folder(tmp_path, {"cat": 9, "dog": 9}, side=6)
    if target is None:
        (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "cat" / "gone.png")
    else:
        (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / target)

    def config(**more):
        return SearchConfig(dataset="folder", data_dir=tmp_path, **more)

    with pytest.raises(DataError, match=rf"gone\.png: {reason}; repair or remove it, or .*--skip-corrupt"):
        open_data(config(), device=CPU).test_batches(2)
    data = open_data(config(skip_corrupt=True), device=CPU)
    seen = data.info.train_images + sum(len(labels) for _, labels in data.test_batches(8))
    assert seen == 18
    for name, value in {"TORCHELASTIC_RUN_ID": "a test", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=rf"gone\.png: {reason}; repair or remove it$"):
        open_data(config(), device=CPU).test_batches(2)
    assert any("left out 1 image that cannot be read" in notice for notice in data.notices)
