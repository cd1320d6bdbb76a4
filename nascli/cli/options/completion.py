"""The values that a shell can complete."""

from collections.abc import Callable, Iterable

Completion = Callable[[str], list[str]]


def among(names: Callable[[], Iterable[str]]) -> Completion:
    """A completion to one of `names()`, which is called when the shell asks."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in sorted(names()) if name.startswith(incomplete)]

    return complete


def genotypes() -> list[str]:
    """The names of the published cells, for arguments that take a file or such a name."""
    from nascli.artifacts.genotypes import published

    return list(published.names())
