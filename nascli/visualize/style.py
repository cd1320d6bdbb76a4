"""Names and colours that all pictures share."""

import re
from dataclasses import dataclass

INK = "#1f2937"
MUTED = "#6b7280"
WIRE = "#64748b"
FAINT = "#cbd5e1"
PANEL = "#f8fafc"
PAPER = "#ffffff"
HIGHLIGHT = "#d55e00"

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#332288", "#882255")
"""Line colours: those of Okabe and Ito (2008), which people with any kind of colour blindness can tell apart, and two
dark ones of Tol (2021) that keep the same distance from them."""


@dataclass(frozen=True)
class Family:
    """Operations that share a colour. `terminal` is the rich style of the same meaning."""

    label: str
    colour: str
    terminal: str


SEPARABLE = Family("separable conv", "#2563c9", "blue")
DILATED = Family("dilated conv", "#c04f9b", "magenta")
CONVOLUTION = Family("convolution", "#a8320a", "red")
POOLING = Family("pooling", "#44aa55", "green")
SKIP = Family("skip connection", "#e69f00", "yellow")
NONE = Family("none", "#9ca3af", "bright_black")
FAMILIES = (SEPARABLE, DILATED, CONVOLUTION, POOLING, SKIP, NONE)


def family(operation: str) -> Family:
    """The family of an operation, by its name."""
    if operation == "none":
        return NONE
    if operation == "skip_connect":
        return SKIP
    if "_pool" in operation:
        return POOLING
    if operation.startswith("sep_conv"):
        return SEPARABLE
    if operation.startswith("dil_conv"):
        return DILATED
    return CONVOLUTION


def readable(operation: str) -> str:
    """The operation's name for a picture.

    >>> readable("sep_conv_3x3"), readable("conv_7x1_1x7"), readable("nor_conv_1x1"), readable("skip_connect")
    ('sep conv 3×3', 'conv 7×1 1×7', 'conv 1×1', 'skip')
    """
    if operation == "skip_connect":
        return "skip"
    return re.sub(r"(?<=\d)x(?=\d)", "×", operation.removeprefix("nor_")).replace("_", " ")


def one_line(text: str) -> str:
    """A text without line breaks and control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def tint(colour: str, share: float) -> str:
    """`colour` ("#rrggbb") mixed into white; `share` 1 is the colour itself, 0 is white."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (channel - 255) * share):02x}" for channel in channels)
