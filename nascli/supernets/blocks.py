"""Parts that several super-networks have."""

from nascli.supernets.graph import Builder, Concat, Pick


def factorised_reduction(
    build: Builder, name: str, rectified: str, out: int, *, stride: int = 2, sources: tuple[int, ...] = ()
) -> str:
    """Two 1x1 convolutions of half the outputs, the second on the map shifted by one pixel, concatenated, and BN.

    `rectified` is a map behind its ReLU, `sources` where its channels come from (empty: one place). An odd `out` gives
    the second convolution one more. The pixels are picked before the convolution, which is then one without stride.
    Raises ValueError for fewer than two outputs.
    """
    if out < 2:
        raise ValueError(f"a factorised reduction splits its outputs in two; {out} is too few: give it more width")
    halves = []
    for shift, share in enumerate((out // 2, out - out // 2)):
        picked = build.add(f"{name}.pick{shift}", Pick(stride, shift), rectified) if stride > 1 or shift else rectified
        halves.append(build.conv(f"{name}.conv{shift}", picked, share, sources=sources))
    return build.norm(f"{name}.norm", build.add(f"{name}.concat", Concat(), *halves))
