"""Fields that several methods, or a search and a training, have in common: the type, bounds and help of each.

A class that uses one gives it its own default: `lr: LearningRate = 0.025`.
"""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

START_ONLY: JsonDict = {"start_only": True}
"""Marks a field that says how a search starts. A finetune starts from a distribution, and has no such option."""

UNLISTED: JsonDict = {"unlisted": True}
"""Marks a field that the help does not list, since hardly anybody sets it."""

Stem = Annotated[
    Literal["cifar", "imagenet"],
    Field(description="first layers: 'cifar' keeps the image size, 'imagenet' divides it by 8"),
]
Auxiliary = Annotated[float, Field(ge=0, description="weight of the auxiliary tower's loss; 0: no tower")]
Cutout = Annotated[int, Field(ge=0, description="side of the square that is cut out of each image, in pixels; 0: none")]
DropPath = Annotated[float, Field(ge=0, lt=1, description="probability of dropping a path in the last epoch")]

LearningRate = Annotated[float, Field(ge=0, description="learning rate of the weights at the start")]
LastLearningRate = Annotated[float, Field(ge=0, description="learning rate of the weights at the end")]
RisingEpochs = Annotated[int, Field(ge=0, description="epochs over which the weights' learning rate rises linearly")]
RestartEpochs = Annotated[int, Field(ge=1, le=100_000, description="epochs before the first of the 'restarts'")]
RestartFactor = Annotated[
    int, Field(ge=1, le=100, description="length of each cycle of the 'restarts', as a multiple of the one before")
]
Milestones = Annotated[
    str, Field(description="epochs after which the 'milestones' schedule falls to a tenth, such as 90,140,160")
]
Momentum = Annotated[float, Field(ge=0, lt=1, description="momentum of the weights' SGD")]
Nesterov = Annotated[bool, Field(description="Nesterov's form of the momentum")]
WeightDecay = Annotated[float, Field(ge=0, description="weight decay of the weights")]
Clip = Annotated[float, Field(ge=0, description="norm to which the weights' gradient is clipped; 0: no clipping")]
