"""`nascli export`: from a model to what other programs run."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from nascli.cli.options.completion import among
from nascli.cli.options.shared import OUTPUT_PANEL, Json, Overwrite
from nascli.cli.output.printing import print_json
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown

PIXELS = ("uint8", "float")


@command()
def export(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="the result of a training; '-': standard input")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="NAME",
            help="NAME.onnx; NAME.pt2 for torch.export; NAME/ for a folder with code that needs torch alone",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ],
    pixels: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="uint8|float",
            help="what the network takes: integers from 0 to 255, or numbers from 0 to 1",
            autocompletion=among(lambda: list(PIXELS)),
        ),
    ] = "uint8",
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="FOLDER",
            help="pictures on which the result is compared with the model; by default the test images, if they are "
            "there, else noise",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model for use elsewhere: ONNX, torch.export, code.

    The network normalises its images itself.

    Before it is written, it is run on pictures: every logit must be within 1e-4 of the model's.
    """
    if pixels not in PIXELS:
        raise UsageError(unknown("--input", pixels, PIXELS))

    from nascli.core.engine.export import export as engine

    kind = cast(Literal["uint8", "float"], pixels)
    result = engine.export(model, output, input=kind, check=check, overwrite=overwrite)
    if not session.quiet:
        line = f"checked on {result.checked_on}: logits within {result.largest_difference:.1e} of the model's"
        print(line, file=sys.stderr)
    if json:
        print_json(dataclasses.asdict(result))
    else:
        print(result.path)
