"""Tables, and TOML that reads back as it was written."""

import io
import json
import math
import sys
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from nascli.cli.output.printing import aligned, print_json, toml


def test_columns_line_up_numbers_to_the_right():
    assert aligned([("top-1", 97.5), ("images", 360)]) == "top-1   97.5\nimages   360"


def test_no_trailing_spaces_and_rows_of_different_length():
    assert aligned([("a", "b"), ("long", ""), ("c",)]) == "a     b\nlong\nc"


def test_json_loses_no_letters_where_the_stream_lacks_them(monkeypatch):
    for encoding, written in (("ascii", "caf\\u00e9"), ("utf-8", "café")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        monkeypatch.setattr(sys, "stdout", stream)
        print_json({"café": "日本"})
        stream.flush()
        text = stream.buffer.getvalue().decode(encoding)
        assert written in text
        assert json.loads(text) == {"café": "日本"}


def test_an_empty_table_is_empty():
    assert aligned([]) == ""


keys = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts


@given(st.dictionaries(keys, values))
def test_toml_reads_back_the_same(settings):
    again = tomllib.loads(toml(settings))
    assert again == settings
    assert [type(value) for value in again.values()] == [type(value) for value in settings.values()]
    assert all(
        math.copysign(1, a) == math.copysign(1, b)
        for a, b in zip(again.values(), settings.values(), strict=True)
        if isinstance(a, float)
    )


def test_toml_escapes_what_json_does_not():
    assert tomllib.loads(toml({"background": "a\x7fb"})) == {"background": "a\x7fb"}


def test_toml_leaves_out_what_is_not_set():
    assert toml({"data_dir": None, "epochs": 3}) == "epochs = 3"
