"""What a network takes from a trained one: layers of its names and shapes, whole, and a classifier of its classes."""

import torch

from nascli.artifacts.genotypes.published import load
from nascli.core.nn.build import build_network
from nascli.core.nn.transfer import transfer
from nascli.spaces.network_settings import NetworkSettings

SETTINGS = NetworkSettings(layers=1, channels=2, stem="cifar", classes=3, image_channels=1, image_size=8)


def network(seed=0, *, name="darts-v2", **given):
    settings = SETTINGS.model_copy(update=given)
    built = build_network(load(name).genotype.graph(settings), seed)
    for norm in built.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            with torch.no_grad():
                norm.running_mean.fill_(seed + 0.5)
                norm.num_batches_tracked.fill_(seed)
    return built


def arrays(of):
    return {name: value.numpy().copy() for name, value in of.state_dict().items()}


def logits(of, images):
    with torch.inference_mode():
        return of.eval()(images)


def test_the_same_network_is_taken_whole_and_its_classes_by_name():
    other, images = network(1), torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for rows in ((0, 1, 2), (2, 0, 1)):
        mine = network(0)
        told = transfer(mine, arrays(other), rows)
        assert torch.equal(logits(mine, images), logits(other, images)[:, rows])
        assert (told.taken, told.total, told.new, told.reordered) == (len(mine.state_dict()),) * 2 + (
            (),
            rows != (0, 1, 2),
        )
    assert "the classifier's rows with them" in str(told)


def test_other_classes_get_a_classifier_of_their_own():
    for given, sides in (({"classes": 5}, "[3, 16] -> [5, 16]"), ({}, "(other classes)")):
        mine, other, fresh = network(0, **given), network(1), network(0, **given)
        told = transfer(mine, arrays(other), None)
        state = mine.state_dict()
        classifier = {name for name in state if name.startswith("classifier.")}
        assert str(told).startswith(f"{len(state) - 2} of {len(state)} tensors; new: classifier.weight {sides}")
        for name, value in state.items():
            expected = fresh if name in classifier else other
            assert torch.equal(value, expected.state_dict()[name]), name


def test_a_layer_takes_all_of_its_tensors_or_none():
    mine, other = network(0, channels=4), network(1)
    told = transfer(mine, arrays(other), (0, 1, 2))
    assert told.taken == 0
    for name, value in network(0, channels=4).state_dict().items():
        assert torch.equal(mine.state_dict()[name], value), f"{name}, which may have a fitting shape, as a bias has"


def test_colour_changes_the_first_convolution_alone_and_other_cells_what_is_theirs():
    told = transfer(network(0, image_channels=3), arrays(network(1)), (0, 1, 2))
    assert told.new == ("stem.conv.weight [6, 1, 3, 3] -> [6, 3, 3, 3]",)
    mine, other = network(0, name="enas"), network(1)
    told = transfer(mine, arrays(other), (0, 1, 2))
    names = mine.state_dict().keys(), other.state_dict().keys()
    assert (told.missing, told.unused) == (len(names[0] - names[1]), len(names[1] - names[0]))
    assert told.taken == told.total - told.missing - len(told.new) > 0
    assert f"{told.missing} of layers that are not there" in str(told)
