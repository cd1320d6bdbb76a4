"""SGD and its learning rate, as the configuration of a training says."""

from collections.abc import Iterable

import torch
from torch import nn

from nascli.config import DetectConfig, TrainConfig
from nascli.core.optimization import Schedule, Updater, sgd
from nascli.core.runtime import Runtime
from nascli.milestones import milestones


def training_schedule(config: TrainConfig | DetectConfig, steps_per_epoch: int) -> Schedule:
    """The learning rate of each step. Only a classifier's training has epochs with a tail."""
    return Schedule(
        config.lr,
        config.lr_min,
        config.epochs,
        steps_per_epoch,
        config.lr_warmup_epochs,
        config.schedule,
        config.lr_decay,
        milestones(config.lr_milestones),
        config.restart_epochs,
        config.restart_factor,
        config.lr_tail_epochs if isinstance(config, TrainConfig) else 0,
    )


def training_sgd(
    parameters: Iterable[nn.Parameter], config: TrainConfig | DetectConfig, runtime: Runtime
) -> Updater[torch.optim.SGD]:
    """The optimiser of a network's weights."""
    return sgd(
        parameters,
        runtime,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        clip=config.clip,
        nesterov=config.nesterov,
    )
