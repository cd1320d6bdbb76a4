"""DARTS's text form is parsed, never run."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import parse_genotype, text_form
from nascli.errors import ArtifactError, UsageError
from nascli.spaces import cell_space, darts_text
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick

SMALL = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat=[2], reduce=[{}], reduce_concat={})"
PAIR = "('max_pool_3x3', 0), ('dil_conv_5x5', 1)"


def cells(nodes: int) -> st.SearchStrategy[Cell]:
    def pick(state: int) -> st.SearchStrategy[Pick]:
        ops = st.sampled_from(["skip_connect", "sep_conv_3x3", "conv_7x1_1x7"])
        return st.builds(Pick, op=ops, input=st.integers(0, state - 1))

    states = range(2, 2 + nodes)
    return st.builds(
        Cell,
        nodes=st.tuples(*(st.tuples(pick(state), pick(state)) for state in states)),
        concat=st.permutations(states).map(tuple),
    )


def genotypes(nodes: int) -> st.SearchStrategy[CellGenotype]:
    both = st.fixed_dictionaries({"normal": cells(nodes), "reduce": cells(nodes)})
    return st.builds(CellGenotype, space=st.just("darts"), cells=both)


@given(st.integers(1, 6).flatmap(genotypes))
@settings(max_examples=25)
def test_round_trip(genotype: CellGenotype) -> None:
    assert darts_text.parse(darts_text.render(genotype)) == genotype


def test_it_is_the_text_form_of_the_space() -> None:
    genotype = published.load("darts-v2").genotype
    text = darts_text.render(genotype)
    assert cell_space("darts").format(genotype) == text
    assert cell_space("darts").parse(text, "x") == genotype
    assert text_form(genotype, "darts") == text.encode()
    with pytest.raises(UsageError, match="the text form of nas-bench-201 is for its cells, not for .* the space darts"):
        text_form(genotype, "nas-bench-201")


def test_rendered_text_is_what_darts_would_evaluate() -> None:
    from collections import namedtuple

    scope = {"Genotype": namedtuple("Genotype", "normal normal_concat reduce reduce_concat")}
    text = darts_text.render(published.load("darts-v2").genotype)
    result = eval(text, scope)  # noqa: S307  our own text, as DARTS reads it
    assert result.normal[-1] == ("dil_conv_3x3", 2)
    assert result.reduce_concat == [2, 3, 4, 5]


def test_the_forms_that_are_found_in_the_wild() -> None:
    plain = darts_text.parse(SMALL.format(PAIR, "[2]"))
    assert plain.cells["reduce"].nodes == ((Pick(op="max_pool_3x3", input=0), Pick(op="dil_conv_5x5", input=1)),)
    for text in (
        "PC_DARTS_cifar = " + SMALL.format(PAIR, "range(2, 3)"),
        "# searched with seed 2\n" + SMALL.format(PAIR, "(2,)").replace(", ", ",\n  ") + "\n\n",
        SMALL.format(PAIR, "list(range(2, 3))"),
        "Genotype([('skip_connect', 0), ('sep_conv_3x3', 1)], [2], [" + PAIR + "], range(2, 3, 1))",
        "06/27 01:25:46 PM genotype = " + SMALL.format(PAIR, "[2]") + "\n",
        "2018-06-27 13:25:46,379 [INFO] (epoch 3) best: " + SMALL.format(PAIR, "[2]") + " (97.1 %)",
        SMALL.format(f"[{PAIR}]", "[2]"),
        SMALL.format(f"({PAIR})", "[2]"),
    ):
        assert darts_text.parse(text) == plain
        assert parse_genotype(text.encode(), "x").genotype == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "is not DARTS's text form, which looks like"),
        ("a b c", "is not DARTS's text form"),
        ("Genotype(", "is cut off: a bracket of Genotype\\( is never closed"),
        ("Genotype(" + "(" * 60_000 + ")" * 60_000, "has 120,009 characters"),
        ("Genotype(" + "(" * 9_000 + ")" * 9_001, r"cannot be parsed"),
        ("Genotype(normal=[01])", r"Genotype\(…\) cannot be parsed at line 1, character \d+ of it; it looks like"),
        ("Genotype(1 2)\nGenotype(3)", "has 2 genotypes: keep the line of one"),
        ("(" * 5000, "is not DARTS's text form"),
        ("-" * 50_000 + "1", "is not DARTS's text form"),
        ("1" + "+1" * 30_000, "is not DARTS's text form"),
        ("a" + ".b" * 30_000, "is not DARTS's text form"),
        ("x" * 70_000, "has 70,000 characters"),
        (SMALL.format("('max_pool_3x3', " + "-" * 900 + "1), ('skip_connect', 0)", "[2]"), "must be a whole number"),
        (SMALL.format("('max_pool_3x3', " + "9" * 200 + "), ('skip_connect', 0)", "[2]"), "must be a whole number"),
        (SMALL.format(PAIR, "list(" * 90 + "[2]" + ")" * 90), "must be a list of states"),
        ("a = 1\nb = 2", "is not DARTS's text form"),
        ("Genotype()", "normal, normal_concat, reduce, reduce_concat are missing"),
        ("Genotype(**{})", "unexpected or repeated field None"),
        (
            SMALL.format(PAIR, "[2]").replace("reduce_concat", "reduce_concats"),
            "unexpected or repeated field 'reduce_concats'",
        ),
        (SMALL.format(PAIR, "[2]").replace("reduce=", "normal=", 1), "unexpected or repeated field 'normal'"),
        (SMALL.format("('max_pool_3x3', 0)", "[2]"), "reduce: has 1 pairs"),
        (SMALL.format("", "[2]"), "reduce: has 0 pairs"),
        (SMALL.format("('max_pool_3x3', 0), ('x',)", "[2]"), r"reduce\[1\]: must be \('op', input\)"),
        (SMALL.format("('max_pool_3x3', 0), (f(), 1)", "[2]"), r"reduce\[1\]: must be \('op', input\)"),
        (SMALL.format("('max_pool_3x3', 0), ('skip_connect', True)", "[2]"), r"reduce\[1\]: must be a whole number"),
        (SMALL.format("('max_pool_3x3', -1), ('skip_connect', 0)", "[2]"), r"reduce\[0\]: the input -1 is negative"),
        (
            SMALL.format("('max_pool_3x3', 0), ('skip_connect', 2)", "[2]"),
            r"cells.reduce.nodes\[0\]\[1\].input: 2",
        ),
        (
            SMALL.format("('max_pool_3x3', 0), ('skip', 0)", "[2]"),
            r"cells.reduce.nodes\[0\]\[1\].op: unknown op",
        ),
        (SMALL.format(PAIR, "[]"), "cells.reduce.concat: is empty"),
        (SMALL.format(PAIR, "range(2, 10**9)"), "reduce_concat: must be a whole number"),
        (SMALL.format(PAIR, "range(2, 1000000000)"), r"range\(2, 1000000000\) is not a range of at most 32 states"),
        (SMALL.format(PAIR, "range(0, 9, 0)"), "is not a range"),
        (SMALL.format(PAIR, "open('x', 'w')"), "reduce_concat: must be a list of states"),
    ],
)
def test_anything_else_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=f"^cell.txt: .*{message}"):
        darts_text.parse(text, "cell.txt")


def test_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    call = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    for text in (call, f"Genotype({call})", SMALL.format(PAIR, call)):
        with pytest.raises(ArtifactError):
            darts_text.parse(text)
    darts_text.parse(f"{call}\n" + SMALL.format(PAIR, "[2]"))
    assert not trap.exists()


def test_a_node_with_another_number_of_picks_has_no_text() -> None:
    one = Cell(nodes=((Pick(op="skip_connect", input=0),),), concat=(2,))
    with pytest.raises(UsageError, match=r"normal.nodes\[0\] has 1: use JSON"):
        darts_text.render(CellGenotype(space="darts", cells={"normal": one, "reduce": one}))
