"""The layers between the image and the first cell.

Liu et al., ICLR 2019, Appendix A (CIFAR-10 and ImageNet networks).
"""

from nascli.errors import UsageError, unknown
from nascli.graphs.builder import Builder

STRIDES = {"cifar": (1, 1), "imagenet": (4, 8)}
"""How many image pixels one pixel spans on the maps of each stem's two states."""


def stem(build: Builder, name: str, channels: int) -> tuple[str, str]:
    """The two states that the first cell may read, of `channels` channels each.

    "cifar": one 3x3 convolution and batch norm; both states are its output. "imagenet": three of stride 2, the first
    with half the channels, the others after a ReLU; the states are the outputs of the second and the third. Raises
    UsageError for an unknown stem, and for the imagenet stem with one channel, which it cannot halve.
    """
    if name not in STRIDES:
        raise UsageError(unknown("stem", name, STRIDES))
    if name == "cifar":
        state = build.norm("stem.norm", build.unmasked_conv("stem.conv", build.image, channels, 3))
        return state, state
    if channels < 2:
        raise UsageError("the imagenet stem starts with half the channels; give it 2 channels or more")
    states, x = [], build.image
    for number, out in enumerate((channels // 2, channels, channels), start=1):
        conv = build.unmasked_conv(f"stem.{number}.conv", x, out, 3, stride=2)
        states.append(build.norm(f"stem.{number}.norm", conv))
        if number < 3:
            x = build.rectified(states[-1])
    return states[1], states[2]
