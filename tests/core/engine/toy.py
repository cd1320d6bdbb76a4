"""A job small enough to reason about: SGD with momentum on a noisy parabola."""

import torch

from nascli.core.optimization import sgd
from nascli.core.runtime import Runtime


class Parabola:
    """Minimises (w - noise)^2, the noise drawn from the step's number."""

    device = torch.device("cpu")
    batch_size = 1

    def __init__(self, breaks_at: int | None = None, lr: float = 0.1) -> None:
        self.weight = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        self._sgd = sgd([self.weight], Runtime(self.device), momentum=0.9, weight_decay=0.0, clip=0.0)
        self._breaks_at, self._lr, self.steps_done = breaks_at, lr, 0
        self.on_step = lambda step: None

    def step(self):
        self.on_step(self.steps_done)
        noise = torch.randn(3, generator=torch.Generator().manual_seed(self.steps_done), dtype=torch.float64)
        loss = ((self.weight - noise) ** 2).sum()
        if self.steps_done == self._breaks_at:
            loss = loss * float("nan")
        self._sgd.update(loss, self._lr)
        self.steps_done += 1
        return {"train_loss": loss.detach()}

    def learning_rate(self):
        return self._lr

    def start_metrics(self):
        return self.epoch_metrics()

    def epoch_metrics(self):
        return {"weight": float(self.weight.detach().sum())}

    def state_dict(self):
        return {"weight": self.weight, "sgd": self._sgd.state_dict(), "steps_done": self.steps_done}

    def load_state_dict(self, state):
        with torch.no_grad():
            self.weight.copy_(state["weight"])
        self._sgd.load_state_dict(state["sgd"])
        self.steps_done = state["steps_done"]
