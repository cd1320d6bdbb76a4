from nascli.config import DetectConfig
from nascli.core.engine.detection.evaluate import evaluate_detector
from nascli.core.engine.detection.train import train_detector
from tests.data.scenes.folders import changed, simple


def test_crowds_are_no_boxes(tmp_path):
    """Of the two boxes in the test pictures one is around a crowd."""
    root = changed(simple(tmp_path), lambda it: it["annotations"][0].update(iscrowd=1), "test/_annotations.coco.json")
    tiny = {"image_size": 32, "layers": 3, "channels": 2, "extra_channels": 4, "epochs": 1, "batch_size": 4}
    given = DetectConfig(dataset="coco", space="darts", data_dir=root, workers=0, device="cpu", **tiny)
    result = evaluate_detector(train_detector("darts-v2", given))
    assert (result.images, result.boxes) == (3, 1)
