import torch
from torch import nn

from nascli.core.engine.detection.found import find
from tests.core.engine.ranking.example import CPU


class Known(nn.Module):
    """Finds the same two boxes in every image, of classes 3 and 1 behind the background."""

    def forward(self, images):
        assert not self.training
        one = {
            "boxes": torch.tensor([[2.0, 4, 10, 12], [0, 0, 20, 20]]),
            "labels": torch.tensor([3, 1]),
            "scores": torch.tensor([0.75, 0.25]),
        }
        return [one for _ in images]


def test_boxes_are_in_pixels_of_the_picture_and_classes_count_from_zero():
    """A picture of 40 x 20 pixels (width, height), squashed to 20 x 20: x doubles, y stays; and one of 10 x 60."""
    network = Known().train()
    wide, tall = find(network, [(torch.zeros(2, 1, 20, 20), [(40, 20), (10, 60)])], CPU)
    assert wide.corners.tolist() == [[4, 4, 20, 12], [0, 0, 40, 20]]
    assert tall.corners.tolist() == [[1, 12, 5, 36], [0, 0, 10, 60]]
    for one in (wide, tall):
        assert one.labels.tolist() == [2, 0]
        assert one.scores.tolist() == [0.75, 0.25]
    assert wide.surer(0.5).labels.tolist() == [2]
    assert network.training
