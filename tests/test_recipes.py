"""The papers' numbers, typed in a second time from their text.

Xu et al., ICLR 2020, Sections 4.2 and 4.3; Liu et al., ICLR 2019, Appendix A; Casale et al., 2019, Sections 4.1 to 4.3.
"""

import pytest

from nascli.config import FinetuneConfig, SearchConfig, TrainConfig
from nascli.registry import DATASETS, METHODS

SEARCHES = {
    ("pc-darts", "cifar10"): {
        "epochs": 50, "batch_size": 256, "layers": 8, "channels": 16, "nodes": 4, "stem": "cifar",
        "partial_channels": 4, "edge_normalization": True, "channel_sampling": "first", "arch_warmup_epochs": 15,
        "train_fraction": 0.5,
        "search_fraction": 0.5, "lr": 0.1, "lr_min": 0.0, "lr_warmup_epochs": 0, "momentum": 0.9, "weight_decay": 3e-4,
        "clip": 5.0, "arch_lr": 6e-4, "arch_beta1": 0.5, "arch_beta2": 0.999, "arch_weight_decay": 1e-3,
    },
    ("pc-darts", "imagenet"): {
        "epochs": 50, "batch_size": 1024, "layers": 8, "channels": 16, "stem": "imagenet", "partial_channels": 2,
        "arch_warmup_epochs": 35, "train_fraction": 0.1, "search_fraction": 0.025, "lr": 0.5, "lr_min": 0.0,
        "lr_warmup_epochs": 5, "momentum": 0.9, "weight_decay": 3e-5, "arch_lr": 6e-3, "arch_beta1": 0.5,
        "arch_beta2": 0.999, "arch_weight_decay": 1e-3,
    },
    ("darts", "cifar10"): {
        "epochs": 50, "batch_size": 64, "layers": 8, "channels": 16, "partial_channels": 1, "edge_normalization": False,
        "arch_warmup_epochs": 0, "lr": 0.025, "lr_min": 0.001, "momentum": 0.9, "weight_decay": 3e-4, "clip": 5.0,
        "arch_lr": 3e-4, "arch_beta1": 0.5, "arch_beta2": 0.999, "arch_weight_decay": 1e-3,
    },
    ("parsec", "cifar10"): {
        "epochs": 100, "batch_size": 64, "layers": 8, "channels": 16, "nodes": 4, "network": "search", "samples": 16,
        "adaptive_samples": False, "train_fraction": 0.5, "search_fraction": 0.5, "auxiliary": 0.0, "cutout": 0,
        "lr": 0.025, "lr_min": 0.001, "momentum": 0.9, "weight_decay": 3e-4, "clip": 5.0, "arch_lr": 0.02,
        "arch_beta1": 0.5, "arch_beta2": 0.999,
    },
}  # fmt: skip
TRAININGS = {
    ("pc-darts", "cifar10"): {
        "epochs": 600, "batch_size": 128, "layers": 20, "channels": 36, "stem": "cifar", "lr": 0.025, "lr_min": 0.0,
        "schedule": "cosine", "momentum": 0.9, "weight_decay": 3e-4, "clip": 5.0, "drop_path": 0.3, "cutout": 16,
        "auxiliary": 0.4, "label_smoothing": 0.0, "validation": 0.0,
    },
    ("pc-darts", "imagenet"): {
        "epochs": 250, "batch_size": 1024, "layers": 14, "channels": 48, "stem": "imagenet", "lr": 0.5, "lr_min": 0.0,
        "schedule": "linear", "lr_warmup_epochs": 5, "weight_decay": 3e-5, "label_smoothing": 0.1, "auxiliary": 0.4,
        "drop_path": 0.0, "cutout": 0,
    },
    ("darts", "cifar10"): {
        "epochs": 600, "batch_size": 96, "layers": 20, "channels": 36, "lr": 0.025, "schedule": "cosine",
        "weight_decay": 3e-4, "clip": 5.0, "drop_path": 0.2, "cutout": 16, "auxiliary": 0.4,
    },
    ("darts", "imagenet"): {
        "epochs": 250, "batch_size": 128, "layers": 14, "channels": 48, "lr": 0.1, "schedule": "step", "lr_decay": 0.97,
        "weight_decay": 3e-5, "label_smoothing": 0.1, "auxiliary": 0.4,
    },
    ("parsec", "cifar10"): {
        "epochs": 600, "batch_size": 96, "layers": 20, "channels": 36, "lr": 0.025, "schedule": "cosine",
        "momentum": 0.9, "weight_decay": 3e-4, "clip": 5.0, "drop_path": 0.4, "cutout": 16, "auxiliary": 0.4,
    },
    ("random", "cifar10"): {
        "epochs": 600, "batch_size": 96, "layers": 20, "channels": 36, "lr": 0.025, "schedule": "cosine",
        "weight_decay": 3e-4, "clip": 5.0, "drop_path": 0.4, "cutout": 16, "auxiliary": 0.4,
    },
    ("parsec", "imagenet"): {"epochs": 600, "layers": 14, "stem": "imagenet", "auxiliary": 0.4},
}  # fmt: skip
FINETUNING = {
    "epochs": 10, "batch_size": 96, "layers": 20, "channels": 36, "network": "derived", "samples": 16, "auxiliary": 0.4,
    "cutout": 16, "arch_lr": 0.01, "arch_beta1": 0.5, "arch_beta2": 0.999,
}  # fmt: skip


def test_the_fine_tuning_recipe_is_the_papers():
    config = FinetuneConfig(method="parsec", dataset="cifar10")
    held = {**config.model_dump(), **config.settings}
    assert {name: held[name] for name in FINETUNING} == FINETUNING


@pytest.mark.parametrize("method", ["pc-darts", "darts"])
def test_mixtures_are_fine_tuned_in_the_network_that_parsec_is(method):
    """Its size, tower, cutout, batch and epochs; the rates are the methods' own."""
    config = FinetuneConfig(method=method, dataset="cifar10")
    held = {**config.model_dump(), **config.settings}
    shared = ("epochs", "batch_size", "layers", "channels", "auxiliary", "cutout")
    assert {name: held[name] for name in shared} == {name: FINETUNING[name] for name in shared}
    assert FinetuneConfig(method=method, dataset="imagenet").settings["auxiliary"] == 0.4
    searched = SearchConfig(method=method, dataset="cifar10").settings
    assert (searched["auxiliary"], searched["cutout"]) == (0.0, 0)


@pytest.mark.parametrize(("method", "dataset"), SEARCHES)
def test_search_recipes_are_the_papers(method, dataset):
    config = SearchConfig(method=method, dataset=dataset)
    held = {**config.model_dump(), **config.settings}
    wanted = SEARCHES[method, dataset]
    assert {name: held[name] for name in wanted} == wanted


@pytest.mark.parametrize(("method", "dataset"), TRAININGS)
def test_training_recipes_are_the_papers(method, dataset):
    held = TrainConfig(method=method, dataset=dataset).model_dump()
    wanted = TRAININGS[method, dataset]
    assert {name: held[name] for name in wanted} == wanted


@pytest.mark.parametrize("image_size", [None, 64, 65, 224])
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig, TrainConfig])
def test_every_method_has_a_recipe_for_every_data_set_and_stage(config, method, dataset, image_size):
    resolved = config(method=method, dataset=dataset, image_size=image_size)
    assert config(**resolved.model_dump()) == resolved


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig, TrainConfig])
def test_large_images_get_a_recipe_that_a_hundred_photographs_are_enough_for(config, method):
    def resolved(dataset, image_size):
        return config(method=method, dataset=dataset, image_size=image_size)

    assert [resolved("folder", side).recipe for side in (None, 64, 65)] == ["cifar10", "cifar10", "pictures"]
    assert resolved("imagenet", 224).recipe == "imagenet"
    large = resolved("folder", 224)
    settings = {"stem": getattr(large, "stem", None), **getattr(large, "settings", {})}
    assert settings["stem"] == "imagenet"
    # Three classes of forty, a fifth of them for testing: 96 images to train on, 48 in each half.
    assert large.batch_size <= 96 * min(settings.get("train_fraction", 1), settings.get("search_fraction", 1))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig])
def test_the_candidates_of_a_random_search_share_its_epochs_evenly(config, dataset):
    resolved = config(method="random", dataset=dataset)
    assert resolved.epochs % resolved.settings["candidates"] == 0


def test_a_random_search_of_cifar10_is_given_the_budget_of_parsecs():
    theirs, ours = (SearchConfig(method=method, dataset="cifar10") for method in ("parsec", "random"))
    for name in ("epochs", "batch_size"):
        assert getattr(ours, name) == getattr(theirs, name)
    shared = ours.settings.keys() - {"candidates"}
    assert {name: ours.settings[name] for name in shared} == {name: theirs.settings[name] for name in shared}


def test_a_finetune_of_a_random_search_has_cells_enough_to_choose_from():
    for dataset in DATASETS:
        searched, tuned = (config(method="random", dataset=dataset) for config in (SearchConfig, FinetuneConfig))
        assert tuned.settings["candidates"] < searched.settings["candidates"]
