"""Configurations that look at the images first."""

import pytest
import torch

import nascli
from nascli.config import EvalConfig, PredictConfig, SearchConfig, TrainConfig
from nascli.data import open_data
from nascli.errors import DataError, UsageError
from nascli.fitted_config import configure
from tests.data.pictures import make_folder


@pytest.mark.parametrize(("side", "size", "recipe"), [(12, 12, "cifar10"), ((240, 320), 224, "pictures")])
@pytest.mark.parametrize("model", [SearchConfig, TrainConfig])
def test_the_images_of_a_folder_choose_the_recipe(tmp_path, model, side, size, recipe):
    make_folder(tmp_path, {"a": 2, "b": 2}, side=side)
    config = nascli.configure(model, dataset="folder", data_dir=str(tmp_path))
    assert (config.image_size, config.recipe) == (size, recipe)
    given = model(dataset="folder", data_dir=tmp_path, image_size=size, batch_size=2)
    assert config.model_dump() == given.model_dump()
    assert config.batch_was_fitted
    assert not given.batch_was_fitted
    assert nascli.configure(model, dataset="folder", data_dir=str(tmp_path), batch_size=9).batch_size == 9
    assert configure(model, **config.model_dump()).model_dump() == config.model_dump()


def test_what_is_given_is_kept(tmp_path):
    make_folder(tmp_path, {"a": 2, "b": 2}, side=100)
    config = configure(TrainConfig, dataset="folder", data_dir=tmp_path, image_size=48, recipe="imagenet", epochs=3)
    assert (config.image_size, config.recipe, config.epochs) == (48, "imagenet", 3)


def test_data_of_a_known_size_are_not_looked_at():
    assert configure(SearchConfig, dataset="cifar10", data_dir="nowhere") == SearchConfig(
        dataset="cifar10", data_dir="nowhere"
    )
    assert configure(EvalConfig, dataset="folder", data_dir="nowhere").image_size is None


def test_faults_are_told_at_once_and_missing_images_as_such():
    with pytest.raises(UsageError, match=r"epochs: .*; batch_size: "):
        configure(TrainConfig, epochs=0, batch_size=0)
    with pytest.raises(DataError, match="nowhere"):
        configure(SearchConfig, dataset="folder", data_dir="nowhere")


def test_a_folder_for_data_that_is_built_in_is_refused(tmp_path):
    """It was passed over, and the digits searched in place of one's own pictures."""
    with pytest.raises(
        UsageError, match=r"--data-dir .* does not go with digits, .*: for own pictures give --dataset fo"
    ):
        open_data(SearchConfig(data_dir=tmp_path), device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("model", "command"), [(EvalConfig, "eval"), (PredictConfig, "predict"), (TrainConfig, "train")]
)
def test_a_setting_of_another_command_is_named_with_those_that_are_known(model, command):
    with pytest.raises(UsageError, match=rf"^unknown setting for {command} 'batchsize': did you mean 'batch_size'"):
        configure(model, batchsize=3)
