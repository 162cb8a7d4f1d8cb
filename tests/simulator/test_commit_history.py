"""Committed offsets as registers: what a fetch may tell, and what it must not."""

import pytest

from simulator.commit_history import CommitHistory

PLACE = ("orders", 0)


@pytest.fixture
def commits() -> CommitHistory:
    return CommitHistory()


def acknowledge(commits: CommitHistory, offset: int | None, session: str | None = None) -> None:
    commits.committed(commits.committing("group", PLACE, offset, session=session))


def told(commits: CommitHistory, offset: int | None) -> bool:
    """Whether a fetch that begins and ends now may tell this."""
    before = len(commits.wrong)
    commits.fetched(commits.fetching("group", PLACE), offset)
    return len(commits.wrong) == before


def test_the_last_acknowledged_commit_is_told_and_nothing_before_it(commits):
    assert told(commits, None)
    acknowledge(commits, 5)
    acknowledge(commits, 7)
    assert told(commits, 7)
    assert not told(commits, 5)
    assert not told(commits, None)
    assert not told(commits, 9)
    assert commits.wrong[0] == "group has 5 for orders-0, and must have 7"


def test_a_commit_may_go_back_where_a_member_says_so(commits):
    acknowledge(commits, 7)
    acknowledge(commits, 5)
    assert told(commits, 5)
    assert not told(commits, 7)


def test_a_deleted_offset_is_gone_for_good(commits):
    acknowledge(commits, 7)
    acknowledge(commits, None)
    assert told(commits, None)
    assert not told(commits, 7)


def test_an_unknown_commit_may_be_there_at_any_time_until_the_broker_ends(commits):
    acknowledge(commits, 1)
    commits.committing("group", PLACE, 2)
    assert told(commits, 1)
    assert told(commits, 2)
    acknowledge(commits, 3)
    assert told(commits, 2), "the broker may have been slow"
    commits.broker_ended()
    assert told(commits, 2)
    acknowledge(commits, 4)
    assert told(commits, 4)
    assert not told(commits, 2)


def test_a_refused_commit_is_not_there(commits):
    acknowledge(commits, 1)
    commits.refused(commits.committing("group", PLACE, 2))
    assert not told(commits, 2)


def test_a_commit_during_the_fetch_may_be_told_or_not(commits):
    acknowledge(commits, 1)
    for answer in (1, 2):
        fetch = commits.fetching("group", PLACE)
        acknowledge(commits, 2)
        commits.fetched(fetch, answer)
        assert not commits.wrong
        acknowledge(commits, 1)


def test_overlapping_commits_of_two_members_take_effect_in_either_order(commits):
    first = commits.committing("group", PLACE, 1)
    second = commits.committing("group", PLACE, 2)
    commits.committed(second)
    commits.committed(first)
    assert told(commits, 1)
    assert told(commits, 2)


def test_those_of_one_session_take_effect_in_their_order(commits):
    first = commits.committing("group", PLACE, 1, session="a")
    second = commits.committing("group", PLACE, 2, session="a")
    commits.committed(first)
    commits.committed(second)
    assert told(commits, 2)
    assert not told(commits, 1)


def test_an_answer_that_comes_after_the_end_still_counts(commits):
    late = commits.committing("group", PLACE, 1)
    refused = commits.committing("group", PLACE, 2)
    commits.broker_ended()
    commits.committed(late)
    commits.refused(refused)
    assert told(commits, 1)
    assert not told(commits, None)
    assert not told(commits, 2)


def test_forgiven_commits_may_be_there_or_not_and_later_ones_must(commits):
    acknowledge(commits, 5)
    acknowledge(commits, 7)
    commits.forgive()
    assert told(commits, 5)
    assert told(commits, 7)
    assert told(commits, None)
    acknowledge(commits, 8)
    assert told(commits, 8)
    assert not told(commits, 7)


def test_an_answer_that_comes_after_the_loss_of_what_it_tells_promises_nothing(commits):
    late = commits.committing("group", PLACE, 5)
    commits.forgive()
    commits.committed(late)
    assert told(commits, None)
    assert told(commits, 5)


def test_registers_are_apart(commits):
    acknowledge(commits, 5)
    commits.fetched(commits.fetching("other", PLACE), None)
    commits.fetched(commits.fetching("group", ("orders", 1)), None)
    assert not commits.wrong
    assert list(commits.last_acknowledged()) == [("group", PLACE, 5)]
    acknowledge(commits, None)
    assert list(commits.last_acknowledged()) == []
