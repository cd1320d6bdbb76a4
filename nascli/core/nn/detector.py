"""An SSD (Liu et al., ECCV 2016) on the network of a genotype, put together from torchvision's parts.

Its heads, and the smaller maps behind the backbone, are those of SSDLite (Sandler et al., CVPR 2018, Section 6.2).
`nascli.graphs.detector` says which maps there are and what they cost.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops.misc import Conv2dNormActivation

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.detector import DetectorSettings
from nascli.core.nn.build import load_weights, seeded
from nascli.core.nn.graph_network import GraphModules
from nascli.graphs.detector import ASPECT_RATIOS, DetectorLayout

NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
INITIAL_STD = 0.03
"""Of the weights of all layers behind the backbone; this and NORM: torchvision's SSDLite320."""

SCORE, NMS, CANDIDATES = 0.001, 0.55, 300
"""The least score of an answer, the overlap from which the lesser of two boxes goes, and the most boxes of a class that
are compared: torchvision's SSDLite320.
"""

MOST_ANSWERS = 100
"""The most boxes of a picture: as many as COCO counts."""


class FeatureMaps(nn.Module):
    """The maps that boxes are found on. Images [B, C, H, W] -> name: [B, channels, side, side], finest first."""

    def __init__(self, layout: DetectorLayout) -> None:
        super().__init__()
        self._taps = layout.backbone.taps
        self.body = GraphModules(layout.backbone.graph)
        self._order = layout.backbone.graph.steps(self._taps)
        self.extras = nn.ModuleList()
        before = layout.tapped[-1]
        for shape in layout.extras:
            self.extras.append(_smaller(before.channels, shape.channels))
            before = shape

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, in float32, of which default boxes are then computed, too."""
        values = self.body.run(self._order, {self.body.graph.nodes[0].name: images}, keep=self._taps)
        maps = [values[name] for name in self._taps]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return OrderedDict((str(number), one.float()) for number, one in enumerate(maps))


def _smaller(channels: int, out: int) -> nn.Sequential:
    """To half the outputs, a depthwise 3x3 of stride 2, to all outputs; each with batch norm and ReLU6."""
    block = partial(Conv2dNormActivation, norm_layer=NORM, activation_layer=nn.ReLU6)
    inner = out // 2
    layers = nn.Sequential(
        block(channels, inner, kernel_size=1),
        block(inner, inner, kernel_size=3, stride=2, groups=inner),
        block(inner, out, kernel_size=1),
    )
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=INITIAL_STD)
    return layers


def build_detector(layout: DetectorLayout, settings: DetectorSettings, data: DataInfo, seed: int) -> SSD:
    """The detector with fresh weights, float32 on the CPU, in training mode; the same for the same seed.

    It takes lists of images [C, side, side], scaled to [0, 1] and squashed to the side of `data`, which it normalises
    itself. In training it returns the losses "classification" and "bbox_regression", in evaluation for each image
    "boxes", "scores" and "labels", where 0 is the background.
    """
    return seeded(lambda: _detector(layout, settings, data), seed)


def _detector(layout: DetectorLayout, settings: DetectorSettings, data: DataInfo) -> SSD:
    maps = layout.maps
    boxes = DefaultBoxGenerator(
        [list(ASPECT_RATIOS)] * len(maps), min_ratio=settings.anchor_min, max_ratio=settings.anchor_max
    )
    classes = layout.classes + 1
    return SSD(
        FeatureMaps(layout),
        boxes,
        (data.image_size, data.image_size),
        classes,
        image_mean=list(data.mean),
        image_std=list(data.std),
        head=SSDLiteHead([one.channels for one in maps], boxes.num_anchors_per_location(), classes, NORM),
        score_thresh=SCORE,
        nms_thresh=NMS,
        detections_per_img=MOST_ANSWERS,
        topk_candidates=CANDIDATES,
        _skip_resize=True,
    )


def load_detector(
    layout: DetectorLayout, settings: DetectorSettings, data: DataInfo, weights: Mapping[str, "object"], where: str
) -> SSD:
    """The detector with the weights of a file, on the CPU, in evaluation mode. Raises ArtifactError."""
    network = build_detector(layout, settings, data, seed=0)
    load_weights(network, weights, where)  # type: ignore[arg-type]
    return network.eval()


def answers(network: SSD, images: Tensor) -> Sequence[Mapping[str, Tensor]]:
    """The boxes in images [B, C, side, side], in pixels of that side. `network` is in evaluation mode."""
    with torch.inference_mode():
        found: Sequence[Mapping[str, Tensor]] = network(list(images))
    return found
