"""Measured times of a network as a person reads them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nascli.core.engine.latency import Latency


def shown(latency: "Latency") -> str:
    """`3.2 ms (3.1 to 3.6) for an image, 2 threads`: the median, and where 8 of 10 passes lie."""
    images = "an image" if latency.batch_size == 1 else f"{latency.batch_size:,} images"
    where = f"on {latency.device}" if latency.threads is None else _threads(latency.threads)
    spread = f"({latency.low_ms:.3g} to {latency.high_ms:.3g})"
    pace = f", {1000 * latency.batch_size / latency.median_ms:,.0f} a second" if latency.batch_size > 1 else ""
    return f"{latency.median_ms:.3g} ms {spread} for {images}{pace}, {where}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
