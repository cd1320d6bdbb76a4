"""`nascli eval` of a detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nascli.cli.options.of_config import resolve
from nascli.cli.output.printing import aligned, print_json
from nascli.cli.session import Session
from nascli.config import SceneEvalConfig
from nascli.errors import UsageError

if TYPE_CHECKING:
    from nascli.artifacts.load import Artifact, LoadedArtifact
    from nascli.core.engine.detection.evaluate import DetectorEvaluation


def evaluate(
    session: Session,
    given: Mapping[str, Any],
    source: "LoadedArtifact[Artifact]",
    errors: Path | None,
    config: Path | None,
    *,
    json: bool,
) -> None:
    """Measure a detector on test pictures; arguments as those of `nascli eval`."""
    if errors is not None:
        raise UsageError("--errors lists wrong classes: leave it out for a detector")
    resolved = resolve(SceneEvalConfig, given, file=config)

    from nascli.artifacts.detector import DetectorFile
    from nascli.cli.output.progress import progress
    from nascli.core.engine.detection.evaluate import evaluate_detector

    with progress(session) as reporter:
        result = evaluate_detector(source.holding(DetectorFile), resolved, reporter)
    print_json(result.document()) if json else print(table(result))


def table(result: "DetectorEvaluation") -> str:
    """Figures for people: shares in per cent, and the average precision of every class."""
    found = result.precision
    rows: list[tuple[object, ...]] = [
        ("data", result.dataset),
        ("images", f"{result.images:,}"),
        ("boxes", f"{result.boxes:,}"),
        ("AP", _percent(found.ap)),
        ("AP50", _percent(found.ap50)),
        ("AP75", _percent(found.ap75)),
        ("AP small, medium, large", ", ".join(map(_percent, (found.ap_small, found.ap_medium, found.ap_large)))),
        ("AR with 1, 10, 100 boxes", ", ".join(map(_percent, (found.ar_1, found.ar_10, found.ar)))),
        ("AR small, medium, large", ", ".join(map(_percent, (found.ar_small, found.ar_medium, found.ar_large)))),
        ("parameters", f"{result.parameters:,}"),
        ("multiply-adds", f"{result.multiply_adds:,}"),
        ("of the backbone", f"{result.backbone_multiply_adds:,}"),
        ("images/s", f"{result.images_per_second:,.0f} ({result.device})"),
    ]
    classes = [(name, _percent(value)) for name, value in found.per_class.items()]
    return "\n\n".join([aligned(rows), aligned([("class", "AP"), *classes])])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
