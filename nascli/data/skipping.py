"""Advice to leave images out, where that is possible."""

from nascli.distributed import launch


def or_skip(words: str) -> str:
    """The words, which speak of --skip-corrupt; nothing under torchrun, where each process would leave out others."""
    return words if launch.count() == 1 else ""
