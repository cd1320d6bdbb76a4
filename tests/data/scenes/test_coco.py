import json
from pathlib import Path

import numpy as np
import pytest

from nascli.config import SceneConfig
from nascli.data.scenes.coco import coco, find_places
from nascli.errors import DataError, UsageError
from tests.data.scenes.folders import changed, document, simple, write


def opened(root, *, training=True, **given):
    return coco(SceneConfig(dataset="coco", data_dir=root, **given), training=training)


def test_boxes_are_read_as_corners_with_their_classes(tmp_path):
    train = opened(simple(tmp_path)).train
    assert train.classes == ("square", "bar")  # in the order of their ids
    assert [Path(name).name for name in train.names] == ["0.png", "1.png", "2.png", "3.png"]
    assert train.boxes[1].corners.tolist() == [[5, 6, 17, 12]]
    assert [boxes.labels.tolist() for boxes in train.boxes] == [[0], [1], [0], []]
    assert train.boxes[1].areas.tolist() == [72]
    pixels = train.read(1)
    assert pixels.shape == (3, 32, 32)
    assert (pixels[:, 6:12, 5:17] == 255).all()
    assert (pixels == 255).sum() == 3 * 72


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"annotations/instances_train2017.json": "train2017", "annotations/instances_val2017.json": "val2017"},
            "train val",
        ),
        ({"annotations/instances_train2014.json": "images/train2014", "val.json": "val"}, "train val"),
        ({"train/_annotations.coco.json": "train", "valid/_annotations.coco.json": "valid"}, "train val"),
        ({"train.json": "train", "validation.json": "validation", "test.json": "test"}, "train val test"),
    ],
)
def test_parts_are_found_by_their_names(tmp_path, files, found):
    for file, folder in files.items():
        write(tmp_path / file, tmp_path / folder, document())
    places = find_places(tmp_path)
    assert list(places) == found.split()
    assert [place.folder for place in places.values()] == [tmp_path / folder for folder in files.values()]


def test_val_is_for_testing_alone_and_for_watching_beside_test(tmp_path):
    write(tmp_path / "train.json", tmp_path / "train", document())
    write(tmp_path / "val.json", tmp_path / "val", document(2, first=20))
    source = opened(tmp_path)
    assert source.validation is None
    assert len(source.test) == 2
    write(tmp_path / "test.json", tmp_path / "test", document(3, first=30))
    source = opened(tmp_path)
    assert (len(source.test), len(source.validation)) == (3, 2)


def test_without_test_pictures_a_fifth_is_held_out_by_their_names(tmp_path):
    write(tmp_path / "train.json", tmp_path / "train", document(10))
    source = opened(tmp_path)
    assert (len(source.train), len(source.test)) == (8, 2)
    assert not set(source.train.names) & set(source.test.names)
    assert "2 of the 10 pictures of train/ are held out" in source.notices[0]
    assert opened(tmp_path, training=False).test.names == source.test.names


def test_the_fingerprint_changes_with_an_annotation_and_with_a_picture(tmp_path):
    before = opened(simple(tmp_path)).fingerprint
    assert opened(tmp_path).fingerprint == before
    changed(tmp_path, lambda it: it["annotations"][0].update(category_id=7))
    annotated = opened(tmp_path).fingerprint
    (tmp_path / "train" / "0.png").write_bytes((tmp_path / "train" / "0.png").read_bytes() + b" ")
    assert len({before, annotated, opened(tmp_path).fingerprint}) == 3


def test_crowds_are_marked_and_areas_taken_from_the_file(tmp_path):
    changed(simple(tmp_path), lambda it: it["annotations"][0].update(iscrowd=1, area=31.5))
    boxes = opened(tmp_path).train.boxes[0]
    assert boxes.crowd.tolist() == [True]
    assert boxes.areas.tolist() == [31.5]


def row(number, **values):
    return lambda it: it["annotations"][number].update(values)


def image(number, **values):
    return lambda it: it["images"][number].update(values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (row(0, bbox=[30, 3, 4, 4]), "annotations[0]: the box [30, 3, 4, 4] of 0.png is outside of its 32x32 pixels"),
        (row(1, bbox=[-3, 3, 8, 4]), "annotations[1]: the box [-3, 3, 8, 4] of 1.png is outside of its 32x32 pixels"),
        (row(0, bbox=[3, 3, 0, 4]), "annotations[0]: the box [3, 3, 0, 4] of 0.png has no area"),
        (row(0, bbox=[9, 3, -5, 4]), "annotations[0]: the box [9, 3, -5, 4] of 0.png has no area"),
        (row(0, bbox=[3, 3, 4]), "annotations[0].bbox is [3, 3, 4], not [left, top, width, height]"),
        (row(0, bbox=["a", 3, 4, 4]), "annotations[0].bbox is ['a', 3, 4, 4], not"),
        (row(0, bbox=[float("nan"), 3, 4, 4]), "annotations[0].bbox is [nan, 3, 4, 4], not"),
        (row(0, category_id=3), "annotations[0].category_id: 3 is none of the 'categories'"),
        (row(0, image_id=77), "annotations[0].image_id: 77 is none of the 'images'"),
        (row(1, id=100), "annotations[1].id: 100 is there twice"),
        (lambda it: it["images"][1].update(id=0), "images[1].id: 0 is there twice"),
        (lambda it: it["images"][1].update(file_name="0.png"), "the picture 0.png is listed twice"),
        (lambda it: it["images"][1].update(file_name="no.png"), "no.png is missing: "),
        (
            image(1, file_name="/etc/passwd"),
            "images[1].file_name is '/etc/passwd', outside of",
        ),
        (
            image(2, file_name="a/../../test/51.png"),
            "images[2].file_name is 'a/../../test/51.png', outside of",
        ),
        (image(1, file_name=".."), "images[1].file_name is '..', outside of"),
        (row(1, iscrowd="x"), "annotations[1].iscrowd is 'x', neither 0 nor 1"),
        (row(0, iscrowd=2), "annotations[0].iscrowd is 2, neither 0 nor 1"),
        (row(0, iscrowd=None), "annotations[0].iscrowd is None, neither 0 nor 1"),
        (lambda it: it.update(images=[]), "has no images: its list 'images' is empty"),
        (lambda it: it["images"][1].update(width=0), "the image 1.png has the size (0, 32), not a width and a height"),
        (lambda it: it["images"][1].pop("id"), "images[1].id is None, not a whole number"),
        (lambda it: it["categories"][1].update(id=7), "categories[1].id: 7 is there twice"),
        (lambda it: it["categories"][1].update(name="bar"), "two categories have the name 'bar'"),
        (lambda it: it.update(annotations=[]), "has no boxes"),
        (lambda it: it.pop("images"), "is not in COCO's format: it has no list 'images'"),
        (lambda it: it.update(images=[1]), "images[0] is not an object"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(tmp_path, change, told):
    changed(simple(tmp_path), change)
    with pytest.raises(DataError) as error:
        opened(tmp_path)
    assert told in str(error.value)
    assert "train.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_pictures_may_lie_deeper_in_their_folder_and_crowds_be_booleans(tmp_path):
    def move(it):
        it["images"][1]["file_name"] = "deeper/..more/../1.png"
        it["annotations"][1]["iscrowd"] = True

    changed(simple(tmp_path), move)
    (tmp_path / "train" / "deeper" / "..more").mkdir(parents=True)
    (tmp_path / "train" / "1.png").rename(tmp_path / "train" / "deeper" / "1.png")
    source = opened(tmp_path)
    assert source.train.boxes[1].crowd.tolist() == [True]
    assert source.train.read(1).shape == (3, 32, 32)
    assert source.fingerprint


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xff"])
def test_what_is_no_json_of_this_format_is_refused_in_one_line(tmp_path, text):
    simple(tmp_path)
    (tmp_path / "train.json").write_text(text, "latin-1")
    with pytest.raises(DataError, match=r"train\.json is not (valid JSON|in COCO's format)") as error:
        opened(tmp_path)
    assert "\n" not in str(error.value)


def test_a_box_that_rounding_moved_beyond_the_border_is_cut(tmp_path):
    changed(simple(tmp_path), row(0, bbox=[-0.4, 20, 10, 12.7]))
    assert opened(tmp_path).train.boxes[0].corners.tolist() == [[0, 20, np.float32(9.6), 32]]


def test_bad_boxes_and_pictures_are_left_out_where_this_is_asked_for(tmp_path):
    def spoil(it):
        it["annotations"][0]["bbox"] = [3, 3, 0, 4]
        it["images"][1]["file_name"] = "no.png"

    changed(simple(tmp_path, train=5), spoil)
    (tmp_path / "train" / "2.png").write_bytes(b"not a picture")
    source = opened(tmp_path, skip_corrupt=True)
    assert [Path(name).name for name in source.train.names] == ["0.png", "3.png", "4.png"]
    assert [len(boxes) for boxes in source.train.boxes] == [0, 1, 0]
    assert "1 boxes, such as annotations[0]" in source.notices[0]
    assert "2 pictures that are missing or cannot be read" in source.notices[1]


def test_a_picture_of_another_size_than_its_annotations_is_unreadable(tmp_path):
    changed(simple(tmp_path), lambda it: it["images"][0].update(width=40))
    with pytest.raises(DataError, match=r"0\.png: has 32x32 pixels, and the boxes are for 40x32"):
        opened(tmp_path).train.read(0)
    assert [Path(name).name for name in opened(tmp_path, skip_corrupt=True).train.names] == ["1.png", "2.png", "3.png"]


def test_sizes_come_from_the_pictures_where_the_file_has_none(tmp_path):
    def drop(it):
        for image in it["images"]:
            del image["width"], image["height"]

    assert opened(changed(simple(tmp_path), drop)).train.sizes == [(32, 32)] * 4


def test_a_folder_without_annotations_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no annotations in .*: looked for train/ with train.json beside it or"):
        opened(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        opened(tmp_path / "no")
    with pytest.raises(UsageError, match="needs --data-dir: a folder with train/"):
        opened(None)
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(DataError, match=r"train\.json has no pictures: looked for .*/train/"):
        opened(tmp_path)
    write(tmp_path / "train" / "_annotations.coco.json", tmp_path / "train", document())
    with pytest.raises(DataError, match="two files for one part: .*train.json and .*_annotations.coco.json"):
        opened(tmp_path)


def test_an_evaluation_reads_the_test_annotations_alone(tmp_path):
    simple(tmp_path)
    (tmp_path / "train.json").write_text("{")
    assert len(opened(tmp_path, training=False).test) == 3
    assert json.loads((tmp_path / "test" / "_annotations.coco.json").read_text())["images"]
