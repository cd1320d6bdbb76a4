"""JSON is read to the letter, and written so that people and git can read it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascli.artifacts.files import strict_json
from nascli.errors import ArtifactError

FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_pretty_and_compact_say_the_same(value: dict[str, object]) -> None:
    pretty = strict_json.pretty(value)
    assert strict_json.parse(strict_json.text(pretty, "x"), "x") == value
    assert strict_json.parse(strict_json.compact(value), "x") == value
    assert pretty.endswith(b"\n")
    assert json.loads(pretty) == value


def test_pretty_keeps_small_things_on_a_line_and_fills_rows_with_names() -> None:
    names = [f"class-{number:03d}" for number in range(1000)]
    lines = strict_json.pretty({"node": [{"op": "a", "input": 1}, {"op": "b", "input": 0}], "classes": names}).decode()
    assert '  "node": [{"op": "a", "input": 1}, {"op": "b", "input": 0}],\n' in lines
    # Eight names of 11 characters and their commas to a row of 110.
    assert len(lines.splitlines()) == 1 + 1 + 1 + 125 + 1 + 1
    assert max(map(len, lines.splitlines())) <= 111


def test_a_name_that_is_no_unicode_survives() -> None:
    value = {"data_dir": b"caf\xe9".decode("utf-8", "surrogateescape")}
    assert strict_json.parse(strict_json.text(strict_json.pretty(value), "x"), "x") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"\xff{}", r"is not text in UTF-8 \(byte 0\)"),
        (b'{"a": "\xc3"}', r"is not text in UTF-8 \(byte 7\)"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1e999}', "the number '1e999' is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "the number '9+…' is too large"),
        (b'{"a": 1', r"is not valid JSON: .* \(line 1, column 8\)"),
        (b'{\n"a": x}', r"is not valid JSON: .* \(line 2, column 6\)"),
        (b"[1]", "is JSON, but not an object"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "is nested too deeply"),
        (b'{"a":' + b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_not_allowed_is_named(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError, match=f"^cell.json: {message}") as caught:
        strict_json.parse(strict_json.text(data, "cell.json"), "cell.json")
    assert len(str(caught.value)) < 200


def test_an_editors_mark_before_utf8_is_no_fault() -> None:
    assert strict_json.parse(strict_json.text(b'\xef\xbb\xbf{"a": 1}', "x"), "x") == {"a": 1}


def test_the_allowed_depth_is_read() -> None:
    text = '{"a":' * 99 + "[]" + "}" * 99
    assert json.dumps(strict_json.parse(text, "x"), separators=(",", ":")) == text
