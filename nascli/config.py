"""The configuration of each stage, resolved once: recipe < file < flag.

`SearchConfig(method="pc-darts", dataset="cifar10", epochs=5)` starts from the paper's recipe for that method and data
and puts the given values on top. What it holds afterwards is complete, so it can be printed, saved with the run and
read back.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from nascli import recipes
from nascli.errors import UsageError, unknown
from nascli.registry import DATASETS, METHODS, Setting, lookup

LARGEST_SMALL_IMAGE = 64
"""Sides up to this many pixels use the settings for small images, which lie on the device as a whole."""

UNBOUND = frozenset({"data_dir", "workers", "device", "compile"})
"""Fields that may differ between a run and its resumption: they say where and how fast, not what."""


class Config(BaseModel):
    """What every stage that touches images is told."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    inherits: ClassVar[frozenset[str]] = frozenset()
    """Fields that the command line takes over, where they are not given, from the file that the stage starts from."""

    unused: ClassVar[frozenset[str]] = frozenset()
    """Fields that this stage has no use for, and the command line no option."""

    dataset: str = Field("digits", description="data set (see 'nascli list datasets')")
    data_dir: Path | None = Field(None, description="where the images are, or are downloaded to")
    image_size: int | None = Field(
        None, ge=4, le=4096, description="side of the images, in pixels; none: the data's own"
    )
    limit_train: int | None = Field(
        None, ge=1, description="use only so many training images, equally many of each class"
    )
    skip_corrupt: bool = Field(False, description="leave out images that cannot be read, instead of stopping")
    workers: int = Field(0, ge=0, le=256, description="processes that load large images")
    download: bool = Field(True, description="fetch the data set where it is missing")

    seed: int = Field(0, ge=0, lt=2**63, description="seed of every random choice")
    device: str = Field("auto", description="'auto', 'cpu', 'cuda' or 'cuda:N'")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="arithmetic of the network")
    compile: bool = Field(False, description="torch.compile the network; for GPUs")
    deterministic: bool = Field(False, description="the same bytes on a GPU each time; slower there")

    @model_validator(mode="after")
    def _known_dataset(self) -> Self:
        lookup(DATASETS, "dataset", self.dataset)
        return self


def _recipe_name(stage: str, method: str, given: dict[str, Any]) -> str:
    """The recipe that suits the data: the data set's own, or `pictures` where that is made for smaller images."""
    if given.get("recipe"):
        return str(given["recipe"])
    name = lookup(DATASETS, "dataset", given.get("dataset", "digits")).recipe
    if name == "cifar10" and (given.get("image_size") or 0) > LARGEST_SMALL_IMAGE:
        name = "pictures"
    return name


@cache
def settings_model(method: str) -> type[BaseModel]:
    """The pydantic model of a method's own settings, made from its registry row."""

    def field(setting: Setting) -> tuple[Any, Any]:
        kind: Any = Literal[setting.choices] if setting.choices else setting.type
        return kind, Field(setting.default, ge=setting.minimum, le=setting.maximum, description=setting.help)

    fields: dict[str, Any] = {row.name: field(row) for row in lookup(METHODS, "method", method).settings}
    checks = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    return create_model(f"{method} settings", __config__=checks, **fields)


class SearchConfig(Config):
    """A search: the method, the data, and the method's own settings (`settings`, or given flat)."""

    stage: ClassVar[str] = "search"

    method: str = Field("pc-darts", description="search method (see 'nascli list methods')")
    recipe: str | None = Field(None, description="recipe for whatever is not given; none: by data set")
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(ge=1, le=1_000_000, description="images per step")
    settings: dict[str, Any] = Field(default_factory=dict, description="the method's own settings")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        method = given.get("method", "pc-darts")
        row = lookup(METHODS, "method", method)
        own = {setting.name for setting in row.settings}
        name = _recipe_name(cls.stage, method, given)
        merged = {**recipes.load(cls.stage, method, name), "recipe": name, **_without_none(given)}
        settings = {key: merged.pop(key) for key in own & merged.keys()}
        settings |= {**(merged.get("settings") or {}), **{k: given[k] for k in own & _without_none(given).keys()}}
        try:
            merged["settings"] = settings_model(method)(**settings).model_dump()
        except ValidationError as error:
            raise UsageError(describe(error)) from None
        stray = merged.keys() - cls.model_fields.keys()
        if stray:
            known = [*cls.model_fields, *own]
            raise UsageError("; ".join(unknown(f"setting for {method}", key, known) for key in sorted(stray)))
        return merged

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        shares = self.settings.get("train_fraction", 0.0) + self.settings.get("search_fraction", 0.0)
        if shares > 1.0 + 1e-9:
            raise ValueError(f"train_fraction + search_fraction is {shares:g}; together they may be at most 1")
        return self


class FinetuneConfig(SearchConfig):
    """A search that starts from a given distribution, in a network of another size or on other data."""

    stage: ClassVar[str] = "finetune"
    inherits = frozenset({"method", "dataset", "data_dir"})


class TrainConfig(Config):
    """The training of one derived network from random weights."""

    stage: ClassVar[str] = "train"
    inherits = frozenset({"method", "dataset", "data_dir"})

    method: str = Field(
        "pc-darts", description="whose recipe to train by; by default the method that found the genotype"
    )
    recipe: str | None = Field(None, description="recipe for whatever is not given; none: by data set")
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(ge=1, le=1_000_000, description="images per step")
    layers: int = Field(ge=1, le=200, description="cells in the network")
    channels: int = Field(ge=1, le=4096, description="channels of the first cell")
    stem: Literal["cifar", "imagenet"] = Field(
        "cifar", description="'cifar' keeps the image size, 'imagenet' divides it by 8"
    )
    lr: float = Field(0.025, ge=0, description="learning rate at the start")
    lr_min: float = Field(0.0, ge=0, description="learning rate at the end")
    schedule: Literal["cosine", "linear", "step"] = Field("cosine", description="how the learning rate falls")
    lr_decay: float = Field(0.97, gt=0, le=1, description="factor per epoch of the 'step' schedule")
    lr_warmup_epochs: int = Field(0, ge=0, description="epochs over which the learning rate rises linearly")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(3e-4, ge=0, description="weight decay")
    clip: float = Field(5.0, ge=0, description="norm to which the gradient is clipped; 0: not at all")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability mass spread over all classes")
    drop_path: float = Field(0.0, ge=0, lt=1, description="probability of dropping a path in the last epoch")
    cutout: int = Field(0, ge=0, description="side of the square that is cut out of each image, in pixels; 0: none")
    auxiliary: float = Field(0.0, ge=0, description="weight of the auxiliary tower's loss; 0: no tower")
    validation: float = Field(
        0.0, ge=0, lt=1, description="share of the training images held out to watch the accuracy"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        method = given.get("method", "pc-darts")
        lookup(METHODS, "method", method)
        name = _recipe_name(cls.stage, method, given)
        stray = given.keys() - cls.model_fields.keys()
        if stray:
            raise UsageError("; ".join(unknown("setting for train", key, cls.model_fields) for key in sorted(stray)))
        return {**recipes.load(cls.stage, method, name), "recipe": name, **_without_none(given)}


class EvalConfig(Config):
    """The evaluation of a trained model on the test images. `dataset` None: the one that the model was trained on."""

    inherits = frozenset({"dataset", "data_dir"})
    unused = frozenset({"limit_train", "seed"})

    batch_size: int = Field(256, ge=1, le=1_000_000, description="images per step")


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, keys as the long options with underscores. Raises UsageError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
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
