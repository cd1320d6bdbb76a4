"""The facts about a super-network before a search: its size, and how much of it can be dropped."""

from collections.abc import Mapping
from typing import Any

from nascli.cli.output.printing import aligned
from nascli.errors import UsageError
from nascli.registry import DATASETS, SUPERNETS, lookup
from nascli.supernets import stages_of, supernet


def describe_supernet(
    name: str,
    *,
    width: int = 0,
    depth: int = 0,
    pooling_paths: bool = False,
    dataset: str | None = None,
    classes: int | None = None,
    image_size: int | None = None,
) -> dict[str, Any]:
    """Sizes of the super-network called `name`, as published unless given otherwise, for the data of `dataset`.

    Width and depth 0 stand for the published ones, as in a search; the default of `dataset` is the data that the
    super-network was published for. Raises UsageError for impossible sizes, and for data whose shape only the images
    tell.
    """
    row = lookup(SUPERNETS, "super-network", name)
    data = lookup(DATASETS, "dataset", dataset or row.dataset)
    if data.classes is None or data.image_channels is None or data.image_size is None:
        raise UsageError(
            f"only the images of {dataset!r} tell their shape: name similar data, for example --dataset "
            f"{row.dataset}, with --num-classes and --image-size"
        )
    for option, size in (("--num-classes", classes), ("--image-size", image_size)):
        if size is not None and size < 1:
            raise UsageError(f"{option} {size} is less than 1")
    width = width or row.width
    stages = stages_of(name, depth)
    sizes = {
        "classes": classes or data.classes,
        "image_channels": data.image_channels,
        "image_size": image_size or data.image_size,
    }
    graph = supernet(name, width, stages, **sizes, pooling_paths=pooling_paths)
    return {
        "supernet": name,
        "summary": row.summary,
        "paper": row.paper,
        "width": width,
        "stages": list(stages),
        **({"pooling_paths": True} if pooling_paths else {}),
        **sizes,
        "parameters": graph.parameters,
        "multiply_adds": graph.multiply_adds,
        "masked_convolutions": len(graph.masked),
        "groups": len(graph.groups),
        "maskable_channels": graph.mask_size,
    }


def text(facts: Mapping[str, Any]) -> str:
    """The facts as lines."""
    rows = [(label, _shown(facts[key])) for key, label in _SHOWN.items() if key in facts]
    return f"{facts['supernet']}: {facts['summary']}\n{facts['paper']}\n\n{aligned(rows)}"


_SHOWN = {
    "width": "width",
    "stages": "blocks of its stages",
    "pooling_paths": "pooling paths",
    "classes": "classes",
    "image_channels": "image channels",
    "image_size": "image size",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "masked_convolutions": "convolutions with a mask",
    "groups": "drop probabilities",
    "maskable_channels": "channels that can be dropped",
}


def _shown(value: int | list[int]) -> str:
    if value is True:
        return "yes"
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value:,}"
