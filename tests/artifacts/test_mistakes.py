"""The table of wrong answers: what is written is read back, and every fault is named."""

import pytest

from nascli.artifacts.mistakes import Mistake, Mistakes, is_mistakes_csv, mistakes_csv, read_mistakes
from nascli.errors import ArtifactError

HEADER = b"path,truth,answer,probability,truth_probability\n"


@pytest.mark.parametrize("in_files", [True, False])
def test_a_table_comes_back_whatever_names_there_are(in_files: bool):
    rows = (
        Mistake('/x/a, "b"\n.png', "cat, grey", 'a "dog"', 0.1 + 0.2, 1e-300),
        Mistake("/caf\udce9.png", "ä", "日本", 1.0, 0.0),
    )
    written = mistakes_csv(Mistakes(rows, in_files))
    assert is_mistakes_csv(written)
    assert read_mistakes(written, "it") == Mistakes(rows, in_files)


def test_a_table_that_went_through_a_spreadsheet_is_read():
    changed = b"\xef\xbb\xbfnote,answer,truth,truth_probability,probability,path\r\nmine,b,a,0.2,0.7,x.png\r\n\r\n"
    assert is_mistakes_csv(changed)
    assert read_mistakes(changed, "it") == Mistakes((Mistake("x.png", "a", "b", 0.7, 0.2),), True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column truth, answer, probability, truth_probability, path (or index)"),
        (b"path,label\na.png,cat\n", "has no column truth, answer, probability, truth_probability"),
        (HEADER.replace(b"path,", b""), "has no column path (or index)"),
        (HEADER + b"a.png,cat,dog,0.5\n", "it.csv: line 2: a value is missing"),
        (HEADER + b"a.png,,dog,0.5,0.1\n", "it.csv: line 2: a value is missing"),
        (HEADER + b"a.png,cat,dog,0.5,0.1\nb.png,cat,dog,1.5,0.1\n", "it.csv: line 3: '1.5' is no probability"),
        (HEADER + b"a.png,cat,dog,nan,0.1\n", "line 2: 'nan' is no probability"),
        (HEADER + b'a.png,cat,"dog,0.5,0.1\n', "it.csv: after line 1: unexpected end of data"),
    ],
)
def test_faults_are_named_with_their_place(content: bytes, message: str):
    with pytest.raises(ArtifactError) as caught:
        read_mistakes(content, "it.csv")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
