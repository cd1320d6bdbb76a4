"""What a shell may complete a value to."""

from collections.abc import Callable, Iterable

Completion = Callable[[str], list[str]]


def among(names: Callable[[], Iterable[str]]) -> Completion:
    """A completion to one of `names()`, which are looked up when the shell asks."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in sorted(names()) if name.startswith(incomplete)]

    return complete


def genotypes() -> list[str]:
    """The published cells, for arguments that take a file or one of their names."""
    from nascli.artifacts.genotypes import published

    return list(published.names())
