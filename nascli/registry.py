"""The tables: methods, data sets, search spaces, super-networks. Rows are data; what they name is imported when used.

Nothing here imports torch, so that `nascli list` and `nascli --help` answer at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from nascli.errors import UsageError, unknown

Row = TypeVar("Row")
Number = int | float


@dataclass(frozen=True)
class Setting:
    """One setting of a search method: an option of `nascli search`, a key of its recipe, an argument of its class.

    `default` holds where no recipe says otherwise. `minimum` and `maximum` are inclusive. `start_only`: it says how a
    search starts, so a finetune, which starts from a distribution, has no option for it.
    """

    name: str
    type: type[int] | type[float] | type[bool] | type[str]
    default: int | float | bool | str
    help: str
    choices: tuple[str, ...] = ()
    minimum: Number | None = None
    maximum: Number | None = None
    hidden: bool = False
    start_only: bool = False


@dataclass(frozen=True)
class Method:
    """A search method: `target` is "module:Class", `settings` become keyword arguments of that class.

    `searches` is the kind of space that it searches, a key of SPACES_OF. `by_table` is "module:function" that ranks by
    a table of true accuracies in place of the search; empty: a table only tells what the search's cells are worth.
    `ranks`: what it derives is the best of candidates that are ranked, and the distribution by itself stands for none.
    """

    target: str
    summary: str
    paper: str
    settings: tuple[Setting, ...]
    searches: str = "cells"
    by_table: str = ""
    ranks: bool = False


@dataclass(frozen=True)
class Dataset:
    """A data set: `target` is "module:function" returning a `nascli.data.sources.Source`.

    `recipe` names the recipe whose settings suit images of this kind; `flip` says whether a mirrored image keeps its
    class; `crop_padding` is the border, in pixels, for random crops (None: an eighth of the image's side). `classes`,
    `image_size` and `image_channels` are the known shape of the data, for sizing a network without loading an image;
    a run takes them from the images themselves.
    """

    target: str
    summary: str
    recipe: str
    flip: bool = True
    crop_padding: int | None = None
    classes: int | None = None
    image_size: int | None = None
    image_channels: int | None = None
    built_in: bool = False
    """Whether its images come with a library, and lie in no folder."""
    labelled: str | None = None
    """Where a model may be evaluated on others than it was trained on: "module:function" that finds these."""


@dataclass(frozen=True)
class Space:
    """A search space of cells: `target` is "module:Class" of the shape of `nascli.spaces.protocol.CellSpace`.

    `mixture` is "module:Class" of a network that computes a mixture of this space faster than the one that does it for
    any space (`nascli.core.nn.graph_mixture`); empty: there is none.
    """

    target: str
    summary: str
    paper: str
    mixture: str = ""


@dataclass(frozen=True)
class Supernet:
    """A hand-designed super-network, whose channels a search keeps or drops.

    `target` is "module:function", called as `nascli.supernets.supernet` says. `width` and `stages` (blocks, cells or
    layers per stage) are those of the published network; `stride` is what it divides a side of the images by; `dataset`
    is the data that it was published for, which sizes it where none is named.
    """

    target: str
    summary: str
    paper: str
    width: int
    stages: tuple[int, ...]
    stride: int
    dataset: str


@dataclass(frozen=True)
class DistributionKind:
    """A kind of distribution over networks, what it is called, and how it is shown.

    `target` is "module:Class" of the shape of `nascli.artifacts.distribution.Distribution`; `picture` and `text` are
    functions that draw it (see `nascli.visualize`); `description` is the module that `nascli info` tells of it by (see
    `nascli.cli.description`).
    """

    target: str
    title: str
    picture: str
    text: str
    description: str


SPACES: Mapping[str, Space] = {
    "darts": Space(
        "nascli.spaces.darts:Darts",
        "a normal and a reduction cell of two inputs and N nodes, 8 operations on every edge",
        "Liu et al., ICLR 2019",
        mixture="nascli.core.nn.mixed_network:MixedNetwork",
    ),
    "nas-bench-201": Space(
        "nascli.spaces.nas_bench_201:NasBench201",
        "one cell of four states, one of 5 operations on each of its edges; the true accuracies are known",
        "Dong & Yang, ICLR 2020",
    ),
}

SUPERNETS: Mapping[str, Supernet] = {
    "resnet-mb": Supernet(
        "nascli.supernets.resnet_mb:resnet_mb",
        "26-layer ResNet of two branches and a skip per block, width 96 (SupNet-M)",
        "Gastaldi, 2017; PGNAS, Section 3.1",
        width=96,
        stages=(4, 4, 4),
        stride=4,
        dataset="cifar10",
    ),
    "resnet-mb-inflated": Supernet(
        "nascli.supernets.resnet_mb:resnet_mb",
        "resnet-mb at width 160 (SupNet-MI)",
        "Gastaldi, 2017; PGNAS, Section 3.1",
        width=160,
        stages=(4, 4, 4),
        stride=4,
        dataset="cifar10",
    ),
    "enas": Supernet(
        "nascli.supernets.enas:enas",
        "17 cells that ENAS found, 36 channels (SupNet-E)",
        "Pham et al., ICML 2018; PGNAS, Section 3.1",
        width=36,
        stages=(5, 5, 5),
        stride=4,
        dataset="cifar10",
    ),
    "enas-inflated": Supernet(
        "nascli.supernets.enas:enas",
        "enas with 72 channels (SupNet-EI)",
        "Pham et al., ICML 2018; PGNAS, Section 3.1",
        width=72,
        stages=(5, 5, 5),
        stride=4,
        dataset="cifar10",
    ),
    "resnet50-inflated": Supernet(
        "nascli.supernets.resnet50:resnet50_inflated",
        "ResNet-50 with four kernels in the place of each 3x3 (SupNet-R-50)",
        "He et al., CVPR 2016; PGNAS, Section 3.2",
        width=64,
        stages=(3, 4, 6, 3),
        stride=32,
        dataset="imagenet",
    ),
    "densenet121": Supernet(
        "nascli.supernets.densenet:densenet",
        "DenseNet-121, growth rate 32 (SupNet-D-121)",
        "Huang et al., CVPR 2017; PGNAS, Section 3.2",
        width=32,
        stages=(6, 12, 24, 16),
        stride=32,
        dataset="imagenet",
    ),
}

SPACES_OF: Mapping[str, Mapping[str, Any]] = {"cells": SPACES, "channels": SUPERNETS}
"""The spaces that there are, by kind. The first of a kind is what a search takes where nothing else is said."""


def kind_of_space(name: str) -> str:
    """Of any space. Raises UsageError for an unknown name."""
    for kind, table in SPACES_OF.items():
        if name in table:
            return kind
    raise UsageError(unknown("space", name, [name for table in SPACES_OF.values() for name in table]))


_CELL_NETWORK = (
    Setting("layers", int, 8, "cells in the network; fewer than 3 would have no normal cell", minimum=3, maximum=200),
    Setting("channels", int, 16, "channels of the first cell", minimum=1, maximum=4096),
    Setting("nodes", int, 0, "intermediate nodes per cell; 0: as many as the space usually has", minimum=0, maximum=12),
    Setting(
        "stem",
        str,
        "cifar",
        "first layers: 'cifar' keeps the image size, 'imagenet' divides it by 8",
        choices=("cifar", "imagenet"),
    ),
)
_TWO_HALVES = (
    Setting(
        "train_fraction",
        float,
        0.5,
        "share of the training images that the weights learn from",
        minimum=0.001,
        maximum=0.999,
    ),
    Setting(
        "search_fraction",
        float,
        0.5,
        "share that the architecture learns from; disjoint from the former",
        minimum=0.001,
        maximum=0.999,
    ),
)
_AS_TRAINED = (
    Setting("auxiliary", float, 0.0, "weight of the auxiliary tower's loss; 0: no tower", minimum=0.0),
    Setting("cutout", int, 0, "side of the square that is cut out of each image, in pixels; 0: none", minimum=0),
)
"""What a search takes over from the training of its result, so that it sees the network that will be trained."""

_SGD = (
    Setting("lr", float, 0.025, "learning rate of the weights at the start", minimum=0.0),
    Setting("lr_min", float, 0.001, "learning rate of the weights at the end", minimum=0.0),
    Setting("lr_warmup_epochs", int, 0, "epochs over which the weights' learning rate rises linearly", minimum=0),
    Setting("momentum", float, 0.9, "momentum of the weights' SGD", minimum=0.0, maximum=1.0),
    Setting("weight_decay", float, 3e-4, "weight decay of the weights", minimum=0.0),
    Setting("clip", float, 5.0, "norm to which the weights' gradient is clipped; 0: not at all", minimum=0.0),
)
_ADAM = (
    Setting("arch_lr", float, 3e-4, "Adam's learning rate on the architecture", minimum=0.0),
    Setting(
        "arch_beta1",
        float,
        0.5,
        "Adam's first moment decay on the architecture",
        minimum=0.0,
        maximum=0.9999,
        hidden=True,
    ),
    Setting(
        "arch_beta2",
        float,
        0.999,
        "Adam's second moment decay on the architecture",
        minimum=0.0,
        maximum=0.99999,
        hidden=True,
    ),
)
_WARMUP = Setting("arch_warmup_epochs", int, 0, "epochs in which only the weights learn", minimum=0)
_ARCHITECTURE_ADAM = (
    *_ADAM,
    Setting("arch_weight_decay", float, 1e-3, "weight decay of the architecture", minimum=0.0),
    _WARMUP,
)


def _mixture(partial_channels: int, edge_normalization: bool) -> tuple[Setting, ...]:
    return (
        *_CELL_NETWORK,
        Setting(
            "partial_channels",
            int,
            partial_channels,
            "K: one K-th of the channels passes through operations",
            minimum=1,
            maximum=4096,
        ),
        Setting("edge_normalization", bool, edge_normalization, "learn a weight per edge (beta)"),
        Setting(
            "channel_sampling",
            str,
            "first",
            "which channels: the first 1/K and a shuffle, or random ones (Eq. 1)",
            choices=("first", "random"),
        ),
        Setting(
            "recompute",
            bool,
            False,
            "compute cells a second time in the backward pass: far less memory, about a third slower",
        ),
        *_AS_TRAINED,
        *_TWO_HALVES,
        *_SGD,
        *_ARCHITECTURE_ADAM,
    )


_FORM = Setting(
    "network",
    str,
    "search",
    "'search': batch norms without scale and shift; 'derived': the forms of the network that will be trained",
    choices=("search", "derived"),
)
_PARSEC = (
    *_CELL_NETWORK,
    _FORM,
    Setting("samples", int, 16, "K: children drawn in a step", minimum=2, maximum=4096),
    Setting("adaptive_samples", bool, False, "fewer samples as the entropy falls, never under 2"),
    Setting("centred_weights", bool, False, "weights less their mean, w - 1/K: no drift where all children are alike"),
    _WARMUP,
    *_AS_TRAINED,
    *_TWO_HALVES,
    *_SGD,
    *_ADAM,
)

_PGNAS = (
    Setting("width", int, 0, "width of the super-network; 0: the published one's", minimum=0, maximum=1024),
    Setting("depth", int, 0, "blocks in each of its stages; 0: as published", minimum=0, maximum=64),
    Setting(
        "weight_prior",
        float,
        50.0,
        "l^2 in the paper's formula: the larger, the smaller the networks; the authors' code lacks its 1/2, so that 50 "
        "there is 100 here",
        minimum=0.0,
    ),
    Setting("temperature", float, 0.2, "tau of the relaxed masks", minimum=0.01, maximum=10.0),
    Setting(
        "initial_dropout",
        float,
        0.1,
        "p of dropping a channel at the start",
        minimum=1e-6,
        maximum=1 - 1e-6,
        start_only=True,
    ),
    Setting(
        "effective_images",
        float,
        0.0,
        "N: what the training images count for, augmented; 0: ten times their number",
        minimum=0.0,
    ),
    Setting(
        "held_out",
        float,
        0.1,
        "share of the training images that candidates are ranked on; nothing learns from them",
        minimum=0.001,
        maximum=0.9,
    ),
    Setting("arch_lr_scale", float, 1.0, "learning rate of the logits of p, in multiples of the weights'", minimum=0.0),
    _WARMUP,
    *_AS_TRAINED,
    Setting("drop_path", float, 0.0, "probability of dropping a path in the last epoch", minimum=0.0, maximum=0.99),
    Setting("lr", float, 0.01, "learning rate of the weights at the start", minimum=0.0),
    Setting("lr_min", float, 0.0, "learning rate of the weights at the end", minimum=0.0),
    Setting(
        "schedule",
        str,
        "cosine",
        "how the learning rate falls: 'cosine', with warm 'restarts', or to a tenth at each of the 'milestones'",
        choices=("cosine", "restarts", "milestones"),
    ),
    Setting("restart_epochs", int, 10, "epochs up to the first restart", minimum=1, maximum=100_000),
    Setting("restart_factor", int, 2, "each cycle is so many times as long as the one before", minimum=1, maximum=100),
    Setting("lr_milestones", str, "", "epochs after which the rate falls to a tenth, such as 90,140,160"),
    Setting("momentum", float, 0.9, "momentum of the weights' SGD", minimum=0.0, maximum=1.0),
    Setting("nesterov", bool, False, "Nesterov's form of the momentum"),
    Setting("clip", float, 0.0, "norm to which the weights' gradient is clipped; 0: not at all", minimum=0.0),
)

METHODS: Mapping[str, Method] = {
    "pc-darts": Method(
        "nascli.core.methods.pc_darts:PcDarts",
        "continuous mixture on a fraction of the channels, with edge normalisation",
        "Xu et al., ICLR 2020",
        _mixture(partial_channels=4, edge_normalization=True),
    ),
    "darts": Method(
        "nascli.core.methods.pc_darts:PcDarts",
        "continuous mixture on all channels, first or second order",
        "Liu et al., ICLR 2019",
        (
            *_mixture(partial_channels=1, edge_normalization=False),
            Setting(
                "order",
                int,
                1,
                "2: the architecture's gradient through a step of the weights (Eq. 7), in 2.6 times the time",
                minimum=1,
                maximum=2,
            ),
        ),
    ),
    "parsec": Method(
        "nascli.core.methods.parsec:Parsec",
        "categorical distributions over cells; sampled children weighed by their likelihood",
        "Casale et al., 2019",
        _PARSEC,
    ),
    "spos": Method(
        "nascli.core.methods.spos:Spos",
        "weights shared by uniform single paths, with which cells are ranked afterwards: the baseline",
        "Guo et al., ECCV 2020; Li & Talwalkar, UAI 2019",
        (*_CELL_NETWORK, _FORM, *_AS_TRAINED, *_TWO_HALVES, *_SGD),
        ranks=True,
    ),
    "pgnas": Method(
        "nascli.core.methods.pgnas:Pgnas",
        "concrete dropout on the channels of a hand-designed super-network; candidates drawn from it and ranked",
        "Zhou et al., AAAI 2020",
        _PGNAS,
        searches="channels",
        ranks=True,
    ),
    "random": Method(
        "nascli.core.methods.random_search:RandomSearch",
        "cells drawn uniformly, each trained briefly, the best kept: the yardstick",
        "Casale et al., 2019, Table 1; Li & Talwalkar, UAI 2019",
        (
            *_CELL_NETWORK,
            Setting(
                "candidates",
                int,
                10,
                "cells that are drawn and trained; they share the epochs evenly",
                minimum=1,
                maximum=10_000,
            ),
            *_TWO_HALVES,
            *_SGD,
        ),
        by_table="nascli.core.methods.random_by_table:ranked_by_table",
    ),
}

DISTRIBUTIONS: Mapping[str, DistributionKind] = {
    "mixture": DistributionKind(
        "nascli.artifacts.mixture:MixtureDistribution",
        "a mixture distribution",
        picture="nascli.visualize.mixture:draw_mixture",
        text="nascli.visualize.mixture_text:plain_mixture",
        description="nascli.cli.mixture_description",
    ),
    "categorical": DistributionKind(
        "nascli.artifacts.categorical:CategoricalDistribution",
        "a categorical distribution",
        picture="nascli.visualize.categorical:draw_categorical",
        text="nascli.visualize.categorical_text:plain_categorical",
        description="nascli.cli.categorical_description",
    ),
    "ranking": DistributionKind(
        "nascli.artifacts.ranking:RankingDistribution",
        "a ranking",
        picture="nascli.visualize.ranking:draw_ranking",
        text="nascli.visualize.ranking_text:plain_ranking",
        description="nascli.cli.ranking_description",
    ),
    "posterior": DistributionKind(
        "nascli.artifacts.posterior:PosteriorDistribution",
        "a posterior",
        picture="nascli.visualize.posterior:draw_posterior",
        text="nascli.visualize.posterior_text:plain_posterior",
        description="nascli.cli.posterior_description",
    ),
}

DATASETS: Mapping[str, Dataset] = {
    "digits": Dataset(
        "nascli.data.sources:digits",
        "8x8 grey handwritten digits, 1,797 images, built in",
        "digits",
        flip=False,
        crop_padding=1,
        classes=10,
        image_size=8,
        image_channels=1,
        built_in=True,
    ),
    "cifar10": Dataset(
        "nascli.data.sources:cifar10",
        "32x32 colour images, 10 classes, 60,000 images",
        "cifar10",
        crop_padding=4,
        classes=10,
        image_size=32,
        image_channels=3,
    ),
    "cifar100": Dataset(
        "nascli.data.sources:cifar100",
        "32x32 colour images, 100 classes, 60,000 images",
        "cifar10",
        crop_padding=4,
        classes=100,
        image_size=32,
        image_channels=3,
    ),
    "fashion-mnist": Dataset(
        "nascli.data.sources:fashion_mnist",
        "28x28 grey images of clothes, 70,000 images",
        "cifar10",
        crop_padding=4,
        classes=10,
        image_size=28,
        image_channels=1,
    ),
    "svhn": Dataset(
        "nascli.data.sources:svhn",
        "32x32 colour house numbers, 99,289 images",
        "cifar10",
        flip=False,
        crop_padding=4,
        classes=10,
        image_size=32,
        image_channels=3,
    ),
    "imagenet": Dataset(
        "nascli.data.sources:imagenet",
        "colour photographs, 1,000 classes, 1.3 million images",
        "imagenet",
        classes=1000,
        image_size=224,
        image_channels=3,
    ),
    "folder": Dataset(
        "nascli.data.sources:folder",
        "a folder of class folders, images of any size",
        "cifar10",
        labelled="nascli.data.sources.folders:labelled_folder",
    ),
}


def lookup(table: Mapping[str, Row], what: str, name: str) -> Row:
    """The row called `name`. Raises UsageError that names the closest known one."""
    if name not in table:
        raise UsageError(unknown(what, name, table))
    return table[name]


def load(target: str) -> Any:
    """Import what a row's "module:attribute" names."""
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
