"""Running statistics after few steps: when those that a training has kept are of no use, and what is then told."""

from torch import nn

FEW_STEPS = 100
"""After fewer, running statistics still reflect earlier weights: each step contributes only a tenth."""


def few_steps(network: nn.Module) -> int:
    """FEW_STEPS, in proportion more for batch norms to which a step contributes less; 0 for a network without any."""
    momenta = [one.momentum for one in network.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    return max((round(FEW_STEPS * 0.1 / momentum) for momentum in momenta if momentum), default=0)


def settled_notice(steps: int, kind: str, *, watched: bool) -> str:
    """What the user should know of an artifact whose statistics are not those of its training's last step.

    watched: it has figures on validation images, which are measured again.
    """
    text = (
        f"after {steps} step{'' if steps == 1 else 's'} the running statistics of batch norms lag behind the weights: "
        f"the {kind}'s are those of one pass over the training images"
    )
    return f"{text}; so are its validation figures" if watched else text
