"""The configuration of each stage, resolved once: recipe < file < flag.

`SearchConfig(method="pc-darts", dataset="cifar10", epochs=5)` starts from the paper's recipe for that method and data
and puts the given values on top. What it holds afterwards is complete, so it can be printed, saved with the run and
read back.
"""

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SerializeAsAny, ValidationError, model_validator

from nascli import recipes
from nascli.errors import UsageError, escaped, unknown
from nascli.milestones import milestones
from nascli.registry import DATASETS, METHODS, SCENES, SPACES, SPACES_OF, kind_of_space, lookup
from nascli.settings import Settings, settings_class
from nascli.settings.fields import (
    Auxiliary,
    Clip,
    Cutout,
    DropPath,
    LastLearningRate,
    LearningRate,
    Milestones,
    Momentum,
    Nesterov,
    RestartEpochs,
    RestartFactor,
    RisingEpochs,
    WeightDecay,
)
from nascli.settings.groups import HELD_OUT, CellNetwork
from nascli.spaces import cell_space

Cache = Literal["auto", "ram", "disk", "none"]
"""Where decoded pictures are kept."""

LARGEST_SMALL_IMAGE = 64
"""Sides up to this many pixels use the settings for small images, which lie on the device as a whole."""

PLACE = frozenset({"data_dir", "workers", "cache", "device", "compile", "cuda_graphs", "dist_timeout"})
"""Fields that say where a run works and how fast, not what it does."""

UNBOUND = PLACE | {"force", "max_latency"}
"""Fields that may differ when a run is resumed: those of PLACE, whether it may begin at all, and what only chooses
among its scores.
"""


class Config(BaseModel):
    """The configuration that every stage with images has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: str = Field("digits", description="data set (see 'nascli list datasets')")
    data_dir: Path | None = Field(
        None, description="where the images are, or are downloaded to; for csv and npz, the file"
    )
    image_size: int | None = Field(
        None, ge=4, le=4096, description="side of the images, in pixels; if unset, the data's own"
    )
    limit_train: int | None = Field(
        None, ge=1, description="use only N training images, equally many of each class; of pictures with boxes any N"
    )
    skip_corrupt: bool = Field(
        False, description="leave out images that cannot be read, and boxes that are not in theirs, instead of stopping"
    )
    flip: bool | None = Field(
        None,
        description="mirror training images left and right at random; if unset, where the data set says that this "
        "keeps the class",
    )
    fit: Literal["crop", "pad", "squash"] | None = Field(
        None,
        description="make pictures square: cut out the centre, add borders, or squash; if unset, crop, or squash "
        "if most are more than twice as long as wide",
    )
    background: str = Field("white", description="colour of transparent parts and borders: a name or #rrggbb")
    workers: int | None = Field(
        None, ge=0, le=256, description="processes that load large images; if unset, one per core, at most 8"
    )
    cache: Cache = Field(
        "auto",
        description="keep large images decoded in memory or in a file beside the run; auto: where there is room",
    )
    download: bool = Field(True, description="download the data set if it is missing")

    seed: int = Field(0, ge=0, lt=2**63, description="seed of every random choice")
    device: str = Field("auto", description="'auto', 'cpu', 'cuda' or 'cuda:N'")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="arithmetic of the network")
    compile: bool = Field(False, description="compile the network with torch.compile; for GPUs")
    cuda_graphs: bool = Field(
        False, description="capture passes as CUDA graphs and replay them; no GPU has measured it yet"
    )
    dist_timeout: int = Field(
        600, ge=1, le=86_400, description="seconds after which a process that does not answer ends a run of several"
    )
    deterministic: bool = Field(False, description="give the same bytes on a GPU each time; slower there")

    _fitted: bool = PrivateAttr(default=False)

    @property
    def batch_was_fitted(self) -> bool:
        """Whether `with_fitting_batch` chose the batch size, and neither the recipe nor the user."""
        return self._fitted

    def with_fitting_batch(self, batch_size: int) -> Self:
        """The same configuration with smaller batches, for when the recipe's are larger than a part of the images."""
        fitted = self.model_copy(update={"batch_size": batch_size})
        fitted._fitted = True
        return fitted

    @model_validator(mode="after")
    def _known_dataset_and_a_name_that_files_can_hold(self) -> Self:
        self._check_dataset()
        try:
            str(self.data_dir).encode()
        except UnicodeEncodeError:
            # Every result says where its images were, in JSON.
            raise UsageError(
                f"--data-dir {escaped(str(self.data_dir))} is not in UTF-8: give the folder another name"
            ) from None
        return self

    def _check_dataset(self) -> None:
        """Raise UsageError for an unknown data set, or one of another task."""
        check_dataset(self.dataset)


def check_dataset(name: str) -> None:
    """Raise UsageError for an unknown data set, or one whose pictures have boxes."""
    if name in SCENES:
        raise UsageError(f"{name} has boxes, not one class for each picture: it is for 'nascli train --task detect'")
    lookup(DATASETS, "dataset", name)


def check_scenes(name: str) -> None:
    """Raise UsageError for an unknown data set, or one whose pictures have no boxes."""
    if name in DATASETS:
        raise UsageError(f"{name} has no boxes: a detector takes --dataset {' or '.join(SCENES)}")
    lookup(SCENES, "dataset", name)


def fitting_batch(part: int, usual: int) -> int:
    """The usual batch size; if a part has fewer images than that, a power of two that is at most half of them.

    The result is at least 2, which batch norm needs.
    """
    return usual if usual <= part else 1 << max(1, (part // 2).bit_length() - 1)


def _usual_batch(config: "SearchConfig | TrainConfig") -> int:
    """The recipe's batch size; 0 if it has none."""
    recipe = recipes.load(config.stage, config.method, config.recipe) if config.recipe else {}
    return int(recipe.get("batch_size", 0))


def _recipe_name(stage: str, method: str, given: dict[str, Any], variants: Sequence[str] = ()) -> str:
    """The recipe that suits the data: the data set's own, else that of its kind, or `pictures` if that kind is made for
    smaller images. A recipe for one of the `variants`, such as "cifar10-enas", comes first.
    """
    if given.get("recipe"):
        return str(given["recipe"])
    dataset = str(given.get("dataset") or "digits")
    check_dataset(dataset)
    kind = lookup(DATASETS, "dataset", dataset).recipe
    large = kind == "cifar10" and (given.get("image_size") or 0) > LARGEST_SMALL_IMAGE
    names = ("pictures",) if large else (dataset, kind)
    known = recipes.names(stage, method)
    special = [f"{name}-{variant}" for variant in variants for name in names]
    return next((name for name in (*special, *names) if name in known), names[-1])


def _variants(given: dict[str, Any]) -> tuple[str, ...]:
    """The space, if it is given, since it may have recipes of its own."""
    return (str(given["space"]),) if given.get("space") else ()


def _fitting_space(method: str, name: str | None) -> str:
    """The space of a search: the given one, or the first that the method can search."""
    kind = METHODS[method].searches
    if name is None:
        return next(iter(SPACES_OF[kind]))
    if (other := kind_of_space(name)) != kind:
        raise UsageError(
            f"{method} searches {kind}, and {name} is a space of {other}: give another --method, or one of "
            f"these as --space: {', '.join(SPACES_OF[kind])}"
        )
    return name


class SearchConfig(Config):
    """A search: the method, the data, and the method's own settings (`settings`, or given flat)."""

    stage: ClassVar[str] = "search"

    method: str = Field("pc-darts", description="search method (see 'nascli list methods')")
    space: str = Field(description="search space, of a kind that the method can search (see 'nascli list spaces')")
    recipe: str | None = Field(None, description="recipe for all that is not given; if unset, the data set's")
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(ge=1, le=1_000_000, description="images per step")
    sync_batch_norm: bool = Field(
        True, description="batch norms of a run of several processes see the whole batch, not each process's part"
    )
    settings: SerializeAsAny[Settings] = Field(description="the method's own settings")

    @property
    def usual_batch(self) -> int:
        """The recipe's batch size; 0 without a recipe."""
        return _usual_batch(self)

    @property
    def smallest_share(self) -> float:
        """The share of the training images in the smallest part that batches are drawn from."""
        return min(share for part, share in self.settings.parts.items() if part != HELD_OUT)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        method = given.get("method", "pc-darts")
        kind = settings_class(method)
        own = kind.model_fields.keys()
        name = _recipe_name(cls.stage, method, given, _variants(given))
        merged = {**recipes.load(cls.stage, method, name), "recipe": name, **_without_none(given)}
        merged["space"] = _fitting_space(method, merged.get("space"))
        recipes.check_space(cls.stage, method, name, merged["space"])
        settings = {key: merged.pop(key) for key in own & merged.keys()}
        settings |= {**dict(merged.get("settings") or {}), **{k: given[k] for k in own & _without_none(given).keys()}}
        try:
            merged["settings"] = kind(**settings)
        except ValidationError as error:
            raise UsageError(describe(error)) from None
        if isinstance(merged["settings"], CellNetwork):
            nodes = cell_space(merged["space"], merged["settings"].nodes).nodes
            merged["settings"] = merged["settings"].model_copy(update={"nodes": nodes})
        _refuse_others(method, merged, cls.model_fields, [*cls.model_fields, *own])
        return merged


class FinetuneConfig(SearchConfig):
    """A search that starts from a given distribution, in a network of another size or on other data."""

    stage: ClassVar[str] = "finetune"


class TrainConfig(Config):
    """The training of one derived network, from random weights or from those of its search."""

    stage: ClassVar[str] = "train"

    method: str = Field("pc-darts", description="method whose recipe is used")
    recipe: str | None = Field(None, description="recipe for all that is not given; if unset, the data set's")
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(ge=1, le=1_000_000, description="images per step")
    sync_batch_norm: bool = Field(
        True, description="batch norms of a run of several processes see the whole batch, not each process's part"
    )
    space: str | None = Field(None, description="space of the genotype, whose recipe is used if it has one")
    weights: Literal["fresh", "inherited"] = Field(
        "fresh", description="weights at the start: random ones, or those of the given run"
    )
    layers: int | None = Field(None, ge=1, le=200, description="cells in the network")
    channels: int | None = Field(None, ge=1, le=4096, description="channels of the first cell")
    stem: Literal["cifar", "imagenet"] | None = Field(
        None, description="'cifar' keeps the image size, 'imagenet' divides it by 8"
    )
    lr: LearningRate = 0.025
    lr_min: LastLearningRate = 0.0
    schedule: Literal["cosine", "linear", "step", "restarts", "milestones"] = Field(
        "cosine", description="how the learning rate falls"
    )
    lr_decay: float = Field(0.97, gt=0, le=1, description="factor per epoch of the 'step' schedule")
    lr_milestones: Milestones = ""
    restart_epochs: RestartEpochs = 10
    restart_factor: RestartFactor = 2
    lr_warmup_epochs: RisingEpochs = 0
    lr_tail_epochs: int = Field(
        0, ge=0, description="epochs at the end in which the 'linear' schedule falls a fifth as fast"
    )
    momentum: Momentum = 0.9
    nesterov: Nesterov = False
    weight_decay: WeightDecay = 3e-4
    clip: Clip = 5.0
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability mass spread over all classes")
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="weight of a class in the loss that training descends, and no other; balanced: the fewer images it "
        "has, the more it counts",
    )
    sampling: Literal["uniform", "balanced"] = Field(
        "uniform",
        description="what an epoch shows; uniform: every image once; balanced: as many, every class equally often",
    )
    drop_path: DropPath = 0.0
    cutout: Cutout = 0
    auxiliary: Auxiliary = 0.0
    validation: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training images held out to watch the accuracy; 0: use val/ beside test/, if any",
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="epoch whose weights the model gets: the last, or the best on the validation images by accuracy, "
        "then by loss (of several cells: --keep-best)",
    )
    patience: int = Field(
        0,
        ge=0,
        le=100_000,
        description="stop after N epochs without a better validation accuracy; the learning rate still falls as "
        "planned for all --epochs; 0: never",
    )
    force: bool = Field(False, description="train a cell even if it is disconnected, so that it can only guess")

    @property
    def usual_batch(self) -> int:
        """The recipe's batch size; 0 without a recipe."""
        return _usual_batch(self)

    @property
    def smallest_share(self) -> float:
        """The share of the training images that batches are drawn from."""
        return 1.0 - self.validation

    @model_validator(mode="after")
    def _known_space_and_readable_milestones(self) -> Self:
        if self.space is not None:
            kind_of_space(self.space)
        milestones(self.lr_milestones)
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        method = given.get("method", "pc-darts")
        variants = _variants(given)
        if given.get("weights") == "inherited":
            variants = (*(f"{variant}-inherited" for variant in variants), "inherited", *variants)
        name = _recipe_name(cls.stage, method, given, variants)
        if given.get("space"):
            recipes.check_space(cls.stage, method, name, given["space"])
        if given.get("task") is not None:
            raise UsageError("these are the settings of a detector's training: give --task detect, too")
        others = _options(given.keys() & (DetectConfig.model_fields.keys() - cls.model_fields.keys()))
        if others:
            raise UsageError(f"{others}: for detectors only; give --task detect, too")
        _refuse_others(cls.stage, given, cls.model_fields)
        return {**recipes.load(cls.stage, method, name), "recipe": name, **_without_none(given)}


class SceneConfig(Config):
    """What stages with pictures and boxes have in common."""

    dataset: str = Field("digits-scenes", description="data set (see 'nascli list datasets')")

    def _check_dataset(self) -> None:
        check_scenes(self.dataset)


class DetectConfig(SceneConfig):
    """The training of a detector: the network of a genotype as the backbone of an SSD."""

    stage: ClassVar[str] = "train"

    task: Literal["detect"] = Field("detect", description="what the network learns")
    method: str = Field("pc-darts", description="method that found the genotype")
    space: str | None = Field(None, description="space of the genotype, whose sizes the recipe gives")
    recipe: str | None = Field(None, description="recipe for all that is not given; if unset, the data set's")
    weights: Literal["fresh", "inherited"] = Field(
        "fresh", description="weights at the start: random ones, or those of a classifier"
    )
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(ge=1, le=1_000_000, description="images per step")
    layers: int | None = Field(None, ge=1, le=200, description="cells in the network")
    channels: int | None = Field(None, ge=1, le=4096, description="channels of the first cell")
    stem: Literal["cifar", "imagenet"] | None = Field(
        None, description="'cifar' keeps the image size, 'imagenet' divides it by 8"
    )
    lr: LearningRate = 0.025
    lr_min: LastLearningRate = 0.0
    schedule: Literal["cosine", "linear", "step", "restarts", "milestones"] = Field(
        "cosine", description="how the learning rate falls"
    )
    lr_decay: float = Field(0.97, gt=0, le=1, description="factor per epoch of the 'step' schedule")
    lr_milestones: Milestones = ""
    restart_epochs: RestartEpochs = 10
    restart_factor: RestartFactor = 2
    lr_warmup_epochs: RisingEpochs = 0
    momentum: Momentum = 0.9
    nesterov: Nesterov = False
    weight_decay: WeightDecay = 4e-5
    clip: Clip = 0.0
    augmentation: Literal["ssd", "ssdlite", "none"] = Field(
        "ssdlite",
        description="random views of a training picture; ssdlite: windows and mirror images; ssd: other colours and "
        "wider borders, too",
    )
    extra_channels: int = Field(
        512, ge=4, le=4096, description="channels of the first of the smaller maps behind the backbone"
    )
    anchor_min: float = Field(0.2, gt=0, lt=1, description="side of the least default boxes, as a share of the image's")
    anchor_max: float = Field(0.95, gt=0, le=1, description="side of the largest default boxes, as a share")
    force: bool = Field(False, description="train a cell even if it is disconnected, so that it can only guess")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        lookup(METHODS, "method", self.method)
        milestones(self.lr_milestones)
        if self.anchor_min >= self.anchor_max:
            raise UsageError(f"--anchor-min {self.anchor_min:g} is not below --anchor-max {self.anchor_max:g}")
        if self.fit not in (None, "squash"):
            raise UsageError(f"a detector sees pictures squashed to squares: leave --fit {self.fit} out")
        if self.compile or self.cuda_graphs:
            raise UsageError("detectors are neither compiled nor captured: leave --compile and --cuda-graphs out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if others := _options(given.keys() & (TrainConfig.model_fields.keys() - cls.model_fields.keys())):
            raise UsageError(f"{others}: for classifiers only; leave it out with --task detect")
        _refuse_others("--task detect", given, cls.model_fields)
        check_scenes(str(given.get("dataset") or "digits-scenes"))
        name = str(given.get("recipe") or given.get("dataset") or "digits-scenes")
        return {
            **recipes.of_task("detect", name, given.get("space") or next(iter(SPACES))),
            "recipe": name,
            **_without_none(given),
        }


def _options(names: Iterable[str]) -> str:
    """Fields as the options that set them."""
    return ", ".join("--" + name.replace("_", "-") for name in sorted(names))


class DeriveConfig(Config):
    """The ranking of candidates drawn from a distribution, on images that its search held out."""

    stage: ClassVar[str] = "derive"

    seed: int = Field(0, ge=0, lt=2**63, description="seed of the networks that are drawn")
    method: str = Field(description="the method that made the distribution, whose recipe is used")
    recipe: str | None = Field(None, description="recipe for all that is not given; if unset, the data set's")
    candidates: int = Field(ge=1, le=100_000, description="networks that are drawn and ranked on held-out images")
    shortlist: int | None = Field(
        None, ge=1, le=100_000, description="rank all on a tenth of the images, then the N best on all of them"
    )
    max_params: int | None = Field(None, ge=1, description="only networks of at most N parameters when trained")
    max_macs: int | None = Field(None, ge=1, description="only networks of at most N multiply-adds when trained")
    layers: int | None = Field(
        None, ge=1, le=200, description="cells in the network that is trained, for --max-params and --max-macs"
    )
    channels: int | None = Field(
        None, ge=1, le=4096, description="channels of its first cell; both default to the recipe of the training"
    )
    max_latency: float | None = Field(
        None, gt=0, description="take the best that classifies one image within MS milliseconds on this device"
    )
    uniform: bool = Field(True, description="rank as many uniform candidates, too, for comparison")
    recalibrate: bool = Field(
        False, description="score every network with its own batch-norm statistics, from training images"
    )
    batch_size: int = Field(256, ge=1, le=1_000_000, description="images that a network sees at a time")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if "method" not in given:
            raise UsageError("a ranking needs the method of the distribution: DeriveConfig(method=…)")
        method = given["method"]
        name = _recipe_name(cls.stage, method, given)
        _refuse_others(cls.stage, given, cls.model_fields)
        return {**recipes.load(cls.stage, method, name), "recipe": name, **_without_none(given)}


class _OfModel(Config):
    """What is done with a trained model, which no recipe has numbers for."""

    command: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, dict):
            _refuse_others(cls.command, given, cls.model_fields)
        return given


class EvalConfig(_OfModel):
    """The evaluation of a trained model on test images; if `dataset` is unset, on those of the model's own data."""

    command: ClassVar[str] = "eval"

    batch_size: int = Field(256, ge=1, le=1_000_000, description="images per step")


class SceneEvalConfig(SceneConfig):
    """The evaluation of a detector on test pictures; if `dataset` is unset, on those of the detector's own data."""

    batch_size: int = Field(64, ge=1, le=1_000_000, description="images per step")


class PredictConfig(_OfModel):
    """The answers of a trained model for pictures without labels, which it sees as its test images."""

    command: ClassVar[str] = "predict"

    batch_size: int = Field(256, ge=1, le=1_000_000, description="pictures per step")
    top: int = Field(1, ge=1, description="how many classes to name for a picture, the most probable first")


def _refuse_others(
    what: str, given: Mapping[str, Any], fields: Collection[str], known: Collection[str] | None = None
) -> None:
    """Raise one UsageError for all names that are no fields; `known`: the names to show instead of the fields."""
    if stray := sorted(given.keys() - set(fields)):
        raise UsageError("; ".join(unknown(f"setting for {what}", key, known or fields) for key in stray))


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, whose keys are the long options with underscores. Raises UsageError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def describe(error: ValidationError) -> str:
    """All faults of a configuration in one line: `epochs: 0 is too small …; lr: …`."""
    faults = []
    for fault in error.errors(include_url=False):
        place = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
        value = fault.get("input")
        shown = f" (got {value!r})" if place and isinstance(value, (str, int, float, bool)) else ""
        faults.append(f"{place}: {message}{shown}" if place else message)
    return "; ".join(faults)
