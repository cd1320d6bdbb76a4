"""A table of true accuracies says what a cell is worth among all, and is refused with the line where it is wrong."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import as_text
from nascli.artifacts.truth import ARCHITECTURE, TruthTable, load_table
from nascli.errors import ArtifactError, UsageError
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from tests.truth_table import architectures, of_the_benchmark, parsed_once, remember

SPACE = cell_space("nas-bench-201")
COUNT = 5**6

ARCHITECTURES = architectures()


@pytest.fixture(autouse=True)
def _cells_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the module's own table."""
    parsed_once(monkeypatch)


def stairs(number: int) -> float:
    """Made up: every two cells share an accuracy, in steps of 0.005; only the last has the best, 39.06."""
    return number // 2 / 200


def table_of(rows: list[str], header: str = "valid_12,architecture,test,test_12") -> str:
    return "\n".join([header, *rows, ""])


def row(number: int, architecture: str) -> str:
    """The last column falls where the others rise."""
    return f"{stairs(number) / 2},{architecture},{stairs(number)},{100 - stairs(number)}"


@cache
def shuffled() -> list[int]:
    numbers = list(range(COUNT))
    random.Random(0).shuffle(numbers)
    return numbers


@pytest.fixture(scope="module")
def text() -> str:
    """All architectures in some order."""
    return table_of([row(number, ARCHITECTURES[number]) for number in shuffled()])


@pytest.fixture(scope="module")
def path(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "table.csv"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def table(path: Path) -> TruthTable:
    table = load_table(path)
    remember((ARCHITECTURES[number] for number in shuffled()), table.genotypes)
    return table


def cell(number: int) -> CellGenotype:
    return SPACE.parse(ARCHITECTURES[number], "the test")


def test_it_holds_what_the_file_says_in_its_order(table: TruthTable, path: Path) -> None:
    assert (table.where, table.sha256) == (str(path), sha256(path.read_bytes()).hexdigest())
    assert (table.space, len(table)) == (SPACE, COUNT)
    assert table.columns == ("valid_12", "test", "test_12")
    assert table.genotypes == tuple(cell(number) for number in shuffled())
    assert table.accuracies["test"] == tuple(stairs(number) for number in shuffled())


@pytest.mark.parametrize(
    ("number", "accuracy", "rank"),
    [
        (COUNT - 1, 39.06, 1),
        (COUNT - 2, 39.055, 2),
        (COUNT - 3, 39.055, 2),
        (COUNT - 4, 39.05, 4),
        (COUNT - 5, 39.05, 4),
        (1, 0.0, COUNT - 1),
        (0, 0.0, COUNT - 1),
    ],
)
def test_worth_by_hand(table: TruthTable, number: int, accuracy: float, rank: int) -> None:
    """Cells of one accuracy share the better rank, and none of them counts as better than another."""
    worth = table.worth(cell(number), "test")
    assert (worth.column, worth.rank) == ("test", rank)
    assert table.accuracy(cell(number), "test") == worth.accuracy == pytest.approx(accuracy, rel=1e-12)
    assert worth.better == pytest.approx((rank - 1) / COUNT, rel=1e-12)
    assert worth.gap == pytest.approx(39.06 - accuracy, abs=1e-12)


def test_every_column_has_ranks_of_its_own(table: TruthTable) -> None:
    """In the last one the first two are the best."""
    assert [table.worth(cell(number), "test_12").rank for number in (0, 1, 2, COUNT - 1)] == [1, 1, 3, COUNT]
    assert table.worth(cell(COUNT - 1), "test_12").gap == pytest.approx(39.06, abs=1e-12)
    assert table.worth(cell(COUNT - 1), "valid_12").accuracy == pytest.approx(19.53, abs=1e-12)


def test_marks_by_hand(table: TruthTable) -> None:
    """The middle is number 7812 of 0 to 15,624; the 781 best, 5 %, begin at number 14,844."""
    assert table.best("test") == pytest.approx(39.06)
    assert table.median("test") == pytest.approx(7812 / 2 / 200)
    assert table.quantile("test", 0.05) == pytest.approx(14_844 / 2 / 200)
    assert table.quantile("test", 2.6 / COUNT) == table.quantile("test", 3 / COUNT) == pytest.approx(39.055)
    assert table.quantile("test", 3.6 / COUNT) == pytest.approx(39.05), "the nearest number of cells"
    assert table.quantile("test", 1.0) == 0.0
    assert table.quantile("test", 0.0) == table.quantile("test", 1 / COUNT) == table.best("test")
    assert (table.best("test_12"), table.quantile("test_12", 1.0)) == (100.0, pytest.approx(60.94))


def test_marks_against_numpy(table: TruthTable) -> None:
    for column in table.columns:
        values = np.array(table.accuracies[column])
        assert table.median(column) == np.median(values)
        for share in (0.01, 0.05, 0.25, 0.5):
            least = table.quantile(column, share)
            assert (values >= least).mean() >= share - 0.5 / COUNT
            assert (values > least).mean() < share + 0.5 / COUNT


def test_the_median_of_an_even_number_is_between_the_middle_two() -> None:
    """No space that we have has an even number of cells."""
    genotypes = tuple(cell(number) for number in range(4))
    four = TruthTable("x", "", SPACE, ("a",), genotypes, {"a": (30.0, 10.0, 90.0, 20.0)})
    assert four.median("a") == 25.0
    assert four.worth(cell(3), "a").rank == 3
    assert four.quantile("a", 0.5) == 30.0


def test_the_expectation_against_numpy(table: TruthTable) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.full(COUNT, 0.1))
    for column in table.columns:
        expected = float(probabilities @ np.array(table.accuracies[column]))
        assert table.expected(probabilities.tolist(), column) == pytest.approx(expected, rel=1e-12)
    # The mean of 0, 0, 1, 1, …, 7811, 7811, 7812, in steps of 0.005.
    mean = (7811 * 7812 + 7812) / COUNT / 200
    assert table.expected([1 / COUNT] * COUNT, "test") == pytest.approx(mean, rel=1e-12)
    one = [float(number == 5) for number in shuffled()]
    assert table.expected(one, "test") == stairs(5)
    with pytest.raises(ValueError, match="zip"):
        table.expected([1.0], "test")


def test_a_column_is_chosen_by_name_or_by_a_hint(table: TruthTable) -> None:
    assert table.column("test_12", "valid") == "test_12"
    assert table.column(None, "valid") == "valid_12"
    assert table.column(None, "test") == "test", "the first of two"
    assert table.column(None, "12") == "valid_12"
    names: Sequence[tuple[Sequence[str], str]] = [
        (("Valid", "latest", "Test"), "Test"),
        (("valid", "cifar10-TEST"), "cifar10-TEST"),
        (("validation", "testing"), "testing"),
        (("latest", "valid"), "latest"),
    ]
    for columns, meant in names:
        assert replace(table, columns=columns).column(None, "test") == meant
    assert table.column(None, "loss") == "valid_12", "where none has the hint, the first of all"


def test_an_unknown_column_is_named_with_the_file_and_the_known_ones(table: TruthTable, path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        table.column("tests", "valid")
    assert str(caught.value) == f"{path}: unknown column 'tests': did you mean 'test'? Known: test, test_12, valid_12"
    with pytest.raises(UsageError, match="unknown column 'architecture'"):
        table.column(ARCHITECTURE, "valid")


def test_a_genotype_of_another_space_is_refused(table: TruthTable, path: Path) -> None:
    strange = published.load("darts-v1").genotype
    for ask in (table.accuracy, table.worth):
        with pytest.raises(UsageError) as caught:
            ask(strange, "test")
        assert str(caught.value) == (
            f"{path} knows cells of the space nas-bench-201, not those of darts: leave --table out"
        )


def test_other_line_ends_a_mark_of_utf8_quotes_and_empty_lines_change_nothing(
    table: TruthTable, text: str, tmp_path: Path
) -> None:
    lines = text.splitlines()
    lines[1:] = [",".join(f'"{field}"' for field in line.split(",")) for line in lines[1:]]
    lines.insert(7, "")
    path = tmp_path / "windows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n\r\n")
    read = load_table(path)
    assert (read.columns, read.genotypes, read.accuracies) == (table.columns, table.genotypes, table.accuracies)


A, B, C = ARCHITECTURES[:3]
DARTS = as_text(published.load("darts-v1").genotype).replace('"', '""')


def refusal(content: str | bytes, folder: Path) -> str:
    """The message about a table, without the name of the file."""
    path = folder / "refused.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ArtifactError) as caught:
        load_table(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    return message.removeprefix(f"{path}: ")


def rows(*lines: str) -> str:
    return table_of(list(lines), "architecture,valid,test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("arch,test\n", "line 1: has no column 'architecture', but 'arch', 'test'"),
        ("Architecture,test\n", "line 1: has no column 'architecture', but 'Architecture', 'test'"),
        (",".join("abcdefgh"), "line 1: has no column 'architecture', but 'a', 'b', 'c', 'd', 'e'"),
        ("x" * 9000, "line 1: has no column 'architecture', but 'xxx"),
        ("architecture,test,valid,test\n", "line 1: the column 'test' is there twice"),
        ("architecture,test,architecture\n", "line 1: the column 'architecture' is there twice"),
        ("architecture,,test\n", "line 1: column 2 has no name"),
        ("architecture,test,,\n", "line 1: column 3 has no name"),
        ("architecture\n", "line 1: has no column of accuracies beside 'architecture'"),
        ("architecture,valid,test\n", "line 1: is the only one; a line for every architecture must follow it"),
        ("architecture,valid,test\n\n\n", "line 1: is the only one"),
        (rows("hello,1,2"), "line 2: 'hello' is no architecture, which looks like Genotype("),
        (rows(",1,2"), "line 2: '' is no architecture, which looks like"),
        (rows("y" * 9000 + ",1,2"), "line 2: 'yyy"),
        (rows(f"{A},1,2", "hello,1,2"), "line 3: a cell of nas-bench-201 needs 3 nodes (parts between '+')"),
        (rows(f"{A},1,2", "", f"{B[:-1]},1,2"), "line 4: node 3: "),
        (rows(f"{A},1,2", f"{B},1,2", f"{C[:-3]}|,1,2"), "line 4: node 3, edge 2: 'nor_conv_1x1' names no state"),
        (
            rows(f"{A},1,2", f"{B.replace('none~1|+', 'sep_conv_3x3~1|+')},1,2"),
            "line 3: node 2, edge 1: unknown op 'sep_conv_3x3': did you mean 'nor_conv_3x3'? Known: avg_pool_3x3,",
        ),
        (rows(f"{'|none~1' + A[7:]},1,2"), "line 2: node 1, edge 0: must come from ~0, not from ~1"),
        (rows(f"{A},1,2", f"{B},1,2", f"{C},1,2", f"{B},3,4"), f"line 5: the architecture {B} is on line 3 already"),
        (rows(f"{A},1,2", f"{A},1,2"), f"line 3: the architecture {A} is on line 2 already"),
        (rows(f"{A},1,good"), "line 2: test: 'good' is not a number"),
        (rows(f"{A},,2"), "line 2: valid: '' is not a number"),
        (rows(f"{A},1,2", f"{B},1;5,2"), "line 3: valid: '1;5' is not a number"),
        (rows(f"{A},1,2", f"{B},{'z' * 9000},2"), "line 3: valid: 'zzz"),
        (rows(f"{A},1,100.5"), "line 2: test: 100.5 is not an accuracy in per cent, from 0 to 100"),
        (rows(f"{A},1,2", f"{B},-0.1,3"), "line 3: valid: -0.1 is not an accuracy in per cent, from 0 to 100"),
        (rows(f"{A},1,nan"), "line 2: test: nan is not an accuracy in per cent, from 0 to 100"),
        (rows(f"{A},1,inf"), "line 2: test: inf is not an accuracy in per cent, from 0 to 100"),
        (rows(f"{A},1e999,1"), "line 2: valid: inf is not an accuracy in per cent, from 0 to 100"),
        (rows(f"{A},9_4,2"), "line 2: valid: '9_4' is not a number"),
        (rows(f"{A},1,\N{ARABIC-INDIC DIGIT NINE}"), "line 2: test: '\N{ARABIC-INDIC DIGIT NINE}' is not a number"),
        (f'architecture,"te\nst"\n{A},x', "line 3: 'te\\nst': 'x' is not a number"),
        (f"architecture,{'t' * 9000}\n{A},x", f"line 2: {'t' * 59}…: 'x'"),
        (rows(f"{A},1,2", f'"{A}\n",1,2'), f"line 3: the architecture {A} is on line 2 already"),
        (rows(f"{A},1,2", f"{B},1"), "line 3: has 2 fields; the header has 3"),
        (rows(f"{A},1,2", f"{B},1,2,3"), "line 3: has 4 fields; the header has 3"),
        (rows(f"{A},1,2", " "), "line 3: has 1 fields; the header has 3"),
        (rows(f"{A},1,2", f'"{B},1,2', f"{C},1,2"), "line 3: is not CSV: unexpected end of data"),
        (rows(f"{A},1,2", f'"{B}"x,1,2', f"{C},1,2"), "line 3: is not CSV: ',' expected after '\"'"),
        (rows(f"{A},1,2", f"{B},{'1' * 200_000},2"), "line 3: is not CSV: field larger than field limit"),
        (rows(f'"{DARTS}",1,2'), "line 2: the space darts has too many cells for a table of all of them"),
        (rows(f"{A},1,2", f'"{DARTS}",1,2'), "line 3: a cell of nas-bench-201 needs 3 nodes (parts between '+')"),
        (rows(f"{A},1,2").encode() + b"\xff,1,2\n", "line 3: is not UTF-8 text"),
        (b"\xef\xbb\xbf" + rows(f"{A},1,2").encode() + b"\xff,1,2\n", "line 3: is not UTF-8 text"),
        (rows(f"{A},1,2").replace("\n", "\r").encode() + b"\xff,1,2\r", "line 3: is not UTF-8 text"),
        (rows(f"{A},1,2").replace("valid", "validé").encode("latin-1"), "line 1: is not UTF-8 text"),
        (rows(f"{A},1,2").encode("utf-16"), "line 1: is not UTF-8 text"),
    ],
)  # fmt: skip
def test_a_table_is_refused_with_the_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    assert refusal(content, tmp_path).startswith(message)


def test_shares_in_the_place_of_per_cent_are_refused(tmp_path: Path) -> None:
    cells = [f"{stairs(number)},{one},{stairs(number) / 100},7" for number, one in enumerate(ARCHITECTURES)]
    path = tmp_path / "shares.csv"
    path.write_text(table_of(cells))
    with pytest.raises(ArtifactError) as caught:
        load_table(path)
    assert str(caught.value) == f"{path}: test: has no accuracy above 1: they are in per cent, 93.5 rather than 0.935"


def test_spaces_after_commas_count_for_nothing(text: str, tmp_path: Path) -> None:
    spaced = tmp_path / "spaced.csv"
    spaced.write_text(text.replace(",", ", "))
    table = load_table(spaced)
    assert table.columns == ("valid_12", "test", "test_12")
    assert table.accuracies["test"] == tuple(stairs(number) for number in shuffled())


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    for content in ("", "\n\n", "\ufeff"):
        assert refusal(content, tmp_path) == "line 1: is empty"


def test_missing_architectures_are_counted_and_one_is_named(text: str, tmp_path: Path) -> None:
    """The message names the line of the last row; empty lines after it don't count."""
    missing, (header, *lines) = 3, text.splitlines()
    kept, gone = lines[:5000] + lines[5000 + missing :], lines[5000 : 5000 + missing]
    found, _, one = refusal("\n".join([header, *kept, "", ""]), tmp_path).partition(", for example ")
    last = COUNT + 1 - missing
    assert found == (
        f"line {last}: is the last, and {missing} of the 15,625 architectures of nas-bench-201 are missing"
    )
    assert one in [line.split(",")[1] for line in gone]


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file: .*missing.csv"):
        load_table(tmp_path / "missing.csv")
    with pytest.raises(ArtifactError, match="is a folder"):
        load_table(tmp_path)


@pytest.fixture(scope="module")
def real_table() -> TruthTable:
    """The accuracies of the benchmark itself."""
    return of_the_benchmark()


SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


def test_the_published_accuracies_on_cifar10(real_table: TruthTable) -> None:
    """Dong & Yang, ICLR 2020: the best, 94.37, and the cell that DARTS ends in, 54.30; and two marks of all cells."""
    marks: Mapping[str, float] = {
        "best": real_table.best("cifar10_test"),
        "all skip connections": real_table.accuracy(SPACE.parse(SKIPS, "the test"), "cifar10_test"),
        "median": real_table.median("cifar10_test"),
        "least of the top 5 %": real_table.quantile("cifar10_test", 0.05),
    }
    assert marks["best"] == pytest.approx(94.373, abs=0.0005)
    assert marks["all skip connections"] == pytest.approx(54.297, abs=0.0005)
    assert marks["median"] == pytest.approx(90.75, abs=0.006)
    assert marks["least of the top 5 %"] == pytest.approx(93.28, abs=0.005)


def test_ranks_of_the_benchmark_against_counting_the_lines(real_table: TruthTable) -> None:
    """The cell of six 3x3 convolutions, which no search at all beats by much, shares its 93.76 with six others."""
    with Path(real_table.where).open(newline="") as file:
        values = [float(line["cifar10_test"]) for line in csv.DictReader(file)]
    worth = real_table.worth(SPACE.parse(SKIPS.replace("skip_connect", "nor_conv_3x3"), "the test"), "cifar10_test")
    assert worth.accuracy == 93.76
    assert values.count(93.76) == 7
    assert worth.rank == 1 + sum(value > 93.76 for value in values)
    assert worth.better == sum(value > 93.76 for value in values) / COUNT
    assert worth.gap == pytest.approx(94.3733 - 93.76, abs=5e-5)
