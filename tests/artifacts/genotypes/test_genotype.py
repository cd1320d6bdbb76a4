"""A genotype's file says what it must, or every fault with its place."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import (
    LARGEST_FILE,
    Cell,
    CellGenotype,
    GenotypeFile,
    Pick,
    as_text,
    genotype_bytes,
    genotype_schema,
    parse_genotype,
    text_form,
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
    normal, reduce = genotype.cells["normal"], genotype.cells["reduce"]
    turned = normal.model_copy(update={"nodes": tuple(node[::-1] for node in normal.nodes)})
    other = normal.model_copy(update={"nodes": normal.nodes[:3] + reduce.nodes[3:]})
    assert CellGenotype(cells={"normal": turned, "reduce": reduce}).network() == genotype.network()
    assert CellGenotype(cells={"normal": other, "reduce": reduce}).network() != genotype.network()
    assert CellGenotype(cells={"normal": reduce, "reduce": normal}).network() != genotype.network()


def test_the_order_of_cells_in_a_file_means_nothing() -> None:
    changed = document()
    cells = changed["genotype"]["cells"]
    turned = changed | {"genotype": changed["genotype"] | {"cells": dict(reversed(cells.items()))}}
    assert list(turned["genotype"]["cells"]) == ["reduce", "normal"]
    assert genotype_bytes(parse(turned)) == genotype_bytes(parse(document()))


def test_cells_of_several_spaces_are_several_networks() -> None:
    """Each is named with its space; one cell of nas-bench-201 is a whole genotype."""
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
    found = parse_genotype(text.encode(), "x").genotype
    assert (found.space, list(found.cells)) == ("nas-bench-201", ["cell"])
    assert found.network()[0] != published.load("enas").genotype.network()[0]
    file = GenotypeFile(genotype=found, provenance=provenance())
    assert parse_genotype(genotype_bytes(file), "x") == file
    assert as_text(found) == text
    assert text_form(found, "nas-bench-201").decode().strip() == text


def test_the_places_of_faults_are_named() -> None:
    changed = document()
    changed["genotype"]["cells"]["normal"]["nodes"][1][0]["input"] = 7
    changed["genotype"]["cells"]["reduce"]["concat"] = [2, 2, 1, 6]
    assert faults(changed) == (
        "cell.json: cells.normal.nodes[1][0].input: 7 does not come before node 3 (states 0-2); "
        "cells.reduce.concat[1]: 2 is there twice; cells.reduce.concat[2]: 1 is not one of the nodes (2-5); "
        "cells.reduce.concat[3]: 6 is not one of the nodes (2-5)"
    )


def test_a_node_may_read_the_one_before_it_but_not_itself() -> None:
    changed = document()
    pick = changed["genotype"]["cells"]["normal"]["nodes"][3][1]
    pick["input"] = 4
    assert parse(changed).genotype.cells["normal"].nodes[3][1].input == 4
    pick["input"] = 5
    assert "cells.normal.nodes[3][1].input: 5 does not come before node 5 (states 0-4)" in faults(changed)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("cells", "normal", "nodes", 1, 0, "op"),
            "sep_conv_9x9",
            "cells.normal.nodes[1][0].op: unknown op 'sep_conv_9x9': did you",
        ),
        (("cells", "normal", "nodes", 0, 0, "op"), "none", "cells.normal.nodes[0][0].op: unknown op 'none'"),
        (("cells", "normal", "nodes", 0, 0, "op"), 3, "cells.normal.nodes[0][0].op: must be a valid string, not 3"),
        (
            ("cells", "normal", "nodes", 0, 0, "input"),
            -1,
            "cells.normal.nodes[0][0].input: must be greater than or equal to 0",
        ),
        (
            ("cells", "normal", "nodes", 0, 0, "input"),
            "1",
            "cells.normal.nodes[0][0].input: must be a valid integer, not '1'",
        ),
        (
            ("cells", "normal", "nodes", 0, 0, "input"),
            True,
            "cells.normal.nodes[0][0].input: must be a valid integer, not True",
        ),
        (
            ("cells", "normal", "nodes", 0, 0, "input"),
            1.0,
            "cells.normal.nodes[0][0].input: must be a valid integer, not 1.0",
        ),
        (("cells", "normal", "nodes", 0, 0, "input"), 10**30, "cells.normal.nodes[0][0].input: 10000000000000000"),
        (("cells", "normal", "nodes", 0), [], "cells.normal.nodes[0]: is empty"),
        (("cells", "normal", "nodes"), [], "cells.normal.nodes: is empty"),
        (
            ("cells", "normal", "nodes"),
            [[{"op": "skip_connect", "input": 0}]] * 33,
            "cells.normal.nodes: has more than 32 items",
        ),
        (
            ("cells", "normal", "nodes", 0),
            [{"op": "skip_connect", "input": 0}] * 17,
            "cells.normal.nodes[0]: has more than 16 items",
        ),
        (("cells", "normal", "nodes"), 10_000_000, "cells.normal.nodes: must be a valid"),
        (("cells", "reduce", "concat"), [], "cells.reduce.concat: is empty"),
        (("cells", "reduce", "concat"), None, "cells.reduce.concat: must be a valid"),
        (("cells", "reduce", "extra"), 1, "cells.reduce.extra: unknown field"),
        (("kind",), "chanels", "kind: unknown kind 'chanels': did you mean 'channels'? Known: cell, channels"),
        (("kind",), 3, "kind: unknown kind '3'. Known: cell, channels"),
        (("kind",), ["cell"], "kind: unknown kind \"['cell']\""),
        (("space",), "dart", "space: unknown space 'dart': did you mean 'darts'?"),
        (("space",), "nas-bench-201", "cells.cell: is missing; cells."),
        (("cells", "reduction"), {"nodes": [], "concat": []}, "cells.reduction.nodes: is empty; cells.reduction.con"),
        (("cells",), {}, "cells.normal: is missing; cells.reduce: is missing"),
        (("cells",), [], "cells: must be an object"),
        (("cells", "normal"), 3, "cells.normal: must be an object"),
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


def nas_bench_201(**changes: object) -> dict[str, Any]:
    """The JSON of a cell of nas-bench-201, with entries of the cell changed."""
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
    loaded: dict[str, Any] = json.loads(genotype_bytes(parse_genotype(text.encode(), "x")))
    loaded["genotype"]["cells"]["cell"] |= changes
    return loaded


def nodes(*edges: list[tuple[str, int]]) -> list[list[dict[str, object]]]:
    return [[{"op": op, "input": source} for op, source in node] for node in edges]


NODE_1, NODE_2, NODE_3 = (
    [("skip_connect", 0)],
    [("skip_connect", 0), ("none", 1)],
    [("skip_connect", 0), ("none", 1), ("nor_conv_1x1", 2)],
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"nodes": nodes(NODE_1, NODE_2)},
            "concat[0]: 3 is not one of the nodes (1-2); cells.cell.nodes: a cell of nas-bench-201 needs 3, and",
        ),
        (
            {"nodes": nodes(NODE_1, NODE_2, NODE_3, NODE_1)},
            "nodes: a cell of nas-bench-201 needs 3, and this one has 4; cells.cell.n",
        ),
        (
            {"nodes": nodes(NODE_1, NODE_2[::-1], NODE_3)},
            "nodes[1]: needs an edge from each of [0, 1], in order, and has [1, 0]",
        ),
        (
            {"nodes": nodes(NODE_1, NODE_2[:1], NODE_3)},
            "nodes[1]: needs an edge from each of [0, 1], in order, and has [0]",
        ),
        (
            {"nodes": nodes(NODE_1, NODE_2, [*NODE_3[:2], ("sep_conv_3x3", 2)])},
            "nodes[2][2].op: unknown op 'sep_conv_3x3': did you mean 'nor_conv_3x3'?",
        ),
        ({"nodes": nodes([("none", 1)], NODE_2, NODE_3)}, "nodes[0][0].input: 1 does not come before node 1 (states"),
        ({"concat": [2]}, "concat: must be [3], not [2]"),
        ({"concat": [1, 2, 3]}, "concat: must be [3], not [1, 2, 3]"),
        ({"concat": [0]}, "concat[0]: 0 is not one of the nodes (1-3)"),
    ],
)
def test_a_cell_of_nas_bench_201_has_all_edges_in_order(changes: dict[str, object], message: str) -> None:
    assert parse(nas_bench_201(nodes=nodes(NODE_1, NODE_2, NODE_3))).genotype.share("none") == 2 / 6
    assert faults(nas_bench_201(**changes)).startswith(f"cell.json: cells.cell.{message}")


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
    for node in changed["genotype"]["cells"]["normal"]["nodes"]:
        for pick in node:
            pick["op"] = "conv"
    message = faults(changed)
    assert message.endswith("; and 3 more")
    assert message.count("unknown op") == 5


def test_millions_of_nodes_are_refused_before_they_are_parsed() -> None:
    node = b'[{"op":"skip_connect","input":0}],'
    data = b'{"format":"nascli-genotype","version":1,"genotype":{"cells":{"normal":{"nodes":[' + node * 1_000_000
    with pytest.raises(ArtifactError, match=f"has at most {LARGEST_FILE:,}"):
        parse_genotype(data, "cell.json")


def test_what_the_published_cells_need_is_legal() -> None:
    twice = Pick(op="avg_pool_3x3", input=0)
    cell = Cell(nodes=((twice, twice), (twice,), (twice, twice, twice)), concat=(4,))
    assert CellGenotype(cells={"normal": cell, "reduce": cell}).share("avg_pool_3x3") == 1.0


def test_genotypes_made_in_python_are_checked_too() -> None:
    cell = Cell(nodes=((Pick(op="skip_connect", input=2),),), concat=(2,))
    with pytest.raises(ValidationError, match=r"cells\.normal\.nodes\[0\]\[0\]\.input: 2 does not come before node 2"):
        CellGenotype(cells={"normal": cell, "reduce": cell})
    with pytest.raises(ValidationError, match=r"cells\.reduce: is missing"):
        CellGenotype(cells={"normal": cell})


def test_share_counts_picks_of_both_cells() -> None:
    # darts-v1: normal has skip_connect in nodes 1, 2, 3; reduce in nodes 1, 2, 3: 6 of 16 picks.
    assert published.load("darts-v1").genotype.share("skip_connect") == 6 / 16


def test_schema_lists_the_operations_and_bounds() -> None:
    schema = genotype_schema()
    pick = schema["$defs"]["Pick"]["properties"]
    assert {"sep_conv_7x7", "nor_conv_3x3", "none"} <= set(pick["op"]["enum"])
    assert pick["input"]["minimum"] == 0
    assert schema["$defs"]["Cell"]["properties"]["nodes"]["maxItems"] == 32
