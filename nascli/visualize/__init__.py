"""Pictures and texts of what passes between stages: genotypes, distributions, the course of runs.

`visualize` makes files, `described` makes what is printed. The libraries that draw (matplotlib, rich, numpy) are
imported only then. To add a picture, write a function `(artifact, format, title) -> bytes` in a module of its own, and
its line in `_RENDERERS`; for a kind of genotype or distribution, in its row of `nascli.registry`. A text, "txt", is a
function of the artifact alone and returns what rich prints.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nascli.errors import UsageError, unknown
from nascli.registry import DISTRIBUTIONS, GENOTYPES, load
from nascli.visualize.mistakes.sheet import Sheet
from nascli.visualize.runs.judged import Judged
from nascli.visualize.runs.scored import Candidates

if TYPE_CHECKING:
    from rich.console import RenderableType

FORMATS: Mapping[str, str] = {
    "svg": ".svg",
    "png": ".png",
    "pdf": ".pdf",
    "dot": ".dot",
    "mermaid": ".mmd",
    "txt": ".txt",
}
"""The formats, each with the ending of its files."""

PICTURES = ("svg", "png", "pdf")

_RENDERERS: Mapping[str, Mapping[str, str]] = {
    **{
        kind.title: {
            **dict.fromkeys(PICTURES, kind.picture),
            **{form: f"{kind.graph}:{form}" for form in ("dot", "mermaid")},
            "txt": kind.text,
        }
        for kind in GENOTYPES.values()
    },
    "wrong answers": {
        **dict.fromkeys(PICTURES, "nascli.visualize.mistakes.sheet_picture:draw_sheet"),
        "txt": "nascli.visualize.mistakes.sheet_text:describe_sheet",
    },
    "the candidates of a posterior": {
        **dict.fromkeys(PICTURES, "nascli.visualize.runs.candidates:draw_candidates"),
        "txt": "nascli.visualize.runs.candidates_text:describe_candidates",
    },
    "the true accuracy of searches": {
        **dict.fromkeys(PICTURES, "nascli.visualize.runs.truth:draw_truth"),
        "txt": "nascli.visualize.runs.truth_text:describe_truth",
    },
    "the course of a run": {
        **dict.fromkeys(PICTURES, "nascli.visualize.runs.run:draw_runs"),
        "txt": "nascli.visualize.runs.run_text:describe_runs",
    },
    **{kind.title: {**dict.fromkeys(PICTURES, kind.picture), "txt": kind.text} for kind in DISTRIBUTIONS.values()},
}


def visualize(artifact: Any, *, format: str, title: str | None = None) -> bytes:
    """The picture of an artifact: the same bytes for the same artifact, format and title.

    `artifact` is a `Genotype` or a `Distribution` of any kind; a `Sheet` of wrong answers; the `Candidates` of a
    posterior; searches that are `Judged` by a table; the rows of one run's metrics.jsonl; or several such lists by the
    names of their runs. Raises UsageError if the format is unknown or doesn't fit the artifact, and DataError if no
    picture of a sheet can be read.
    """
    if format not in FORMATS:
        raise UsageError(unknown("format", format, FORMATS))
    what = _what(artifact)
    renderers = _RENDERERS[what]
    if format not in renderers:
        raise UsageError(f"no picture of {what} comes in the format {format!r}; known: {', '.join(renderers)}")
    if format == "txt":
        from nascli.visualize.text import plain, titled

        return plain(titled(described(artifact), title)).encode()
    picture: bytes = load(renderers[format])(artifact, format, title)
    return picture


def described(artifact: Any) -> "RenderableType":
    """An artifact in words, tables and trees, for a terminal of any width. Raises UsageError as `visualize` does."""
    content: RenderableType = load(_RENDERERS[_what(artifact)]["txt"])(artifact)
    return content


def _what(artifact: object) -> str:
    kind = getattr(artifact, "kind", "")
    if known := GENOTYPES.get(kind) or DISTRIBUTIONS.get(kind):
        return known.title
    if isinstance(artifact, Candidates):
        return "the candidates of a posterior"
    if isinstance(artifact, Sheet):
        return "wrong answers"
    if isinstance(artifact, Judged):
        return "the true accuracy of searches"
    if isinstance(artifact, Mapping | Sequence) and not isinstance(artifact, str | bytes):
        return "the course of a run"
    raise UsageError(f"there is no picture of a {type(artifact).__name__}; there is one of {', '.join(_RENDERERS)}")
