"""Where a command's result goes, and what is printed about it."""

from collections.abc import Iterable
from pathlib import Path

from nascli.artifacts.files.disk import PIPE, refuse_overwriting
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.cli.options.shared import StageOptions
from nascli.cli.output.printing import print_json
from nascli.core.engine.destination import Destination
from nascli.errors import UsageError


def destination(
    output: Path,
    run_dir: Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    json: bool = False,
    config: Path | None = None,
) -> Destination:
    """Where to write the result.

    Raises UsageError if the result and the JSON about it would share standard output, or if the result would replace
    its configuration file.
    """
    refuse_overwriting([output], [config])
    if json and str(output) == PIPE:
        raise UsageError("--json and '-o -' both need standard output: give -o a file")
    return Destination(output, run_dir, resume, overwrite)


def stage_destination(stage: StageOptions) -> Destination:
    """`destination` for a command with these options."""
    return destination(
        stage.output,
        stage.run_dir,
        resume=stage.resume,
        overwrite=stage.overwrite,
        json=stage.json,
        config=stage.config,
    )


def print_result(result: LoadedArtifact[Artifact], target: Destination, json: bool) -> None:
    """Print the path of a result, alone or in JSON; nothing if the result itself went to standard output."""
    if str(target.output) == PIPE:
        return
    if json:
        print_json(_facts(result, target))
    else:
        print(target.output)


def print_results(results: Iterable[tuple[LoadedArtifact[Artifact], Destination]], json: bool) -> None:
    """Print the paths of several results, one per line, or a list as JSON."""
    if json:
        print_json([_facts(result, target) for result, target in results])
    else:
        for _, target in results:
            print(target.output)


def _facts(result: LoadedArtifact[Artifact], target: Destination) -> dict[str, str]:
    return {"path": str(target.output), "artifact": result.kind, "sha256": result.sha256}
