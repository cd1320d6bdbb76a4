"""What a node of a graph may do to the maps that it reads. These are records only; `nascli.core.nn` computes them."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Image:
    """The network's input."""

    channels: int


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, with `out` outputs. `padding` None: the map keeps its size at stride 1.

    `sources` counts the channels of its input by where they come from, in order. Each source has a drop probability of
    its own, and a mask multiplies the input. Empty: the convolution always reads everything. A `depthwise` one has as
    many outputs as inputs and no mask. `passes` says of every output of a 1x1 convolution which channel of the input it
    equals at the start of a training, -1 for none (zeros). Empty: the weights start at random.
    """

    out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: int | None = None
    depthwise: bool = False
    sources: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()

    @property
    def pad(self) -> int:
        """Zeros on each side."""
        return self.dilation * (self.kernel // 2) if self.padding is None else self.padding


@dataclass(frozen=True)
class Crossed:
    """A row-wise 1 x k convolution of stride (1, s), then a column-wise k x 1 one of stride (s, 1). No mask."""

    kernel: int
    stride: int


@dataclass(frozen=True)
class Norm:
    """Batch norm, with a learnt scale and shift where it is `affine`."""

    affine: bool = True


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class MaxPool:
    """The largest value of a window; pixels beyond the border do not count.

    `ceil`: the last window may reach beyond the border, so that no row or column of an odd side is left out.
    """

    kernel: int
    stride: int
    pad: int
    ceil: bool = False


@dataclass(frozen=True)
class AvgPool:
    """The mean of those pixels of a window that are on the map. `ceil` as in `MaxPool`."""

    kernel: int
    stride: int
    pad: int
    ceil: bool = False


@dataclass(frozen=True)
class Pick:
    """Every `stride`-th pixel from pixel (shift, shift) on; zero beyond the border. Sides are rounded up."""

    stride: int
    shift: int


@dataclass(frozen=True)
class DropPath:
    """A path that drop-path may leave out in training."""


@dataclass(frozen=True)
class Sum:
    """The sum of all inputs."""


@dataclass(frozen=True)
class Concat:
    """The channels of all inputs, one after the other."""


@dataclass(frozen=True)
class Select:
    """Some channels of the input, in rising order."""

    channels: tuple[int, ...]


@dataclass(frozen=True)
class Zeros:
    """Zeros in the shape of the input: a sum of nothing."""


@dataclass(frozen=True)
class Constant:
    """Maps that are the same for every image: what is left of a branch without inputs. Learnt: [channels, rows, rows].

    Such a map has one value except near the border, where padded convolutions change it. The first and the last
    (rows - 1) / 2 rows and columns have values of their own, those between share one. `side` is that of the maps. The
    input, the image, only gives the batch size.
    """

    channels: int
    side: int
    rows: int = 1


@dataclass(frozen=True)
class MixOperations:
    """The sum of all inputs, each with the weight of an operation on an edge of a cell type.

    The weights are an argument of the network: those in row `edge` and `columns` of the table of `cell`.
    """

    cell: str
    edge: int
    columns: tuple[int, ...]


@dataclass(frozen=True)
class MixEdges:
    """The sum of all inputs, each with the weight of an edge of a cell type: entries `edges` of the table of `cell`.

    The weights are an argument of the network; without them it is a plain sum.
    """

    cell: str
    edges: tuple[int, ...]


@dataclass(frozen=True)
class Draw:
    """The `channels` channels of the input that an edge mixes: the first, or those that an argument names.

    `position` is that of the cell in the network, `edge` the edge's row in the cell.
    """

    position: int
    edge: int
    channels: int


@dataclass(frozen=True)
class Restore:
    """The first input with its drawn channels (see `Draw`) replaced by the second input."""

    position: int
    edge: int


@dataclass(frozen=True)
class Shuffle:
    """Channel k·P + q becomes channel q·groups + k, P = channels / groups; none moves if drawn channels are named."""

    groups: int


@dataclass(frozen=True)
class GlobalPool:
    """The mean of each map. -> [B, C]"""


@dataclass(frozen=True)
class Linear:
    """A linear layer with bias."""

    out: int


Op: TypeAlias = (
    Image
    | Conv
    | Crossed
    | Norm
    | Relu
    | MaxPool
    | AvgPool
    | Pick
    | DropPath
    | Sum
    | Concat
    | Select
    | Zeros
    | Constant
    | MixOperations
    | MixEdges
    | Draw
    | Restore
    | Shuffle
    | GlobalPool
    | Linear
)
