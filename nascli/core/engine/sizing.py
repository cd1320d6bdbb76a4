"""The network that a training would build. Where the registry's tables know too little, headers of images are read."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.detector import DetectorSettings, layout_of
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits
from nascli.artifacts.genotypes.genotype import Genotype
from nascli.artifacts.provenance import Provenance
from nascli.config import LARGEST_SMALL_IMAGE, Config, DetectConfig, SearchConfig, TrainConfig, describe
from nascli.errors import UsageError
from nascli.graphs.detector import DetectorLayout
from nascli.graphs.graph import Graph
from nascli.registry import DATASETS, METHODS, SPACES_OF, kind_of_space, lookup
from nascli.settings.groups import NETWORK_SIZE, Limited
from nascli.spaces.network_settings import DataShape, NetworkSettings

_IMAGES = ("dataset", "data_dir", "image_size", "skip_corrupt")
"""Settings that say what the images are."""


def known_shape(config: Config, *, classes: int | None = None) -> DataShape:
    """The shape of a data set, from its registry row or, where only the images tell, from the images.

    `classes` stands in for the data's own number. Raises UsageError, DataError, and pydantic's ValidationError for
    sizes beyond what a model's file may have.
    """
    row = lookup(DATASETS, "dataset", config.dataset)
    if row.classes is None or row.image_size is None or row.image_channels is None:
        # Late, as torch takes seconds to import and the tables know most data.
        from nascli.data import probe_shape

        found, channels, side = probe_shape(config)
        shape = DataShape(classes=found, image_channels=channels, image_size=side)
    else:
        shape = DataShape(
            classes=row.classes, image_channels=row.image_channels, image_size=config.image_size or row.image_size
        )
    return shape if classes is None else DataShape(**{**shape.model_dump(), "classes": classes})


def shape_of(data: DataInfo) -> DataShape:
    """The part of the data's description that decides the size of a network."""
    return DataShape(classes=len(data.classes), image_channels=data.channels, image_size=data.image_size)


def trained_cells(config: TrainConfig, shape: DataShape) -> NetworkSettings:
    """The size of a network of cells that `config` trains, without its auxiliary tower.

    Raises UsageError where the configuration leaves a size open.
    """
    given = {name: getattr(config, name) for name in NETWORK_SIZE}
    if missing := [name for name, value in given.items() if value is None]:
        raise UsageError(_no_sizes(config, missing))
    return NetworkSettings(**shape.model_dump(exclude={"auxiliary"}), **given)


def trained_later(origin: Provenance, space: str, **given: Any) -> NetworkSettings:
    """The size of the network that will be trained of the cells that a search of `space` finds.

    By the recipe of the search's method, for its images, unless they are `given`, as `train` would take them. Raises
    as `trained_cells` and `known_shape`.
    """
    made = next((one.config for one in origin.descent() if "dataset" in one.config), {})
    same = given.get("dataset") in (None, made.get("dataset"))
    known = {name: made[name] for name in _IMAGES if same and made.get(name) is not None}
    known |= {"method": origin.method} if origin.method in METHODS else {}
    values = {**known, **{name: value for name, value in given.items() if value is not None}}
    try:
        shape = known_shape(Config(**{name: values[name] for name in _IMAGES if name in values}))
        return trained_cells(TrainConfig(**{**values, "space": space, "image_size": shape.image_size}), shape)
    except ValidationError as error:
        raise UsageError(describe(error)) from None


def drawing_limits(config: SearchConfig, shape: DataShape) -> CellLimits:
    """The limits within which a search draws cells. Those of a size are about the network that will be trained."""
    given = config.settings
    if not isinstance(given, Limited):
        return NO_LIMITS
    network = None
    if given.limits_sizes:
        known = {"method": config.method, "dataset": config.dataset, "space": config.space}
        network = trained_cells(TrainConfig(**known, image_size=shape.image_size, **given.trained), shape)
    return CellLimits(False, given.max_skips, given.max_params, given.max_macs, network)


def derived_network(genotype: Genotype, config: TrainConfig, shape: DataShape) -> tuple[DataShape, Graph]:
    """The network that `config` trains; with the auxiliary tower if it is wanted and the maps allow it.

    Raises as `network_settings`, and UsageError where the images are too small.
    """
    settings = network_settings(genotype, config, shape)
    graph = genotype.graph(settings)
    return settings.model_copy(update={"auxiliary": config.auxiliary > 0 and graph.tower_fits}), graph


def network_settings(genotype: Genotype, config: TrainConfig | DetectConfig, shape: DataShape) -> DataShape:
    """What the genotype leaves open about the network that `config` trains, without an auxiliary tower.

    The configuration must give the sizes that the genotype leaves open, and no others. Raises UsageError where the two
    don't go together, and pydantic's ValidationError for sizes beyond what a model's file may have.
    """
    kind = kind_of_space(genotype.space)
    if (meant := config.space or next(iter(SPACES_OF[kind]))) != genotype.space:
        raise UsageError(
            f"space: the configuration, and the recipe {config.method}/{config.recipe} in it, is for {meant}, and the "
            f"genotype is of {genotype.space}: give space={genotype.space!r}"
        )
    needed = [name for name in NETWORK_SIZE if name in genotype.leaves_open.model_fields]
    given = {name: value for name in NETWORK_SIZE if (value := getattr(config, name)) is not None}
    if strange := [name for name in given if name not in needed]:
        methods = [name for name, row in METHODS.items() if row.searches == kind]
        raise UsageError(
            f"{_flags(strange)}: sizes of a network of cells; this genotype is one of {genotype.space}'s {kind}. Leave "
            f"them out; if the recipe {config.method}/{config.recipe} has them, give --method {' or '.join(methods)}"
        )
    if missing := [name for name in needed if name not in given]:
        raise UsageError(_no_sizes(config, missing))
    settings: DataShape = genotype.leaves_open(**shape.model_dump(exclude={"auxiliary"}), **given)
    return settings


def detector_layout(
    genotype: Genotype, config: DetectConfig, shape: DataShape
) -> tuple[DataShape, DetectorSettings, DetectorLayout]:
    """The detector that `config` trains: what the genotype leaves open, what is behind the backbone, and its sizes.

    Raises as `network_settings`, and UsageError for a network that cannot be a backbone.
    """
    network = network_settings(genotype, config, shape)
    settings = DetectorSettings(
        extra_channels=config.extra_channels, anchor_min=config.anchor_min, anchor_max=config.anchor_max
    )
    return network, settings, layout_of(genotype, network, settings)


def check_batch(batch_size: int, sides: Iterable[int]) -> None:
    """Raise UsageError where a batch norm would see one value of a channel: one image, and a map of one pixel.

    sides: of the maps that are normalised.
    """
    if batch_size == 1 and 1 in sides:
        raise UsageError(
            "batches of one image: a map of this network has one pixel, and batch norm takes its statistics from two "
            "values or more: give --batch-size 2 or more"
        )


def _no_sizes(config: TrainConfig | DetectConfig, missing: list[str]) -> str:
    return (
        f"the recipe {config.method}/{config.recipe} has no {' and no '.join(missing)} for a network of cells: "
        f"give {_flags(missing)}, or another --method"
    )


def _flags(names: list[str]) -> str:
    return ", ".join(f"--{name}" for name in names)


def tower_notice(wanted: float, settings: DataShape, graph: Graph) -> str | None:
    """A notice where the auxiliary tower is wanted but impossible; None where all is well."""
    if wanted == 0 or settings.auxiliary:
        return None
    return f"trained without an auxiliary tower: {graph.why_no_tower}"


def batch_notice(config: SearchConfig | TrainConfig, images: int) -> str | None:
    """A notice where the recipe's batch would be larger than a part of the images; None where all is well."""
    if not config.batch_was_fitted:
        return None
    part = int(images * config.smallest_share)
    return (
        f"batches of {config.batch_size} images: the recipe's {config.usual_batch} are more than the smallest part "
        f"of the images, {part}"
    )


def stem_notice(stem: str | None, image_size: int) -> str | None:
    """A notice where the first layers keep the size of images that are too large for it; None where all is well."""
    if stem != "cifar" or image_size <= LARGEST_SMALL_IMAGE:
        return None
    return (
        f"images of {image_size} pixels with the cifar stem, which keeps their size, take much memory and time: "
        f"consider --stem imagenet, which divides it by 8, or a smaller --image-size"
    )
