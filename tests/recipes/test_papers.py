"""The papers' numbers, typed in a second time from their text.

Xu et al., ICLR 2020, Sections 4.2 and 4.3; Liu et al., ICLR 2019, Appendix A; Casale et al., 2019, Sections 4.1 to
4.3; Zhou et al., AAAI 2020, Section 3 and supplementary material; Dong & Yang, ICLR 2020.
"""

import pytest

from nascli import recipes
from nascli.config import DetectConfig, FinetuneConfig, SearchConfig, TrainConfig
from nascli.errors import UsageError
from nascli.milestones import milestones
from nascli.registry import DATASETS, METHODS, SPACES, SUPERNETS
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings

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
ON_CIFAR10 = {
    "epochs": 1800, "batch_size": 128, "lr": 0.01, "lr_min": 0.0, "schedule": "cosine", "cutout": 16, "momentum": 0.9,
}  # fmt: skip
ENAS = {
    "epochs": 630, "batch_size": 72, "lr": 0.05, "lr_min": 1e-4, "schedule": "restarts", "restart_epochs": 10,
    "restart_factor": 2, "cutout": 16, "drop_path": 0.4, "auxiliary": 0.4,
}  # fmt: skip
ON_IMAGENET = {
    "lr": 0.1, "schedule": "milestones", "momentum": 0.9, "nesterov": True, "auxiliary": 0.0, "cutout": 0,
}  # fmt: skip
SUPERNET_SEARCHES = {
    ("cifar10", "resnet-mb"): {**ON_CIFAR10, "weight_prior": 50.0},
    ("cifar10", "resnet-mb-inflated"): {**ON_CIFAR10, "weight_prior": 150.0},
    ("cifar100", "resnet-mb"): {**ON_CIFAR10, "weight_prior": 50.0},
    ("cifar100", "resnet-mb-inflated"): {**ON_CIFAR10, "weight_prior": 2500.0},
    ("cifar10", "enas"): {**ENAS, "weight_prior": 0.1},
    ("cifar100", "enas-inflated"): {**ENAS, "weight_prior": 0.1},
    ("imagenet", "resnet50-inflated"): {
        **ON_IMAGENET, "epochs": 90, "batch_size": 256, "lr_milestones": "30,60", "weight_prior": 80.0,
    },
    ("imagenet", "densenet121"): {
        **ON_IMAGENET, "epochs": 180, "batch_size": 300, "lr_milestones": "90,140,160", "weight_prior": 100.0,
    },
}  # fmt: skip
NOT_IN_TRAINING = {"weight_prior"}
FINETUNING = {
    "epochs": 10, "batch_size": 96, "layers": 20, "channels": 36, "network": "derived", "samples": 16, "auxiliary": 0.4,
    "cutout": 16, "arch_lr": 0.01, "arch_beta1": 0.5, "arch_beta2": 0.999,
}  # fmt: skip

# How the authors of the benchmark searched in it, and trained every cell of it.
BENCHMARK_SEARCH = {
    "batch_size": 64, "layers": 15, "channels": 16, "nodes": 3, "stem": "cifar", "train_fraction": 0.5,
    "search_fraction": 0.5, "lr": 0.025, "lr_min": 0.001, "lr_warmup_epochs": 0, "momentum": 0.9, "weight_decay": 5e-4,
}  # fmt: skip
BENCHMARK_SEARCHES = {
    "darts": {
        "epochs": 50, "partial_channels": 1, "edge_normalization": False, "order": 1, "arch_warmup_epochs": 0,
        "arch_lr": 3e-4, "arch_beta1": 0.5, "arch_beta2": 0.999, "arch_weight_decay": 1e-3,
    },
    # K, warm-up and the architecture's rate: Xu et al., Section 4.2.
    "pc-darts": {
        "epochs": 50, "partial_channels": 4, "edge_normalization": True, "arch_warmup_epochs": 15, "arch_lr": 6e-4,
        "arch_beta1": 0.5, "arch_beta2": 0.999, "arch_weight_decay": 1e-3,
    },
    # Samples, epochs and the architecture's rate: Casale et al., Section 4.1.
    "parsec": {"epochs": 100, "samples": 16, "arch_lr": 0.02, "arch_beta1": 0.5, "arch_beta2": 0.999},
    "spos": {"epochs": 300},
    "random": {"epochs": 100},
}  # fmt: skip
BENCHMARK_TRAINING = {
    "epochs": 200, "batch_size": 256, "layers": 15, "channels": 16, "stem": "cifar", "lr": 0.1, "lr_min": 0.0,
    "lr_warmup_epochs": 0, "schedule": "cosine", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "clip": 0.0,
    "label_smoothing": 0.0, "drop_path": 0.0, "cutout": 0, "auxiliary": 0.0, "validation": 0.0,
}  # fmt: skip
OF_CELLS = [name for name, row in METHODS.items() if row.searches == "cells"]


@pytest.mark.parametrize("method", OF_CELLS)
def test_the_benchmark_is_searched_as_its_paper_does(method):
    config = SearchConfig(method=method, dataset="cifar10", space="nas-bench-201")
    held = {**config.model_dump(), **config.settings.model_dump()}
    wanted = BENCHMARK_SEARCH | BENCHMARK_SEARCHES.get(method, {})
    assert {name: held[name] for name in wanted} == wanted
    assert config.recipe == "cifar10-nas-bench-201"


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
@pytest.mark.parametrize("method", OF_CELLS)
def test_cells_of_the_benchmark_are_trained_as_it_trained_them(method, dataset):
    held = TrainConfig(method=method, dataset=dataset, space="nas-bench-201").model_dump()
    assert {name: held[name] for name in BENCHMARK_TRAINING} == BENCHMARK_TRAINING
    assert (DATASETS[dataset].flip, DATASETS[dataset].crop_padding) == (True, 4)


@pytest.mark.parametrize(
    ("data", "recipe"),
    [
        ({"dataset": "cifar10"}, "cifar10"),
        ({"dataset": "cifar100"}, "cifar10"),
        ({"dataset": "digits"}, "digits"),
        ({"dataset": "imagenet"}, "imagenet"),
        ({"dataset": "folder", "image_size": 32}, "cifar10"),
        ({"dataset": "folder", "image_size": 224}, "pictures"),
    ],
)
@pytest.mark.parametrize("method", OF_CELLS)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig, TrainConfig])
def test_every_method_of_cells_has_recipes_for_the_benchmark(config, method, data, recipe):
    """Of a network that can be: as many cells in each of three stages, on images large enough for them."""
    resolved = config(method=method, space="nas-bench-201", **data)
    assert (resolved.recipe, resolved.space) == (f"{recipe}-nas-bench-201", "nas-bench-201")
    assert config(**resolved.model_dump()) == resolved
    size = {**resolved.model_dump(), **dict(getattr(resolved, "settings", {}))}
    assert size["layers"] % 3 == 0
    side = resolved.image_size or DATASETS[resolved.dataset].image_size
    shape = NetworkSettings(
        classes=2, image_channels=1, image_size=side, **{name: size[name] for name in ("layers", "channels", "stem")}
    )
    space = cell_space("nas-bench-201")
    assert space.graph(space.genotype([3] * 6), shape).parameters > 10_000


def test_a_recipe_that_is_like_another_says_only_what_differs():
    """ImageNet's of the benchmark is that of pictures, and that is CIFAR-10's in the rest."""
    for method in OF_CELLS:
        imagenet, pictures, cifar = (
            recipes.load("search", method, f"{name}-nas-bench-201") for name in ("imagenet", "pictures", "cifar10")
        )
        assert imagenet == pictures
        assert pictures.keys() == cifar.keys()
        changed = {name for name in cifar if pictures[name] != cifar[name]}
        assert changed >= {"batch_size", "stem", "lr"}
        assert "epochs" not in changed


def test_a_space_has_no_recipes_for_methods_of_another_kind():
    assert not [name for name in recipes.names("search", "pgnas") if "nas-bench-201" in name]
    with pytest.raises(UsageError, match="unknown pgnas recipe for train 'cifar10-nas-bench-201'"):
        recipes.load("train", "pgnas", "cifar10-nas-bench-201")


def test_nodes_that_are_not_given_are_those_of_the_space():
    for space, nodes in (("darts", 4), ("nas-bench-201", 3)):
        assert SearchConfig(method="darts", space=space).settings.model_dump()["nodes"] == nodes
        assert SearchConfig(method="darts", space=space, nodes=0).settings.model_dump()["nodes"] == nodes
    assert SearchConfig(method="darts", space="darts", nodes=2).settings.model_dump()["nodes"] == 2
    with pytest.raises(UsageError, match="cells of the space nas-bench-201 have 3 nodes, not 4"):
        SearchConfig(method="darts", space="nas-bench-201", nodes=4)


def test_the_space_of_a_search_is_one_that_its_method_searches():
    assert [SearchConfig(method=method).space for method in OF_CELLS] == ["darts"] * len(OF_CELLS)
    with pytest.raises(
        UsageError, match="parsec searches cells, and enas is a space of channels: give another --method, or one of"
    ):
        SearchConfig(method="parsec", space="enas")
    with pytest.raises(
        UsageError, match="pgnas searches channels, and nas-bench-201 is a space of cells: give another --method"
    ):
        SearchConfig(method="pgnas", space="nas-bench-201")
    for config in (SearchConfig, TrainConfig):
        with pytest.raises(UsageError, match="unknown space 'nas-bench-210': did you mean 'nas-bench-201'?"):
            config(method="darts", space="nas-bench-210")


def test_the_fine_tuning_recipe_is_the_papers():
    config = FinetuneConfig(method="parsec", dataset="cifar10")
    held = {**config.model_dump(), **config.settings.model_dump()}
    assert {name: held[name] for name in FINETUNING} == FINETUNING


@pytest.mark.parametrize("method", ["pc-darts", "darts"])
def test_mixtures_are_fine_tuned_in_the_network_that_parsec_is(method):
    """Its size, tower, cutout, batch and epochs; the rates are the methods' own."""
    config = FinetuneConfig(method=method, dataset="cifar10")
    held = {**config.model_dump(), **config.settings.model_dump()}
    shared = ("epochs", "batch_size", "layers", "channels", "auxiliary", "cutout")
    assert {name: held[name] for name in shared} == {name: FINETUNING[name] for name in shared}
    assert FinetuneConfig(method=method, dataset="imagenet").settings.model_dump()["auxiliary"] == 0.4
    searched = SearchConfig(method=method, dataset="cifar10").settings.model_dump()
    assert (searched["auxiliary"], searched["cutout"]) == (0.0, 0)


@pytest.mark.parametrize(("method", "dataset"), SEARCHES)
def test_search_recipes_are_the_papers(method, dataset):
    config = SearchConfig(method=method, dataset=dataset)
    held = {**config.model_dump(), **config.settings.model_dump()}
    wanted = SEARCHES[method, dataset]
    assert {name: held[name] for name in wanted} == wanted


@pytest.mark.parametrize(("method", "dataset"), TRAININGS)
def test_training_recipes_are_the_papers(method, dataset):
    held = TrainConfig(method=method, dataset=dataset).model_dump()
    wanted = TRAININGS[method, dataset]
    assert {name: held[name] for name in wanted} == wanted


def test_the_recipe_of_detectors_is_torchvisions():
    """references/detection/README.md, SSDlite320 MobileNetV3-Large: --epochs 660 --lr-scheduler cosineannealinglr
    --lr 0.15 --batch-size 24 --weight-decay 0.00004 --data-augmentation ssdlite, on 8 GPUs, so the rate is for 8 x 24
    images; train.py's momentum is 0.9. Boxes from 0.2 to 0.95 on images of 320 pixels: models/detection/ssdlite.py. The
    backbone's size: Xu et al., Section 4.3.
    """
    held = DetectConfig(method="pc-darts", dataset="coco").model_dump()
    wanted = {
        "image_size": 320, "epochs": 660, "batch_size": 24, "lr": 0.15 / 8, "lr_min": 0.0, "lr_warmup_epochs": 0,
        "schedule": "cosine", "momentum": 0.9, "nesterov": False, "weight_decay": 4e-5, "clip": 0.0,
        "augmentation": "ssdlite", "extra_channels": 512, "anchor_min": 0.2, "anchor_max": 0.95,
        "layers": 14, "channels": 48, "stem": "imagenet",
    }  # fmt: skip
    assert {name: held[name] for name in wanted} == wanted


@pytest.mark.parametrize(("dataset", "supernet"), SUPERNET_SEARCHES)
def test_every_super_network_has_the_schedule_that_it_was_published_with(dataset, supernet):
    """In the search, and in training what it found from scratch."""
    config = SearchConfig(method="pgnas", dataset=dataset, space=supernet)
    held = {**config.model_dump(), **config.settings.model_dump()}
    wanted = SUPERNET_SEARCHES[dataset, supernet]
    assert {name: held[name] for name in wanted} == wanted
    shared = {"temperature": 0.2, "initial_dropout": 0.1, "held_out": 0.1, "width": 0, "depth": 0, "space": supernet}
    assert {name: held[name] for name in shared} == shared
    assert held["effective_images"] == (1.2e6 if dataset == "imagenet" else 0)  # 0: ten times as many as there are

    trained = TrainConfig(method="pgnas", dataset=dataset, space=supernet).model_dump()
    assert {name: trained[name] for name in wanted.keys() - NOT_IN_TRAINING} == {
        name: value for name, value in wanted.items() if name not in NOT_IN_TRAINING
    }


def test_the_default_super_network_is_one_for_the_size_of_the_images():
    def default(**given):
        return SearchConfig(method="pgnas", **given).space

    assert default(dataset="digits") == default(dataset="cifar100") == "resnet-mb"
    assert default(dataset="imagenet") == default(dataset="folder", image_size=224) == "densenet121"


@pytest.mark.parametrize("supernet", SUPERNETS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_super_network_without_a_recipe_of_its_own_is_searched_by_that_of_the_images(dataset, supernet):
    for config in (SearchConfig, FinetuneConfig):
        resolved = config(method="pgnas", dataset=dataset, space=supernet)
        assert resolved.space == supernet
        assert config(**resolved.model_dump()) == resolved
        own = f"{resolved.recipe.removesuffix('-' + supernet)}-{supernet}"
        assert resolved.recipe == own or own not in recipes.names(config.stage, "pgnas")


def test_training_goes_on_from_inherited_weights_at_a_small_rate_for_few_epochs():
    for dataset in ("digits", "cifar10", "cifar100", "imagenet"):
        scratch, inherited = (
            TrainConfig(method="pgnas", dataset=dataset, weights=weights) for weights in ("fresh", "inherited")
        )
        assert inherited.recipe == f"{scratch.recipe}-inherited"
        assert inherited.lr <= scratch.lr / 10
        assert inherited.epochs <= scratch.epochs / 4


@pytest.mark.parametrize(("dataset", "supernet"), [pair for pair in SUPERNET_SEARCHES if "enas" not in pair[1]])
@pytest.mark.parametrize("weights", ["fresh", "inherited"])
def test_training_decays_weights_as_the_search_did(dataset, supernet, weights):
    """By l^2 / N, to one digit; that of ENAS's network is next to none."""
    search = SearchConfig(method="pgnas", dataset=dataset, space=supernet).settings.model_dump()
    images = search["effective_images"] or 10 * 50_000
    trained = TrainConfig(method="pgnas", dataset=dataset, space=supernet, weights=weights)
    assert trained.weight_decay == float(f"{search['weight_prior'] / images:.0e}")


@pytest.mark.parametrize(("dataset", "supernet"), SUPERNET_SEARCHES)
def test_p_learns_at_the_weights_rate_and_goes_on_under_the_same_prior(dataset, supernet):
    searched, finetuned = (
        config(method="pgnas", dataset=dataset, space=supernet) for config in (SearchConfig, FinetuneConfig)
    )
    search, tuned = searched.settings.model_dump(), finetuned.settings.model_dump()
    assert finetuned.space == searched.space == supernet
    assert search["arch_lr_scale"] == 1
    assert search["arch_warmup_epochs"] == 0
    for name in ("weight_prior", "effective_images", "auxiliary", "cutout", "drop_path", "arch_lr_scale"):
        assert tuned[name] == search[name], name


def test_candidates_are_as_many_as_in_the_paper():
    tables = {name: recipes.load("derive", "pgnas", name) for name in recipes.names("derive", "pgnas")}
    counts = {name: table["candidates"] for name, table in tables.items()}
    assert {recipes.load("derive", method, "cifar10")["candidates"] for method in ("parsec", "spos")} == {1000}
    assert counts == {"cifar10": 1500, "cifar100": 5000, "imagenet": 1500, "pictures": 500, "digits": 200}


@pytest.mark.parametrize("text", ["x", "1,,2", "2,1", "0", "1,1", "-1", "1.5", "٣", "9999999"])
def test_milestones_are_rising_epochs(text):
    assert milestones(" 90, 140,160 ") == (90, 140, 160)
    assert milestones("") == ()
    with pytest.raises(UsageError, match="rising epochs such as 90,140,160"):
        TrainConfig(method="darts", dataset="digits", lr_milestones=text)
    with pytest.raises(UsageError, match="rising epochs such as 90,140,160"):
        SearchConfig(method="pgnas", dataset="digits", lr_milestones=text)


@pytest.mark.parametrize("image_size", [None, 64, 65, 224])
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig, TrainConfig])
def test_every_method_has_a_recipe_for_every_data_set_and_stage(config, method, dataset, image_size):
    resolved = config(method=method, dataset=dataset, image_size=image_size)
    assert config(**resolved.model_dump()) == resolved


@pytest.mark.parametrize(
    ("method", "space"), [*((name, None) for name in METHODS), *((name, "nas-bench-201") for name in OF_CELLS)]
)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig, TrainConfig])
def test_large_images_get_a_recipe_that_a_hundred_photographs_are_enough_for(config, method, space):
    def resolved(dataset, image_size):
        return config(method=method, dataset=dataset, image_size=image_size, space=space)

    recipe = {side: resolved("folder", side).recipe.removesuffix(f"-{space}") for side in (None, 64, 65)}
    assert recipe == {None: "cifar10", 64: "cifar10", 65: "pictures"}
    assert resolved("imagenet", 224).recipe.removesuffix(f"-{space}") == "imagenet"
    large = resolved("folder", 224)
    settings = {"stem": getattr(large, "stem", None), **dict(getattr(large, "settings", {}))}
    if METHODS[method].searches == "channels":  # of super-networks, which bring their stem along
        assert (large.space or "densenet121") == "densenet121"
    else:
        assert settings["stem"] == "imagenet"
    # Three classes of forty, a fifth of them for testing: 96 images to train on, 48 in each half.
    parts = [settings.get("train_fraction", 1), settings.get("search_fraction", 1), 1 - settings.get("held_out", 0)]
    assert large.batch_size <= 96 * min(parts)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("config", [SearchConfig, FinetuneConfig])
def test_the_trials_of_a_random_search_share_its_epochs_evenly(config, dataset, space):
    resolved = config(method="random", dataset=dataset, space=space)
    assert resolved.epochs % resolved.settings.model_dump()["trials"] == 0


@pytest.mark.parametrize("space", SPACES)
def test_a_random_search_of_cifar10_is_given_the_budget_of_parsecs(space):
    theirs, ours = (SearchConfig(method=method, dataset="cifar10", space=space) for method in ("parsec", "random"))
    for name in ("epochs", "batch_size"):
        assert getattr(ours, name) == getattr(theirs, name)
    shared = type(ours.settings).model_fields.keys() - {"trials"}
    assert ours.settings.model_dump(include=shared) == theirs.settings.model_dump(include=shared)


@pytest.mark.parametrize("space", SPACES)
def test_a_finetune_of_a_random_search_has_cells_enough_to_choose_from(space):
    for dataset in DATASETS:
        searched, tuned = (
            config(method="random", dataset=dataset, space=space) for config in (SearchConfig, FinetuneConfig)
        )
        assert tuned.settings.model_dump()["trials"] < searched.settings.model_dump()["trials"]
