"""A genotype's file says what it must, or every fault with its place."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from nascli.artifacts import published
from nascli.artifacts.genotype import (
    LARGEST_FILE,
    Cell,
    CellGenotype,
    GenotypeFile,
    Pick,
    genotype_bytes,
    genotype_schema,
    parse_genotype,
)
from nascli.errors import ArtifactError
from tests.artifacts.examples import provenance


def document() -> dict[str, Any]:
    """The JSON of a published cell."""
    loaded: dict[str, Any] = json.loads(genotype_bytes(published.load("pc-darts-cifar10")))
    return loaded


def parse(changed: dict[str, Any]) -> GenotypeFile:
    return parse_genotype(json.dumps(changed).encode(), "cell.json")


def faults(changed: dict[str, Any]) -> str:
    with pytest.raises(ArtifactError) as caught:
        parse(changed)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_round_trip_is_exact_and_stable() -> None:
    file = published.load("nasnet-a").model_copy(update={"provenance": provenance(note="α")})
    data = genotype_bytes(file)
    assert parse_genotype(data, "x") == file
    assert genotype_bytes(parse_genotype(data, "x")) == data
    assert "α".encode() in data


def test_a_log_probability_is_kept_to_the_bit_and_left_out_where_there_is_none() -> None:
    file = published.load("pc-darts-cifar10")
    assert "log_probability" not in document()
    assert parse(document()).log_probability is None
    for value in (0.0, -50.284529356013195, -1e-300):
        known = file.model_copy(update={"log_probability": value})
        assert parse_genotype(genotype_bytes(known), "x") == known
        assert json.loads(genotype_bytes(known)) == {**document(), "log_probability": value}
    assert parse(document() | {"log_probability": -3}).log_probability == -3.0
    assert parse(document() | {"log_probability": None}) == file
    for wrong in (0.5, 10**50, "-1", True):
        assert "log_probability: must be" in faults(document() | {"log_probability": wrong})
    assert genotype_schema()["properties"]["log_probability"]["anyOf"][0] == {"type": "number", "maximum": 0}
    assert "log_probability" not in genotype_schema()["required"]


def test_the_order_of_a_nodes_picks_makes_no_other_network() -> None:
    genotype = published.load("pc-darts-cifar10").genotype
    turned = genotype.normal.model_copy(update={"nodes": tuple(node[::-1] for node in genotype.normal.nodes)})
    other = genotype.normal.model_copy(update={"nodes": genotype.normal.nodes[:3] + genotype.reduce.nodes[3:]})
    assert genotype.model_copy(update={"normal": turned}).network() == genotype.network()
    assert genotype.model_copy(update={"normal": other}).network() != genotype.network()
    assert genotype.model_copy(update={"normal": genotype.reduce, "reduce": genotype.normal}).network() != (
        genotype.network()
    )


def test_the_places_of_faults_are_named() -> None:
    changed = document()
    changed["genotype"]["normal"]["nodes"][1][0]["input"] = 7
    changed["genotype"]["reduce"]["concat"] = [2, 2, 1, 6]
    assert faults(changed) == (
        "cell.json: normal.nodes[1][0].input: 7 does not come before node 3 (states 0-2); "
        "reduce.concat[1]: 2 is there twice; reduce.concat[2]: 1 is not one of the nodes (2-5); "
        "reduce.concat[3]: 6 is not one of the nodes (2-5)"
    )


def test_a_node_may_read_the_one_before_it_but_not_itself() -> None:
    changed = document()
    pick = changed["genotype"]["normal"]["nodes"][3][1]
    pick["input"] = 4
    assert parse(changed).genotype.normal.nodes[3][1].input == 4
    pick["input"] = 5
    assert "normal.nodes[3][1].input: 5 does not come before node 5 (states 0-4)" in faults(changed)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("normal", "nodes", 1, 0, "op"), "sep_conv_9x9", "normal.nodes[1][0].op: unknown op 'sep_conv_9x9': did you"),
        (("normal", "nodes", 0, 0, "op"), "none", "normal.nodes[0][0].op: unknown op 'none'"),
        (("normal", "nodes", 0, 0, "op"), 3, "normal.nodes[0][0].op: must be a valid string, not 3"),
        (
            ("normal", "nodes", 0, 0, "input"),
            -1,
            "normal.nodes[0][0].input: must be greater than or equal to 0",
        ),
        (("normal", "nodes", 0, 0, "input"), "1", "normal.nodes[0][0].input: must be a valid integer, not '1'"),
        (("normal", "nodes", 0, 0, "input"), True, "normal.nodes[0][0].input: must be a valid integer, not True"),
        (("normal", "nodes", 0, 0, "input"), 1.0, "normal.nodes[0][0].input: must be a valid integer, not 1.0"),
        (("normal", "nodes", 0, 0, "input"), 10**30, "normal.nodes[0][0].input: 10000000000000000"),
        (("normal", "nodes", 0), [], "normal.nodes[0]: is empty"),
        (("normal", "nodes"), [], "normal.nodes: is empty"),
        (("normal", "nodes"), [[{"op": "skip_connect", "input": 0}]] * 33, "normal.nodes: has more than 32 items"),
        (("normal", "nodes", 0), [{"op": "skip_connect", "input": 0}] * 17, "normal.nodes[0]: has more than 16 items"),
        (("normal", "nodes"), 10_000_000, "normal.nodes: must be a valid"),
        (("reduce", "concat"), [], "reduce.concat: is empty"),
        (("reduce", "concat"), None, "reduce.concat: must be a valid"),
        (("reduce", "extra"), 1, "reduce.extra: unknown field"),
        (("kind",), "chanels", "kind: unknown kind 'chanels': did you mean 'channels'? Known: cell, channels"),
        (("kind",), 3, "kind: unknown kind '3'. Known: cell, channels"),
        (("kind",), ["cell"], "kind: unknown kind \"['cell']\""),
        (("space",), "dart", "space: unknown space 'dart': did you mean 'darts'?"),
    ],
)
def test_a_fault_is_named_with_its_place(path: tuple[str | int, ...], value: object, message: str) -> None:
    changed = document()
    *parents, last = path
    target = changed["genotype"]
    for key in parents:
        target = target[key]
    target[last] = value
    assert faults(changed).startswith(f"cell.json: {message}")


def test_missing_parts_and_headings() -> None:
    changed = document()
    del changed["genotype"]["kind"]
    assert faults(changed) == "cell.json: kind: is missing"
    assert faults(document() | {"genotype": [1]}) == "cell.json: genotype: must be an object"
    for key, message in {
        "format": 'is not a file of nascli: it names no "format"',
        "version": "version: must be a whole number from 1 to 1, not None",
        "genotype": "genotype: is missing",
        "provenance": "provenance: is missing",
    }.items():
        changed = document()
        del changed[key]
        assert faults(changed) == f"cell.json: {message}"
    assert "'nascli-run' was found where 'nascli-genotype' is needed" in faults(document() | {"format": "nascli-run"})
    assert "written by a newer nascli (format version 2; this one reads 1)" in faults(document() | {"version": 2})
    assert "version: must be a whole number" in faults(document() | {"version": True})
    assert "provenance.seed: must" in faults(document() | {"provenance": provenance().model_dump() | {"seed": "x"}})


def test_many_faults_are_counted_not_listed() -> None:
    changed = document()
    for node in changed["genotype"]["normal"]["nodes"]:
        for pick in node:
            pick["op"] = "conv"
    message = faults(changed)
    assert message.endswith("; and 3 more")
    assert message.count("unknown op") == 5


def test_millions_of_nodes_are_refused_before_they_are_parsed() -> None:
    node = b'[{"op":"skip_connect","input":0}],'
    data = b'{"format":"nascli-genotype","version":1,"genotype":{"normal":{"nodes":[' + node * 1_000_000
    with pytest.raises(ArtifactError, match=f"has at most {LARGEST_FILE:,}"):
        parse_genotype(data, "cell.json")


def test_what_the_published_cells_need_is_legal() -> None:
    twice = Pick(op="avg_pool_3x3", input=0)
    cell = Cell(nodes=((twice, twice), (twice,), (twice, twice, twice)), concat=(4,))
    assert CellGenotype(normal=cell, reduce=cell).share("avg_pool_3x3") == 1.0


def test_genotypes_made_in_python_are_checked_too() -> None:
    with pytest.raises(ValidationError, match=r"nodes\[0\]\[0\]\.input: 2 does not come before node 2"):
        Cell(nodes=((Pick(op="skip_connect", input=2),),), concat=(2,))


def test_share_counts_picks_of_both_cells() -> None:
    # darts-v1: normal has skip_connect in nodes 1, 2, 3; reduce in nodes 1, 2, 3: 6 of 16 picks.
    assert published.load("darts-v1").genotype.share("skip_connect") == 6 / 16


def test_schema_lists_the_operations_and_bounds() -> None:
    schema = genotype_schema()
    pick = schema["$defs"]["Pick"]["properties"]
    assert "sep_conv_7x7" in pick["op"]["enum"]
    assert "none" not in pick["op"]["enum"]
    assert pick["input"]["minimum"] == 0
    assert schema["$defs"]["Cell"]["properties"]["nodes"]["maxItems"] == 32
