"""What all ranks end with, from what each has said."""

import signal

import pytest

from nascli.distributed.outcome import Outcome, verdict
from nascli.errors import DataError, Diverged, Interrupted, LostRanks, MemoryExhausted, NascliError, UsageError

WELL = Outcome()
CLOSED = Outcome.of_error(LostRanks("connection closed by peer"))
LATE = Outcome.of_error(LostRanks("[gloo] Timed out waiting 10000ms for recv operation to complete"))
NO_PICTURES = Outcome.of_error(DataError("/data: no pictures"))
TERM = Interrupted("stopped by SIGTERM", signal.SIGTERM)


@pytest.mark.parametrize("error", [UsageError("a"), Diverged("b"), MemoryExhausted("c"), TERM, LostRanks("d")])
def test_an_outcome_goes_through_the_store(error):
    outcome = Outcome.of_error(error)
    assert Outcome.of_text(outcome.as_text()) == outcome == Outcome.of_text(outcome.as_text().encode())
    assert (outcome.failed, outcome.code) == (True, error.exit_code)


def test_all_well():
    assert not verdict({0: WELL, 1: WELL}, 2).failed


def test_what_all_say_has_no_rank():
    assert verdict(dict.fromkeys(range(3), NO_PICTURES), 3) == NO_PICTURES


@pytest.mark.parametrize("others", [CLOSED, LATE, None, WELL])
def test_a_failure_of_one_rank_names_it_whatever_became_of_the_others(others):
    ends = {1: NO_PICTURES, **({} if others is None else {0: others, 2: others})}
    found = verdict(ends, 3)
    assert (found.code, found.message) == (4, "rank 1: /data: no pictures")


def test_what_the_first_rank_fails_with_has_no_rank():
    assert verdict({0: NO_PICTURES, 1: CLOSED}, 2) == NO_PICTURES


def test_of_two_failures_the_first_rank_s_counts():
    ends = {1: Outcome.of_error(MemoryExhausted("no room")), 2: NO_PICTURES}
    assert verdict(ends, 3).message == "rank 1: no room"


def test_a_killed_rank_is_named_and_not_one_that_is_busy():
    """Rank 2 computes for longer than the others wait; torchrun has sent rank 0 a signal because of rank 1."""
    found = verdict({0: Outcome.of_error(TERM), 3: CLOSED}, 4, alive={0, 2, 3})
    assert found.code == 1
    assert found.message.startswith("rank 1 of 4 ended without a word: killed, or out of memory;")
    assert verdict({0: CLOSED}, 3, alive={0}).message.startswith("ranks 1, 2 of 3 ended")


def test_a_rank_that_hangs_did_not_answer_in_time():
    """It shows no life where it is stopped; a slow one does."""
    for alive in ({0}, {0, 1}):
        assert verdict({0: LATE}, 2, alive).message.startswith("rank 1 of 2 did not answer in time (--dist-timeout);")


def test_a_killed_rank_counts_where_the_others_had_ended_well():
    assert verdict({1: WELL}, 2, alive={1}).message.startswith("rank 0 of 2 ended without a word")


def test_a_signal_counts_where_all_are_there_and_the_first_rank_knows_the_checkpoint():
    said = [
        Interrupted(f"stopped by SIGINT: checkpoint in {where}", signal.SIGINT) for where in ("a.run", "the folder")
    ]
    found = verdict({rank: Outcome.of_error(error) for rank, error in enumerate(said)}, 2)
    assert (found.code, found.message) == (130, "stopped by SIGINT: checkpoint in a.run")
    assert verdict({0: CLOSED, 1: Outcome.of_error(TERM)}, 2).code == 143
    assert verdict({1: Outcome.of_error(TERM)}, 2, alive={0, 1}).code == 143


def test_ranks_that_only_lost_each_other():
    found = verdict({0: CLOSED, 1: CLOSED}, 2)
    assert found.code == NascliError.exit_code
    assert "connection closed by peer" in found.message
