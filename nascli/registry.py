"""The tables: methods, data sets, search spaces, super-networks. Rows are data; what they name is imported when used.

Nothing here imports torch, so that `nascli list` and `nascli --help` answer at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from nascli.errors import UsageError, unknown

Row = TypeVar("Row")


@dataclass(frozen=True)
class Method:
    """A search method: `target` and `settings` are "module:Class" of the method and of its `nascli.settings`.

    `searches` is the kind of space that it searches, a key of SPACES_OF. `by_table` is "module:function" that looks its
    results up in a table of true accuracies instead of searching; if empty, a table only shows the true accuracy of
    what the search finds. `ranks`: the method derives by ranking candidates, since its distribution alone stands for no
    genotype. `shares_epochs`: the epochs are shared out among trials at the start, so a run cannot get other
    ones later.
    """

    target: str
    summary: str
    paper: str
    settings: str
    searches: str = "cells"
    by_table: str = ""
    ranks: bool = False
    shares_epochs: bool = False


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
    """Whether its images come with a library instead of a folder."""
    labelled: str | None = None
    """If a model may be evaluated on other images than those of its training: "module:function" that finds them."""
    training_part: str | None = None
    """If neither size nor number of the images are known: "module:function" that finds those to train on, quickly."""


@dataclass(frozen=True)
class Task:
    """What a network is trained for.

    `train`, `eval` and `predict` are "module:function" of the command's part for it; empty where the command does it
    itself, as for classes. `artifact` is the kind of its result.
    """

    summary: str
    artifact: str
    train: str = ""
    eval: str = ""
    predict: str = ""


@dataclass(frozen=True)
class SceneSet:
    """A data set of pictures with boxes: `target` is "module:function" returning a `nascli.data.scenes.SceneSource`.

    `flip`: whether a mirrored picture keeps its classes. `classes`, `image_size` and `image_channels` are those of the
    published data and of its recipe, for sizing a detector without loading a picture.
    """

    target: str
    summary: str
    flip: bool
    classes: int
    image_size: int
    image_channels: int
    built_in: bool = False


@dataclass(frozen=True)
class Space:
    """A search space of cells: `target` is "module:Class" of the shape of `nascli.spaces.protocol.CellSpace`.

    `mixture` is "module:Class" of a network that computes a mixture of this space faster than the general one
    (`nascli.core.nn.graph_mixture`); if empty, there is none.
    """

    target: str
    summary: str
    paper: str
    mixture: str = ""


@dataclass(frozen=True)
class Supernet:
    """A hand-designed super-network, whose channels a search keeps or drops.

    `target` is "module:function", called as `nascli.supernets.supernet` says. `width` and `stages` (blocks, cells or
    layers per stage) are those of the published network. `stride` is the factor by which it divides a side of the
    images. `dataset` is the data that it was published for, whose shape is used if no data set is named. `pools`:
    whether it may have pooling paths (`nascli.supernets.pooling_paths`).
    """

    target: str
    summary: str
    paper: str
    width: int
    stages: tuple[int, ...]
    stride: int
    dataset: str
    pools: bool = False


@dataclass(frozen=True)
class GenotypeKind:
    """A kind of genotype, its name, and how it is shown.

    `picture` and `text` are functions that draw and describe it; `graph` is the module with the functions that write it
    as `dot` and as `mermaid` (see `nascli.visualize`). Its class joins `nascli.artifacts.genotypes.genotype.Genotype`.
    """

    title: str
    picture: str
    text: str
    graph: str


@dataclass(frozen=True)
class DistributionKind:
    """A kind of distribution over networks, its name, and how it is shown.

    `target` is "module:Class" of the shape of `Distribution` in `nascli.artifacts.distributions`; `picture` and `text`
    are functions that draw and describe it (see `nascli.visualize`). `candidates` is "module:Class" of the shape of
    `nascli.core.engine.ranking.candidates.Candidates`; empty where networks cannot be drawn and ranked.
    """

    target: str
    title: str
    picture: str
    text: str
    candidates: str = ""


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
        pools=True,
    ),
    "enas-inflated": Supernet(
        "nascli.supernets.enas:enas",
        "enas with 72 channels (SupNet-EI)",
        "Pham et al., ICML 2018; PGNAS, Section 3.1",
        width=72,
        stages=(5, 5, 5),
        stride=4,
        dataset="cifar10",
        pools=True,
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
        pools=True,
    ),
}

SPACES_OF: Mapping[str, Mapping[str, Any]] = {"cells": SPACES, "channels": SUPERNETS}
"""The spaces by kind. The first of a kind is a search's default."""


def kind_of_space(name: str) -> str:
    """The kind of a space. Raises UsageError for an unknown name."""
    for kind, table in SPACES_OF.items():
        if name in table:
            return kind
    raise UsageError(unknown("space", name, [name for table in SPACES_OF.values() for name in table]))


METHODS: Mapping[str, Method] = {
    "pc-darts": Method(
        "nascli.core.methods.pc_darts:PcDarts",
        "continuous mixture on a fraction of the channels, with edge normalisation",
        "Xu et al., ICLR 2020",
        "nascli.settings.mixture:PcDartsSettings",
    ),
    "darts": Method(
        "nascli.core.methods.pc_darts:PcDarts",
        "continuous mixture on all channels, first or second order",
        "Liu et al., ICLR 2019",
        "nascli.settings.mixture:DartsSettings",
    ),
    "parsec": Method(
        "nascli.core.methods.parsec:Parsec",
        "categorical distributions over cells; sampled children weighed by their likelihood",
        "Casale et al., 2019",
        "nascli.settings.single_paths:ParsecSettings",
    ),
    "spos": Method(
        "nascli.core.methods.spos:Spos",
        "weights shared by uniform single paths, with which cells are ranked afterwards: the baseline",
        "Guo et al., ECCV 2020; Li & Talwalkar, UAI 2019",
        "nascli.settings.single_paths:SposSettings",
        ranks=True,
    ),
    "pgnas": Method(
        "nascli.core.methods.pgnas:Pgnas",
        "concrete dropout on the channels of a hand-designed super-network; candidates drawn from it and ranked",
        "Zhou et al., AAAI 2020",
        "nascli.settings.pgnas:PgnasSettings",
        searches="channels",
        ranks=True,
    ),
    "random": Method(
        "nascli.core.methods.random_search:RandomSearch",
        "cells drawn uniformly, each trained briefly, the best kept: the yardstick",
        "Casale et al., 2019, Table 1; Li & Talwalkar, UAI 2019",
        "nascli.settings.random_search:RandomSettings",
        by_table="nascli.core.methods.random_by_table:trials_by_table",
        shares_epochs=True,
    ),
}

GENOTYPES: Mapping[str, GenotypeKind] = {
    "cell": GenotypeKind(
        "a genotype",
        picture="nascli.visualize.cells.genotype:draw_genotype",
        text="nascli.visualize.cells.genotype_text:Trees",
        graph="nascli.visualize.cells.graph_text",
    ),
    "channels": GenotypeKind(
        "a genotype of channels",
        picture="nascli.visualize.supernets.channels:draw_channels",
        text="nascli.visualize.supernets.channels_text:describe_channels",
        graph="nascli.visualize.supernets.channels_graph_text",
    ),
}

DISTRIBUTIONS: Mapping[str, DistributionKind] = {
    "mixture": DistributionKind(
        "nascli.artifacts.distributions.mixture:MixtureDistribution",
        "a mixture distribution",
        picture="nascli.visualize.cells.mixture:draw_mixture",
        text="nascli.visualize.cells.mixture_text:describe_mixture",
        candidates="nascli.core.engine.ranking.cell_candidates:CellCandidates",
    ),
    "categorical": DistributionKind(
        "nascli.artifacts.distributions.categorical:CategoricalDistribution",
        "a categorical distribution",
        picture="nascli.visualize.cells.categorical:draw_categorical",
        text="nascli.visualize.cells.categorical_text:describe_categorical",
        candidates="nascli.core.engine.ranking.cell_candidates:CellCandidates",
    ),
    "trials": DistributionKind(
        "nascli.artifacts.distributions.trials:TrialsDistribution",
        "the trials of a random search",
        picture="nascli.visualize.cells.trials:draw_trials",
        text="nascli.visualize.cells.trials_text:describe_trials",
    ),
    "posterior": DistributionKind(
        "nascli.artifacts.distributions.posterior:PosteriorDistribution",
        "a posterior",
        picture="nascli.visualize.supernets.posterior:draw_posterior",
        text="nascli.visualize.supernets.posterior_text:describe_posterior",
        candidates="nascli.core.engine.ranking.channel_candidates:ChannelCandidates",
    ),
    "gaussian": DistributionKind(
        "nascli.artifacts.distributions.gaussian:GaussianDistribution",
        "a Gaussian posterior",
        picture="nascli.visualize.supernets.gaussian:draw_gaussian",
        text="nascli.visualize.supernets.gaussian_text:describe_gaussian",
        candidates="nascli.core.engine.ranking.weight_candidates:WeightCandidates",
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
        training_part="nascli.data.sources.folders:find_training_part",
    ),
    "csv": Dataset(
        "nascli.data.sources:table",
        "a CSV file of paths and labels, images of any size",
        "cifar10",
        labelled="nascli.data.sources.tables:labelled_table",
        training_part="nascli.data.sources.tables:find_training_part",
    ),
    "npz": Dataset(
        "nascli.data.sources:arrays",
        "arrays of images and labels in an .npz file",
        "cifar10",
        labelled="nascli.data.sources.arrays:labelled_arrays",
        training_part="nascli.data.sources.arrays:find_training_part",
    ),
}


SCENES: Mapping[str, SceneSet] = {
    "coco": SceneSet(
        "nascli.data.scenes.coco:coco",
        "pictures with boxes in COCO's JSON format, your own included (train --task detect)",
        flip=True,
        classes=80,
        image_size=320,
        image_channels=3,
    ),
    "digits-scenes": SceneSet(
        "nascli.data.scenes.digits_scenes:digits_scenes",
        "the digits enlarged and pasted on 128x128 canvases, with boxes, built in (train --task detect)",
        flip=False,
        classes=10,
        image_size=128,
        image_channels=1,
        built_in=True,
    ),
}
"""The data sets of the task "detect"."""

TASKS: Mapping[str, Task] = {
    "classify": Task("one class for every picture", "model"),
    "detect": Task(
        "boxes around things, and their classes",
        "detector",
        train="nascli.cli.detection.train:train",
        eval="nascli.cli.detection.eval:evaluate",
        predict="nascli.cli.detection.predict:predict",
    ),
}


def task_of(artifact: str) -> Task | None:
    """The task whose result is an artifact of this kind; None for other artifacts."""
    return next((task for task in TASKS.values() if task.artifact == artifact), None)


def lookup(table: Mapping[str, Row], what: str, name: str) -> Row:
    """The row called `name`. Raises UsageError that names the closest known one."""
    if name not in table:
        raise UsageError(unknown(what, name, table))
    return table[name]


def load(target: str) -> Any:
    """Import what a row's "module:attribute" names."""
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
