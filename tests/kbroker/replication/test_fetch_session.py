"""Incremental fetch sessions against a fetcher that believes every answer (KIP-227)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kbroker.replication.fetch_session import (
    FINAL_EPOCH,
    IDLE_BEFORE_EVICTION_MS,
    INITIAL_EPOCH,
    INVALID_SESSION_ID,
    MAX_EPOCH,
    FetchContext,
    FetchPartition,
    FetchSessions,
)
from wire.errors import ErrorCode

TOPIC_ID = b"i" * 16


def wanted(index: int, *, topic: str = "t", offset: int = 0) -> FetchPartition:
    return FetchPartition(
        topic=topic,
        topic_id=TOPIC_ID,
        index=index,
        fetch_offset=offset,
        max_bytes=1000,
        current_leader_epoch=-1,
        last_fetched_epoch=-1,
    )


@dataclass(slots=True)
class Sessions:
    """`FetchSessions` with what requests mostly say. Mutable."""

    max_sessions: int = 3
    now_ms: int = 0
    sessions: FetchSessions = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = FetchSessions(max_sessions=self.max_sessions, random=random.Random(1))

    def fetch(
        self,
        session_id: int,
        epoch: int,
        *asked: FetchPartition,
        forgotten=(),
        by_id: bool = False,
        is_follower: bool = False,
    ) -> FetchContext:
        return self.sessions.begin(
            session_id=session_id,
            epoch=epoch,
            asked=list(asked),
            forgotten=list(forgotten),
            uses_topic_ids=by_id,
            now_ms=self.now_ms,
            is_follower=is_follower,
        )

    def open(self, *indexes: int, by_id: bool = False) -> int:
        """A full fetch that makes a session; its id."""
        return self.fetch(0, INITIAL_EPOCH, *map(wanted, indexes), by_id=by_id).session_id


def indexes(context: FetchContext) -> list[int]:
    return [partition.index for partition in context.partitions]


# --- the life of a session ---


def test_a_full_fetch_makes_a_session_and_incremental_ones_go_on_with_it() -> None:
    sessions = Sessions()
    session_id = sessions.open(0, 1)
    assert session_id > 0
    second = sessions.fetch(session_id, 1)
    assert (second.error, second.incremental, second.session_id) == (0, True, session_id)
    assert indexes(second) == [0, 1]
    third = sessions.fetch(session_id, 2, wanted(2), wanted(0, offset=50), forgotten=[("t", 1)])
    assert [(each.index, each.fetch_offset) for each in third.partitions] == [(0, 50), (2, 0)]


def test_a_fetch_of_the_final_epoch_has_no_session() -> None:
    sessions = Sessions()
    context = sessions.fetch(0, FINAL_EPOCH, wanted(0))
    assert (context.session, context.session_id) == (None, INVALID_SESSION_ID)
    assert indexes(context) == [0]
    assert len(sessions.sessions) == 0


def test_a_fetch_of_the_final_epoch_closes_its_session() -> None:
    sessions = Sessions()
    session_id = sessions.open(0)
    sessions.fetch(session_id, FINAL_EPOCH, wanted(0))
    assert len(sessions.sessions) == 0
    assert sessions.fetch(session_id, 1).error == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_full_fetch_replaces_the_session_that_it_names() -> None:
    sessions = Sessions()
    session_id = sessions.open(0, 1)
    again = sessions.fetch(session_id, INITIAL_EPOCH, wanted(5))
    assert again.session_id not in (0, session_id)
    assert len(sessions.sessions) == 1
    assert indexes(sessions.fetch(again.session_id, 1)) == [5]


def test_a_session_of_no_partitions_ends() -> None:
    sessions = Sessions()
    session_id = sessions.open(0)
    context = sessions.fetch(session_id, 1, forgotten=[("t", 0)])
    assert (context.error, context.session_id, context.partitions) == (0, INVALID_SESSION_ID, [])
    assert len(sessions.sessions) == 0


@pytest.mark.parametrize("epoch", [2, 3, MAX_EPOCH])
def test_an_epoch_out_of_order_is_refused_and_changes_nothing(epoch: int) -> None:
    sessions = Sessions()
    session_id = sessions.open(0)
    refused = sessions.fetch(session_id, epoch, wanted(1))
    assert refused.error == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert refused.session_id == INVALID_SESSION_ID
    assert indexes(sessions.fetch(session_id, 1)) == [0]


def test_a_repeated_epoch_is_refused() -> None:
    sessions = Sessions()
    session_id = sessions.open(0)
    assert sessions.fetch(session_id, 1).error == ErrorCode.NONE
    assert sessions.fetch(session_id, 1).error == ErrorCode.INVALID_FETCH_SESSION_EPOCH


def test_an_unknown_session_is_refused() -> None:
    assert Sessions().fetch(77, 1, wanted(0)).error == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


@pytest.mark.parametrize("by_id", [True, False])
def test_a_session_does_not_change_between_names_and_ids(by_id: bool) -> None:
    sessions = Sessions()
    session_id = sessions.open(0, by_id=by_id)
    refused = sessions.fetch(session_id, 1, by_id=not by_id)
    assert refused.error == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    assert sessions.fetch(session_id, 1, by_id=by_id).error == ErrorCode.NONE


def test_epochs_wrap_to_one_because_zero_and_minus_one_mean_something_else() -> None:
    sessions = Sessions()
    session = sessions.fetch(0, INITIAL_EPOCH, wanted(0)).session
    assert session is not None
    session.epoch = MAX_EPOCH
    assert sessions.fetch(session.id, MAX_EPOCH).error == ErrorCode.NONE
    assert sessions.fetch(session.id, 1).error == ErrorCode.NONE
    assert sessions.fetch(session.id, 2).error == ErrorCode.NONE


def test_what_a_partition_is_asked_for_changes_as_a_whole() -> None:
    sessions = Sessions()
    session_id = sessions.open(0)
    changed = FetchPartition(
        topic="t",
        topic_id=TOPIC_ID,
        index=0,
        fetch_offset=9,
        max_bytes=8,
        current_leader_epoch=7,
        last_fetched_epoch=6,
    )
    (found,) = sessions.fetch(session_id, 1, changed).partitions
    assert (
        found.fetch_offset,
        found.max_bytes,
        found.current_leader_epoch,
        found.last_fetched_epoch,
    ) == (9, 8, 7, 6)


def test_partitions_of_one_index_in_two_topics_are_two() -> None:
    sessions = Sessions()
    context = sessions.fetch(0, INITIAL_EPOCH, wanted(0, topic="a"), wanted(0, topic="b"))
    again = sessions.fetch(context.session_id, 1, forgotten=[("a", 0)])
    assert [each.topic for each in again.partitions] == ["b"]


def test_a_partition_that_had_data_is_read_last_next_time() -> None:
    sessions = Sessions()
    session_id = sessions.open(0, 1, 2)
    context = sessions.fetch(session_id, 1)
    assert context.session is not None
    context.session.move_to_end(context.partitions[0])
    assert indexes(sessions.fetch(session_id, 2)) == [1, 2, 0]


# --- the cache ---


def test_a_full_cache_serves_without_a_session() -> None:
    sessions = Sessions(max_sessions=2)
    first, second = sessions.open(0), sessions.open(0)
    third = sessions.fetch(0, INITIAL_EPOCH, wanted(0))
    assert (third.error, third.session_id, indexes(third)) == (0, INVALID_SESSION_ID, [0])
    assert sessions.fetch(first, 1).error == sessions.fetch(second, 1).error == ErrorCode.NONE


def test_a_full_cache_drops_the_session_that_was_idle_longest() -> None:
    sessions = Sessions(max_sessions=2)
    first, second = sessions.open(0), sessions.open(0)
    sessions.now_ms = 1000
    sessions.fetch(first, 1)
    sessions.now_ms = IDLE_BEFORE_EVICTION_MS
    assert sessions.open(0) == INVALID_SESSION_ID, "nobody was idle for long enough"
    sessions.now_ms += 1
    assert sessions.open(0) != INVALID_SESSION_ID
    assert sessions.fetch(second, 1).error == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert sessions.fetch(first, 2).error == ErrorCode.NONE


def test_a_follower_takes_the_place_of_who_has_not_asked_for_longest() -> None:
    sessions = Sessions()
    first, second, third = (sessions.open(0) for _ in range(3))
    sessions.fetch(first, 1)
    assert not sessions.open(0), "a consumer"
    assert sessions.fetch(0, INITIAL_EPOCH, wanted(0), is_follower=True).session_id
    assert len(sessions.sessions) == 3
    assert sessions.fetch(second, 1).error == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert not sessions.fetch(first, 2).error
    assert not sessions.fetch(third, 1).error


def test_a_cache_of_no_sessions_never_makes_one() -> None:
    sessions = Sessions(max_sessions=0)
    assert sessions.open(0) == INVALID_SESSION_ID


# --- what an incremental answer leaves out ---


@dataclass(slots=True)
class Truth:
    """What a full fetch would tell of one partition. Mutable."""

    high_watermark: int = 0
    log_start_offset: int = 0
    error_code: int = 0


class FetcherMachine(RuleBasedStateMachine):
    """A fetcher that remembers what it was told must always know what is true.

    `truth` is the broker's, `known` the fetcher's: what its last answer about a partition said.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sessions = Sessions(max_sessions=2)
        self.truth = {index: Truth() for index in range(4)}
        self.known: dict[int, tuple[int, int, int]] = {}
        self.asked: dict[int, int] = {}
        self.session_id = 0
        self.epoch = INITIAL_EPOCH
        self.just_fetched = False

    @rule(index=st.integers(0, 3), count=st.integers(1, 3))
    def commit(self, index: int, count: int) -> None:
        self.truth[index].high_watermark += count
        self.just_fetched = False

    @rule(index=st.integers(0, 3))
    def retire(self, index: int) -> None:
        truth = self.truth[index]
        truth.log_start_offset = min(truth.log_start_offset + 1, truth.high_watermark)
        self.just_fetched = False

    @rule(index=st.integers(0, 3), code=st.sampled_from([0, 6]))
    def break_or_heal(self, index: int, code: int) -> None:
        self.truth[index].error_code = code
        self.just_fetched = False

    @rule()
    def others_fill_the_cache(self) -> None:
        self.sessions.now_ms += IDLE_BEFORE_EVICTION_MS + 1
        self.sessions.open(0)
        self.sessions.open(0)

    @rule(
        add=st.dictionaries(st.integers(0, 3), st.integers(0, 3), max_size=3),
        drop=st.sets(st.integers(0, 3), max_size=2),
        data_for=st.sets(st.integers(0, 3), max_size=1),
        full=st.integers(0, 9).map(lambda number: number == 0),
    )
    def fetch(self, add, drop, data_for, full: bool) -> None:
        drop = {index for index in drop if index in self.asked and index not in add}
        if full:
            self.epoch = INITIAL_EPOCH
        after = {index: at for index, at in {**self.asked, **add}.items() if index not in drop}
        asked = after if self.epoch == INITIAL_EPOCH else add
        context = self.sessions.fetch(
            self.session_id,
            self.epoch,
            *[wanted(index, offset=at) for index, at in asked.items()],
            forgotten=[] if self.epoch == INITIAL_EPOCH else [("t", index) for index in drop],
        )
        if context.error:
            assert context.error == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
            self.session_id, self.epoch = 0, INITIAL_EPOCH
            return
        self.asked = after
        assert {each.index: each.fetch_offset for each in context.partitions} == self.asked
        self.listen_to(context, data_for)
        self.session_id = context.session_id
        if context.session_id == 0:
            self.epoch = INITIAL_EPOCH
        else:
            self.epoch += 1
        self.just_fetched = True

    def listen_to(self, context: FetchContext, data_for: set[int]) -> None:
        """The handler's part, and what the fetcher takes from the answer."""
        if not context.incremental:
            self.known = {}
        for partition in list(context.partitions):
            truth = self.truth[partition.index]
            size = 10 if partition.index in data_for and not truth.error_code else 0
            facts = (
                -1 if truth.error_code else truth.high_watermark,
                -1 if truth.error_code else truth.log_start_offset,
                truth.error_code,
            )
            news = context.session is None or partition.has_news(
                high_watermark=facts[0],
                log_start_offset=facts[1],
                size=size,
                error_code=facts[2],
            )
            if news or not context.incremental:
                self.known[partition.index] = facts
            else:
                assert size == 0, "data is always news"
                assert facts[2] == 0, "an error is always news"
        self.known = {index: facts for index, facts in self.known.items() if index in self.asked}

    @invariant()
    def the_fetcher_knows_what_is_true(self) -> None:
        if not self.just_fetched:
            return
        assert set(self.known) == set(self.asked)
        for index in self.asked:
            truth = self.truth[index]
            high_watermark, log_start_offset, code = self.known[index]
            assert code == truth.error_code
            if not code:
                assert high_watermark == truth.high_watermark
                assert log_start_offset == truth.log_start_offset

    @invariant()
    def the_cache_is_bounded(self) -> None:
        assert len(self.sessions.sessions) <= 2


TestFetcherMachine = FetcherMachine.TestCase
TestFetcherMachine.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


def test_a_partition_without_news_is_not_news() -> None:
    partition = wanted(0)
    facts = {"high_watermark": 5, "log_start_offset": 0, "size": 0, "error_code": 0}
    assert partition.has_news(**facts)
    assert not partition.has_news(**facts)
    assert partition.has_news(**{**facts, "size": 1})
    assert not partition.has_news(**facts)


def test_in_another_leader_epoch_everything_is_news_again() -> None:
    """A follower has dropped the answer that told it in the former one."""
    partition, again = wanted(0), wanted(0)
    facts = {"high_watermark": 5, "log_start_offset": 0, "size": 0, "error_code": 0}
    partition.has_news(**facts)
    partition.ask(again)
    assert not partition.has_news(**facts)
    again.current_leader_epoch = 1
    partition.ask(again)
    assert partition.known_high_watermark == again.high_watermark
    assert partition.has_news(**facts)


def test_a_partition_that_recovers_from_an_error_is_news() -> None:
    partition = wanted(0)
    facts = {"high_watermark": 5, "log_start_offset": 0, "size": 0, "error_code": 0}
    partition.has_news(**facts)
    assert partition.has_news(**{**facts, "error_code": 6})
    assert partition.has_news(**facts)
    assert not partition.has_news(**facts)
