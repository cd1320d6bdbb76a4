"""Settings of PGNAS."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from nascli import supernets
from nascli.milestones import milestones
from nascli.registry import SUPERNETS
from nascli.settings.fields import (
    START_ONLY,
    Clip,
    DropPath,
    LastLearningRate,
    LearningRate,
    Milestones,
    Momentum,
    Nesterov,
    RestartEpochs,
    RestartFactor,
)
from nascli.settings.groups import HELD_OUT, TRAIN, AsTrained, Settings, Warmup


class _Posterior(Settings):
    width: int = Field(0, ge=0, le=1024, description="width of the super-network; 0: as published")
    depth: int = Field(0, ge=0, le=64, description="blocks in each stage of the super-network; 0: as published")
    pooling_paths: bool = Field(
        False,
        description="a 1x1 convolution after each pooling of enas or densenet121, at first the identity, so that p "
        "decides whether the pooling stays",
    )
    weight_prior: float = Field(
        50.0,
        ge=0,
        description="l^2 in the paper's formula; a larger one gives smaller networks; the authors' code lacks the "
        "formula's 1/2, so 50 there is 100 here",
    )
    drop_prior: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="u: probability of dropping a channel under the prior; without any images p would be u for "
        "weights of zero; 0: the paper's prior, where it would be 1/2",
    )
    noise: Literal["dropout", "gaussian"] = Field(
        "dropout",
        description="'dropout' drops channels; 'gaussian' adds noise to the weights instead, and learns how much",
    )
    temperature: float = Field(0.2, ge=0.01, le=10, description="tau of the relaxed masks")
    initial_dropout: float = Field(
        0.1,
        ge=1e-6,
        le=1 - 1e-6,
        description="probability p of dropping a channel, at the start; Gaussian noise starts with as large a variance",
        json_schema_extra=START_ONLY,
    )
    effective_images: float = Field(
        0.0,
        ge=0,
        description="N: how many images the augmented training images count as; 0: ten times their number",
    )
    held_out: float = Field(
        0.1,
        ge=0.001,
        le=0.9,
        description="share of the training images that candidates are ranked on; nothing learns from them",
    )
    arch_lr_scale: float = Field(
        1.0, ge=0, description="learning rate of the logits of p, as a multiple of the weights'"
    )


_OF_DROPOUT = {
    "drop_prior": "drops no channels",
    "pooling_paths": "drops no pooling",
    "temperature": "has no relaxed masks",
}
"""Settings that Gaussian noise has no use for, and why."""


class PgnasSettings(AsTrained, Warmup, _Posterior):
    """The settings of PGNAS. The only weight decay is the prior's."""

    drop_path: DropPath = 0.0
    lr: LearningRate = 0.01
    lr_min: LastLearningRate = 0.0
    schedule: Literal["cosine", "restarts", "milestones"] = Field(
        "cosine",
        description="how the learning rate falls: 'cosine', with warm 'restarts', or to a tenth at each of the "
        "'milestones'",
    )
    restart_epochs: RestartEpochs = 10
    restart_factor: RestartFactor = 2
    lr_milestones: Milestones = ""
    momentum: Momentum = 0.9
    nesterov: Nesterov = False
    clip: Clip = 0.0

    @property
    def parts(self) -> Mapping[str, float]:
        return {TRAIN: 1 - self.held_out, HELD_OUT: self.held_out}

    def largest_map(self, space: str, side: int) -> int:
        width, stages = self.width or SUPERNETS[space].width, supernets.stages_of(space, self.depth)
        return supernets.supernet(
            space,
            width,
            stages,
            classes=2,
            image_channels=1,
            image_size=side,
            pooling_paths=self.pooling_paths,
        ).largest_map

    @model_validator(mode="after")
    def _suits_the_noise(self) -> Self:
        if self.noise == "dropout":
            return self
        for name, why in _OF_DROPOUT.items():
            if getattr(self, name) != type(self).model_fields[name].default:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option}: Gaussian noise {why}; leave it out, or take --noise dropout")
        if not self.weight_prior:
            raise ValueError("--weight-prior: with Gaussian noise it must be above 0, or the noise would grow for ever")
        return self

    @model_validator(mode="after")
    def _readable_milestones(self) -> Self:
        milestones(self.lr_milestones)
        return self
