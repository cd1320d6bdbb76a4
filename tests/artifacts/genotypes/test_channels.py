"""A genotype of channels keeps what its ranges say, and every fault in it is named with its place."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nascli.artifacts.genotypes.channels import ChannelsGenotype, parse_ranges, ranges
from nascli.artifacts.genotypes.genotype import (
    LARGEST_FILE,
    GenotypeFile,
    genotype_bytes,
    genotype_schema,
    parse_genotype,
    text_form,
)
from nascli.errors import ArtifactError, UsageError
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim
from nascli.registry import SPACES, SUPERNETS
from nascli.spaces.network_settings import DataShape
from nascli.supernets import stages_of, supernet
from tests.artifacts.examples import channels_genotype, provenance

FIRST = "stage0.block0.branch0.conv1"


def parse(changed: dict[str, Any]) -> GenotypeFile:
    return parse_genotype(json.dumps(changed).encode(), "cell.json")


def document(**changes: object) -> dict[str, Any]:
    """The JSON of a genotype of channels, with entries of the genotype changed, or without those that are None."""
    file = GenotypeFile(genotype=channels_genotype(), provenance=provenance(method="pgnas"))
    loaded: dict[str, Any] = json.loads(genotype_bytes(file))
    merged = loaded["genotype"] | changes
    return loaded | {"genotype": {name: value for name, value in merged.items() if value is not None}}


def kept(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The document after `change` was applied to the ranges."""
    found = document()
    change(found["genotype"]["kept"])
    return found


@given(st.sets(st.integers(0, 60)))
def test_ranges_say_exactly_which_channels(chosen: set[int]) -> None:
    text = ranges(sorted(chosen))
    # Enumerated in another way: every number that lies between the ends of a part.
    pairs = [part.split("-") for part in text.split(",")] if text else []
    assert {n for n in range(61) for first, *last in pairs if int(first) <= n <= int((last or [first])[0])} == chosen
    assert [channel for part in parse_ranges(text, 61) for channel in part] == sorted(chosen)
    assert len(pairs) == sum(channel - 1 not in chosen for channel in chosen), "as few parts as there are runs"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-", "'0-' is neither a channel nor a range"),
        ("-3", "'-3' is neither"),
        ("0,,2", "'' is neither"),
        (" 1", "' 1' is neither"),
        ("1.5", "'1.5' is neither"),
        ("0x1", "'0x1' is neither"),
        ("007", "'007' is neither"),
        ("٣", "'٣' is neither"),
        ("0\n", r"'0\\n' is neither"),
        ("9" * 10_000, "'99999"),
        ("8", "channel 8 is not there: the convolution has 8, counted from 0"),
        ("3-999999999", "channel 999999999 is not there"),
        ("3-2", "'3-2' does not come after what is before it"),
        ("0-3,3", "'3' does not come after"),
        ("4,2", "'2' does not come after"),
    ],
)
def test_text_that_is_no_ranges(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_ranges(text, 8)
    assert len(str(caught.value)) < 150


def test_neighbouring_parts_need_not_be_joined() -> None:
    changed = dict(channels_genotype().kept) | {FIRST: "0,1,2-15"}
    parted = ChannelsGenotype(supernet="resnet-mb", width=4, stages=(1, 1, 1), kept=changed)
    joined = ChannelsGenotype(supernet="resnet-mb", width=4, stages=(1, 1, 1), kept=changed | {FIRST: "0-15"})
    assert parted.channels[FIRST] == tuple(range(16))
    assert parted.network() == joined.network()
    assert parted.network() != channels_genotype().network()


def test_round_trip_is_exact_and_stable() -> None:
    file = parse(document())
    assert file.genotype == channels_genotype()
    assert genotype_bytes(parse_genotype(genotype_bytes(file), "x")) == genotype_bytes(file)
    assert file.genotype.channels["stage0.block0.branch0.conv2"] == ()
    assert list(file.genotype.channels) == list(document()["genotype"]["kept"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (kept(lambda k: k.update({FIRST: "0-99"})), f"kept['{FIRST}']: channel 99 is not there: the convolution has"),
        (kept(lambda k: k.update({FIRST: "2,1"})), f"kept['{FIRST}']: '1' does not come after"),
        (kept(lambda k: k.update({FIRST: [0, 1]})), f"kept['{FIRST}']: must be a valid string"),
        (kept(lambda k: k.update({FIRST: 3})), f"kept['{FIRST}']: must be a valid string, not 3"),
        (kept(lambda k: k.pop(FIRST)), f"kept['{FIRST}']: is missing"),
        (kept(lambda k: k.update(conv9="0")), "kept.conv9: is no masked convolution of resnet-mb"),
        (kept(lambda k: k.update({"stem.conv": "0"})), "kept['stem.conv']: is no masked convolution"),
        (document(kept=None), "kept: is missing"),
        (document(kept=[]), "kept: must be an object"),
        (document(supernet="resnet-m"), "supernet: unknown super-network 'resnet-m': did you mean 'resnet-mb'?"),
        (document(width="4"), "width: must be a valid integer, not '4'"),
        (document(width=True), "width: must be a valid integer, not True"),
        (document(width=4.0), "width: must be a valid integer, not 4.0"),
        (document(width=0), "width: must be greater than or equal to 1, not 0"),
        (document(width=10**9), "width: must be less than or equal to 1024, not 1000000000"),
        (document(supernet="resnet50-inflated", stages=[1, 1, 1, 1], width=3), "width: resnet50-inflated of width 3"),
        (
            document(width=1024, stages=[64, 64, 64]),
            "width: resnet-mb of width 1024 with stages of [64, 64, 64] blocks",
        ),
        (document(stages=[]), "stages: has 0 stages; resnet-mb has 3"),
        (document(stages=[1, 1, 1, 1]), "stages: has 4 stages; resnet-mb has 3"),
        (document(stages=[1, 1, 10**6]), "stages[2]: must be less than or equal to 64, not 1000000"),
        (document(stages=[1, 0, 1]), "stages[1]: must be greater than or equal to 1, not 0"),
        (document(stages=[1] * 1000), "stages: has more than 4 items"),
        (document(stages=3), "stages: must be a valid array, not 3"),
        (document(channels={}), "channels: unknown field"),
        (document(kind="cell"), "cells: is missing; supernet: unknown field"),
        (document(width=2), "kept['stage0.block0.branch1.conv2']: channel 2 is not there: the convolution has 2"),
    ],
)
def test_a_fault_is_named_with_its_place(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        parse(changed)
    assert str(caught.value).startswith(f"cell.json: {message}")
    assert "\n" not in str(caught.value)


def test_made_in_python_it_is_checked_too() -> None:
    everything = {name: range(sum(conv.sources)) for name, conv in nominal("resnet-mb", 4, (1, 1, 1)).masked.items()}
    assert ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), everything).kept_share == 1.0
    with pytest.raises(ValidationError, match="channel 16 is not there"):
        ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), {**everything, FIRST: range(17)})


def nominal(name: str, width: int, stages: tuple[int, ...]) -> Graph:
    side = SUPERNETS[name].stride
    return supernet(name, width, stages, classes=10, image_channels=3, image_size=side)


@pytest.mark.parametrize("name", SUPERNETS)
def test_every_published_supernet_fits_the_largest_file_with_the_longest_ranges(name: str) -> None:
    """Every second channel is what takes the most text."""
    width = SUPERNETS[name].width
    masked = nominal(name, width, stages_of(name)).masked
    every_second = {conv: range(0, sum(op.sources), 2) for conv, op in masked.items()}
    genotype = ChannelsGenotype.of(name, width, stages_of(name), every_second)
    data = genotype_bytes(GenotypeFile(genotype=genotype, provenance=provenance()))
    assert len(data) < LARGEST_FILE / 4
    assert parse_genotype(data, "x").genotype == genotype


@pytest.mark.parametrize("name", SUPERNETS)
@settings(max_examples=5, deadline=None)
@given(st.integers(1, 3), st.integers(4, 9), st.integers(0, 10**6))
def test_names_and_sizes_do_not_depend_on_the_data(name: str, depth: int, width: int, seed: int) -> None:
    """Any choice of channels makes a genotype whose channels are those of the super-network for other images."""
    stages, draw = stages_of(name, depth), random.Random(seed)
    shape = DataShape(classes=7, image_channels=2, image_size=SUPERNETS[name].stride * 2 + 1)
    graph = supernet(name, width, stages, classes=7, image_channels=2, image_size=shape.image_size)
    chosen = {
        conv: [channel for channel in range(sum(op.sources)) if draw.random() < 0.5]
        for conv, op in graph.masked.items()
    }
    genotype = ChannelsGenotype.of(name, width, stages, chosen)
    assert genotype.whole(shape) == graph
    assert genotype.graph(shape) == slim(graph, chosen).graph
    assert {conv: list(channels) for conv, channels in genotype.channels.items()} == chosen
    assert genotype.kept_share == sum(map(len, chosen.values())) / graph.mask_size


def test_images_too_small_for_it_are_refused() -> None:
    with pytest.raises(UsageError, match="images of 3x3 are too small for resnet-mb"):
        channels_genotype().graph(DataShape(classes=2, image_channels=1, image_size=3))


@pytest.mark.parametrize("space", SPACES)
def test_no_spaces_text_form_can_say_it(space: str) -> None:
    message = f"the text form of {space} is for its cells, not for a genotype of the space resnet-mb: use JSON"
    with pytest.raises(UsageError, match=message):
        text_form(channels_genotype(), space)


def test_the_schema_has_both_kinds_with_their_bounds() -> None:
    schema = genotype_schema()
    choice = schema["properties"]["genotype"]
    assert choice["discriminator"]["mapping"].keys() == {"cell", "channels"}
    for kind, required in (("CellGenotype", {"cells"}), ("ChannelsGenotype", set(document()["genotype"]))):
        assert set(schema["$defs"][kind]["required"]) == required | {"kind"}
    of_channels = schema["$defs"]["ChannelsGenotype"]["properties"]
    assert of_channels["supernet"]["enum"] == list(SUPERNETS)
    assert (of_channels["width"]["minimum"], of_channels["width"]["maximum"]) == (1, 1024)
    assert of_channels["stages"]["maxItems"] == 4
    pattern = re.compile(of_channels["kept"]["additionalProperties"]["pattern"])
    assert all(pattern.fullmatch(text) for text in channels_genotype().kept.values())
    assert not any(pattern.fullmatch(text) for text in ("0-", "0,,2", "007", "1.5", ",", "-3"))


def test_only_a_file_with_pooling_paths_speaks_of_them() -> None:
    graph = supernet("enas", 4, (1, 1, 1), classes=1, image_channels=1, image_size=4, pooling_paths=True)
    kept = {conv: range(sum(op.sources)) for conv, op in graph.masked.items()}
    with_paths = ChannelsGenotype.of("enas", 4, (1, 1, 1), kept, pooling_paths=True)
    data = genotype_bytes(GenotypeFile(genotype=with_paths, provenance=provenance()))
    read = parse_genotype(data, "x").genotype
    assert isinstance(read, ChannelsGenotype)
    assert read == with_paths
    assert [name for name in read.channels if name.endswith(".stand_in")]
    assert b"pooling_paths" not in genotype_bytes(GenotypeFile(genotype=channels_genotype(), provenance=provenance()))
    without = data.replace(b'"pooling_paths": true', b'"pooling_paths": false')
    with pytest.raises(ArtifactError, match=r"stand_in.]: is no masked convolution of enas"):
        parse_genotype(without, "x")


def test_a_super_network_without_poolings_has_no_pooling_paths() -> None:
    data = genotype_bytes(GenotypeFile(genotype=channels_genotype(), provenance=provenance()))
    claimed = data.replace(b'"kind": "channels"', b'"kind": "channels", "pooling_paths": true')
    assert claimed != data
    with pytest.raises(ArtifactError, match="pooling_paths: no branch of resnet-mb pools"):
        parse_genotype(claimed, "x")
