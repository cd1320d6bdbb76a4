"""Learning-rate schedules, and one step of an optimiser: scaled, clipped, resumable."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from nascli.core.runtime import Runtime
from nascli.errors import UsageError
from nascli.settings.groups import ArchitectureAdam, Sgd

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

MILESTONE_FACTOR = 0.1
TAIL_SLOPE = 0.2


@dataclass(frozen=True)
class Schedule:
    """A learning rate as a function of the step: a linear warm-up, then a fall from `lr` to `lr_min`.

    `kind` is "cosine", "linear", "step" (multiplied by `decay` after every epoch, as DARTS on ImageNet), "milestones"
    (divided by ten after each of these epochs) or "restarts" (SGDR: Loshchilov and Hutter, ICLR 2017; a cosine that
    starts again after `restart_epochs`, then after `restart_factor` times as many, and so on). Cosine and linear rates
    change with every step, so a short run falls as smoothly as a long one. In the last `tail_epochs` a linear rate
    falls a fifth as fast, as in the authors' training of PC-DARTS on ImageNet, where it changes once an epoch.

    Raises UsageError for "milestones" without any, and for a tail of any kind but "linear".
    """

    lr: float
    lr_min: float
    epochs: int
    steps_per_epoch: int
    warmup_epochs: int = 0
    kind: str = "cosine"
    decay: float = 1.0
    milestones: tuple[int, ...] = ()
    restart_epochs: int = 10
    restart_factor: int = 2
    tail_epochs: int = 0

    def __post_init__(self) -> None:
        if self.kind == "milestones" and not self.milestones:
            raise UsageError("--schedule milestones needs --lr-milestones: give some, such as 90,140,160")
        if self.tail_epochs and self.kind != "linear":
            raise UsageError(f"--lr-tail-epochs needs a linear schedule: give --schedule linear, not {self.kind}")

    def __call__(self, step: int) -> float:
        """The rate of step 0, 1, … `epochs * steps_per_epoch` - 1."""
        warmup = self.warmup_epochs * self.steps_per_epoch
        epoch = step // self.steps_per_epoch
        if step < warmup:
            return self.lr * (step + 1) / warmup
        if self.kind == "step":
            return max(self.lr_min, self.lr * self.decay**epoch)
        if self.kind == "milestones":
            return max(self.lr_min, self.lr * MILESTONE_FACTOR ** sum(epoch >= end for end in self.milestones))
        if self.kind == "restarts":
            progress = self._progress_of_cycle((step - warmup) / self.steps_per_epoch)
        else:
            progress = (step - warmup) / max(1, self.epochs * self.steps_per_epoch - warmup)
        remaining = self._line(progress) if self.kind == "linear" else (1 + math.cos(math.pi * progress)) / 2
        return self.lr_min + (self.lr - self.lr_min) * remaining

    def _line(self, progress: float) -> float:
        """Falls from 1 to 0, more slowly in the tail if there is one."""
        tail = min(1.0, self.tail_epochs / max(1, self.epochs - self.warmup_epochs))
        slope = 1 / (1 - tail + TAIL_SLOPE * tail)
        return max(1 - slope * progress, slope * TAIL_SLOPE * (1 - progress))

    def _progress_of_cycle(self, epochs: float) -> float:
        """How far into its cycle, from 0 to 1, a run is after this many epochs."""
        length = self.restart_epochs
        if self.restart_factor == 1:
            return epochs % length / length
        while epochs >= length:
            epochs -= length
            length *= self.restart_factor
        return epochs / length


class Updater(Generic[Kind]):
    """An optimiser with its gradient scaler and clipping; its state is all that a resumed run needs.

    A group of parameters with an "lr_scale" learns at the rate times this factor. A step takes a few operators for all
    parameters together. With several processes, each has the gradients of its part of the loss; a step adds them up
    over the ranks first. ("fused" would take one, but on a CPU it goes by the order in memory, and is wrong where a
    gradient or a momentum is laid out otherwise than its parameter: torch 2.11.)
    """

    def __init__(self, optimizer: Kind, runtime: Runtime, clip: float = 0.0) -> None:
        self.optimizer = optimizer
        self.clip = clip
        self._scaler, self._ranks = runtime.scaler(), runtime.ranks
        self.parameters: Sequence[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]

    def update(self, loss: Tensor, lr: float | None = None) -> Tensor:
        """One step down `loss`, computing gradients for this optimiser's parameters only. Returns the gradient's norm.

        Where fp16 overflows, the scaler skips the step and the returned norm is zero.
        """
        self.optimizer.zero_grad(set_to_none=True)
        self.accumulate(loss)
        return self.apply(lr)

    def clear(self) -> None:
        """Set all gradients to zero, including those of parameters that the next step's losses may not reach."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
        self.optimizer.zero_grad(set_to_none=False)

    def accumulate(self, loss: Tensor) -> None:
        """Add the gradients of `loss` in this optimiser's parameters to their present ones."""
        self.scaled(loss).backward(inputs=self.parameters)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss in the scale in which gradients gather: who wants more of its backward pass takes this."""
        return self._scaler.scale(loss)

    def apply(self, lr: float | None = None) -> Tensor:
        """One step with the present gradients, clipped. Returns their norm, as `update` does."""
        if lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = lr * group.get("lr_scale", 1.0)
        self._ranks.sum_([parameter.grad for parameter in self.parameters if parameter.grad is not None], "gradients")
        self._scaler.unscale_(self.optimizer)
        norm = get_total_norm([parameter.grad for parameter in self.parameters if parameter.grad is not None])
        if self.clip > 0:
            clip_grads_with_norm_(self.parameters, self.clip, norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return norm if not self._scaler.is_enabled() else torch.where(norm.isfinite(), norm, 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, own in self.optimizer.state.items():
            for name, value in own.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    # In the layout of its parameter, which files don't keep: others are not computed together.
                    own[name] = torch.empty_like(parameter).copy_(value)
        self._scaler.load_state_dict(state["scaler"])


def sgd(
    parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
    runtime: Runtime,
    *,
    momentum: float,
    weight_decay: float,
    clip: float,
    nesterov: bool = False,
) -> Updater[torch.optim.SGD]:
    """The SGD with which all of the papers train weights. The rate is given to each update.

    Raises UsageError for Nesterov without momentum.
    """
    if nesterov and momentum == 0:
        raise UsageError("--nesterov is a form of the momentum: give a --momentum above 0, or --no-nesterov")
    optimizer = torch.optim.SGD(
        parameters, lr=0.0, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, foreach=True
    )
    return Updater(optimizer, runtime, clip)


def sgd_of(settings: Sgd, parameters: Iterable[Tensor], runtime: Runtime) -> Updater[torch.optim.SGD]:
    """The SGD on the weights of a search."""
    return sgd(parameters, runtime, momentum=settings.momentum, weight_decay=settings.weight_decay, clip=settings.clip)


def cosine_of(settings: Sgd, epochs: int, steps_per_epoch: int) -> Schedule:
    """The learning rate of the SGD on the weights of a search."""
    return Schedule(settings.lr, settings.lr_min, epochs, steps_per_epoch, settings.lr_warmup_epochs)


def adam_of(
    settings: ArchitectureAdam, parameters: Sequence[Tensor], runtime: Runtime, weight_decay: float = 0
) -> Updater[torch.optim.Adam]:
    """The Adam on the architecture of a search. The gradient is not clipped."""
    betas = (settings.arch_beta1, settings.arch_beta2)
    optimizer = torch.optim.Adam(parameters, lr=settings.arch_lr, betas=betas, weight_decay=weight_decay, foreach=True)
    return Updater(optimizer, runtime)
