"""Parts that several networks have."""

from nascli.graphs.builder import Builder
from nascli.graphs.operations import Concat, Pick


def factorised_reduction(
    build: Builder,
    name: str,
    rectified: str,
    out: int,
    *,
    stride: int = 2,
    sources: tuple[int, ...] = (),
    affine: bool = True,
) -> str:
    """Two 1x1 convolutions with half the outputs each, the second on the map shifted by one pixel; concatenated; BN.

    `rectified` is a map after its ReLU; `sources` counts its channels by where they come from (empty: one source). If
    `out` is odd, the second convolution has one output more. The pixels are picked first, so that the convolutions have
    no stride: oneDNN's weight gradient of a strided 1x1 convolution writes beyond its memory for 2 to 6 channels-last
    input channels (torch 2.11, x86). Raises ValueError for fewer than two outputs.
    """
    if out < 2:
        raise ValueError(f"a factorised reduction splits its outputs in two; {out} is too few")
    picked = build.add(f"{name}.pick", Pick(stride, 0), rectified) if stride > 1 else rectified
    conv = build.conv(f"{name}.conv", picked, out // 2, sources=sources)
    shifted = build.add(f"{name}.shift", Pick(stride, 1), rectified)
    shifted_conv = build.conv(f"{name}.shifted_conv", shifted, out - out // 2, sources=sources)
    return build.norm(f"{name}.norm", build.add(f"{name}.concat", Concat(), conv, shifted_conv), affine=affine)
