"""`nascli info`: what a file is, what it was made from, and how big it is."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nascli.cli.options.completion import among, genotypes
from nascli.cli.options.shared import TRUTH_PANEL, Json, Table
from nascli.cli.output.printing import print_json
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown
from nascli.registry import DATASETS, SCENES, SUPERNETS, TASKS, lookup

SCHEMAS = ("genotype",)
LATENCY_PANEL = "Latency"
SIZE_PANEL = "Size of a genotype's network or a super-network"


@command()
def info(
    session: Session,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="a genotype, distribution, model or part of a ranking; a published cell's name; '-': standard input",
            autocompletion=among(genotypes),
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="|".join(SCHEMAS),
            help="only print the JSON Schema of a kind of file",
            autocompletion=among(lambda: SCHEMAS),
        ),
    ] = None,
    supernet: Annotated[
        str | None,
        typer.Option(
            "--supernet",
            metavar="NAME",
            help="describe a super-network instead of a file (see 'nascli list supernets')",
            autocompletion=among(lambda: SUPERNETS),
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="data set whose training recipe sizes the network; by default that of the search or the publication",
            autocompletion=among(lambda: [*DATASETS, *SCENES]),
            rich_help_panel=SIZE_PANEL,
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", help="cells", rich_help_panel=SIZE_PANEL)] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", help="channels of the first cell", rich_help_panel=SIZE_PANEL)
    ] = None,
    width: Annotated[
        int, typer.Option("--width", help="width of a super-network; 0: as published", rich_help_panel=SIZE_PANEL)
    ] = 0,
    depth: Annotated[
        int,
        typer.Option(
            "--depth", help="blocks in each stage of a super-network; 0: as published", rich_help_panel=SIZE_PANEL
        ),
    ] = 0,
    pooling_paths: Annotated[
        bool,
        typer.Option(
            "--pooling-paths",
            metavar="",
            help="a super-network with a 1x1 convolution after each pooling",
            rich_help_panel=SIZE_PANEL,
        ),
    ] = False,
    classes: Annotated[
        int | None, typer.Option("--num-classes", help="outputs of the network", rich_help_panel=SIZE_PANEL)
    ] = None,
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="side of the images, in pixels", rich_help_panel=SIZE_PANEL)
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            metavar="|".join(TASKS),
            help="what the network is for; detect: as the backbone of a detector",
            autocompletion=among(lambda: TASKS),
            rich_help_panel=SIZE_PANEL,
        ),
    ] = "classify",
    latency: Annotated[
        bool,
        typer.Option(
            "--latency",
            metavar="",
            help="also measure how long the network takes to answer on this machine",
            rich_help_panel=LATENCY_PANEL,
        ),
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=2,
            max=100_000,
            metavar="N",
            help="images in the larger of the two batches that --latency measures; default 32",
            rich_help_panel=LATENCY_PANEL,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="where --latency measures: 'auto', 'cpu', 'cuda' or 'cuda:N'; default auto",
            rich_help_panel=LATENCY_PANEL,
        ),
    ] = None,
    table: Table = None,
    expected: Annotated[
        bool,
        typer.Option(
            "--expected",
            metavar="",
            help="also print the mean accuracy under a distribution; needs --table",
            rich_help_panel=TRUTH_PANEL,
        ),
    ] = False,
) -> None:
    """Show what a file is, what it was made from and how big it is.

    With --supernet instead of a file: how big a super-network is. With --table: the true accuracy of a cell, too.

    With --task detect: how big a detector with the genotype's network as its backbone is.

    With --latency: the milliseconds of a forward pass of one image and of a batch, the median of many in turn.
    """
    if not latency and (batch_size is not None or device is not None):
        raise UsageError("--batch-size and --device say how to measure: give --latency, too")
    lookup(TASKS, "--task", task)
    if task != "classify" and (source is None or table is not None or latency):
        raise UsageError(f"--task {task} sizes the network of a genotype: name one, without --table and --latency")
    measured = {"batch_size": batch_size or 32, "device": device or "auto"} if latency else None
    if schema is not None:
        _print_schema(schema)
    elif latency and source is None:
        raise UsageError("--latency measures the network of a genotype or a model: name a file")
    elif supernet is not None:
        if source is not None or layers is not None or channels is not None or table is not None:
            raise UsageError("--supernet takes no file and no table; --width and --depth give its size")
        size = {
            "width": width,
            "depth": depth,
            "pooling_paths": pooling_paths,
            "dataset": dataset,
            "classes": classes,
            "image_size": image_size,
        }
        _print_supernet(supernet, size, json)
    else:
        if width or depth or pooling_paths:
            raise UsageError("--width, --depth and --pooling-paths are of a super-network: name it by --supernet")
        if source is None:
            raise UsageError("give a file, a published cell's name, --supernet NAME, or --schema genotype")
        if expected and table is None:
            raise UsageError("--expected is for the accuracies of a table: give --table, too")
        asked = {"layers": layers, "channels": channels, "classes": classes, "image_size": image_size}
        _print_artifact(source, dataset, asked, table, measured, expected=expected, json=json, task=task)


def _print_schema(schema: str) -> None:
    from nascli.artifacts.genotypes.genotype import genotype_schema

    if schema not in SCHEMAS:
        raise UsageError(unknown("--schema", schema, SCHEMAS))
    print_json(genotype_schema())


def _print_supernet(name: str, size: dict[str, Any], json: bool) -> None:
    from nascli.cli.descriptions import supernet as supernet_description

    described = supernet_description.describe_supernet(name, **size)
    if json:
        print_json(described)
    else:
        print(supernet_description.text(described))


def _print_artifact(
    source: str,
    dataset: str | None,
    asked: dict[str, int | None],
    table: Path | None,
    measured: dict[str, Any] | None,
    *,
    expected: bool,
    json: bool,
    task: str,
) -> None:
    """Print the facts about a file and, with a table, its true accuracies; `measured`: how to measure its latency."""
    from nascli.artifacts.files.disk import read_once
    from nascli.artifacts.load import load_artifact
    from nascli.cli.descriptions.artifact import describe_artifact, text

    read_once(source, table)
    found = load_artifact(source)
    given = {name: value for name, value in asked.items() if value is not None}
    if task == "detect":
        from nascli.cli.descriptions.detector import describe_as_detector

        facts = describe_as_detector(found, dataset, given)
    else:
        facts = describe_artifact(found, dataset, given)
    if table is not None:
        from nascli.artifacts.truth import load_table
        from nascli.cli.descriptions.truth import truth_facts

        facts["truth"] = truth_facts(found, load_table(table), expected=expected)
    if measured is not None:
        from nascli.cli.descriptions.latency import latency_facts
        from nascli.core.engine.latency import latency_of

        facts["latency"] = latency_facts(latency_of(found, facts.get("settings", {}), **measured))
    if json:
        print_json(facts)
    else:
        print(text(found, facts))
