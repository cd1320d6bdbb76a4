import pytest

from nascli.cli.options.seeds import seeds
from nascli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0", (0,)),
        ("0,1,2", (0, 1, 2)),
        ("0-4", (0, 1, 2, 3, 4)),
        ("7, 2-3,1", (7, 2, 3, 1)),
        ("9223372036854775807", (2**63 - 1,)),
        ("3-3", (3,)),
    ],
)
def test_numbers_and_ranges(text, numbers):
    assert seeds(text) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no seed"),
        ("a", "'a' is no seed"),
        ("1,,2", "'' is no seed"),
        ("-1", "'-1' is no seed"),
        ("1.5", "is no seed"),
        ("٣", "is no seed"),
        ("1-2-3", "is no seed"),
        ("4-0", "write 0-4"),
        ("9223372036854775808", "too large"),
        ("0-9000000000000000000", "more than 1,000 seeds"),
        ("0-999,1000", "more than 1,000 seeds"),
    ],
)
def test_what_is_no_list_of_seeds(text, message):
    with pytest.raises(UsageError, match=message):
        seeds(text)
