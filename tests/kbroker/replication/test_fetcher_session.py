"""The fetcher's side of sessions (KIP-227): held against the leader's side, and against mishaps."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from kbroker.replication.fetch_session import MAX_EPOCH, FetchPartition, FetchSessions
from kbroker.replication.fetcher_session import FetcherSession, FetchPosition, SessionRequest
from wire.errors import ErrorCode

A, B, C = ((b"t" * 16, index) for index in range(3))
START = FetchPosition(
    fetch_offset=0, leader_epoch=1, last_fetched_epoch=-1, log_start_offset=0, high_watermark=0
)


def at(offset: int, epoch: int = 1) -> FetchPosition:
    return replace(START, fetch_offset=offset, leader_epoch=epoch)


def begun(*keys, session_id: int = 77) -> FetcherSession:
    """A session whose first, full request was answered."""
    session = FetcherSession()
    for key in keys:
        session.put(key, START)
    session.next_request()
    assert session.answered(0, session_id)
    return session


def test_everything_is_told_first_and_then_what_changed() -> None:
    session = FetcherSession()
    session.put(A, START)
    session.put(B, START)
    assert session.next_request() == SessionRequest(0, 0, ((A, START), (B, START)), ())
    assert session.answered(0, 77)
    assert session.next_request() == SessionRequest(77, 1, (), ())
    assert session.answered(0, 77)
    session.put(B, at(5))
    session.remove(A)
    session.put(C, START)
    assert session.next_request() == SessionRequest(77, 2, ((B, at(5)), (C, START)), (A,))


def test_a_change_that_is_taken_back_is_not_told() -> None:
    session = begun(A, B)
    session.put(A, at(5))
    session.put(A, START)
    session.remove(B)
    session.put(B, START)
    session.put(C, START)
    session.remove(C)
    session.remove(C)
    assert session.next_request() == SessionRequest(77, 1, (), ())


def test_one_that_comes_back_elsewhere_is_told_and_not_forgotten() -> None:
    session = begun(A)
    session.remove(A)
    session.put(A, at(3))
    assert session.next_request() == SessionRequest(77, 1, ((A, at(3)),), ())


def test_a_leader_without_room_for_a_session_is_told_everything_each_time() -> None:
    session = begun(A, session_id=0)
    assert session.next_request() == SessionRequest(0, 0, ((A, START),), ())
    assert session.answered(0, 0)
    assert session.position_of(A) == START


@pytest.mark.parametrize(
    ("code", "session_id"),
    [
        (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0),
        (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 77),
        (ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, 77),
        (ErrorCode.UNKNOWN_SERVER_ERROR, 77),
    ],
)
def test_after_an_error_everything_is_told_anew_and_the_old_session_ended(code, session_id) -> None:
    session = begun(A, B)
    session.put(A, at(5))
    session.next_request()
    assert not session.answered(code, 0)
    assert session.next_request() == SessionRequest(session_id, 0, ((B, START), (A, at(5))), ())


def test_after_a_lost_connection_too() -> None:
    session = begun(A)
    session.remove(A)
    session.put(B, START)
    session.next_request()
    session.lost()
    assert session.next_request() == SessionRequest(77, 0, ((B, START),), ())
    assert session.answered(0, 78)
    assert session.next_request() == SessionRequest(78, 1, (), ())


def test_a_session_that_the_leader_ends_is_begun_again() -> None:
    session = begun(A)
    session.next_request()
    assert session.answered(0, 0)
    assert session.next_request().epoch == 0


def test_epochs_of_a_session_go_round() -> None:
    session = begun(A)
    session._epoch = MAX_EPOCH
    assert session.next_request().epoch == MAX_EPOCH
    session.answered(0, 77)
    assert session.next_request().epoch == 1


def test_an_answer_counts_only_for_what_was_asked_and_is_still_wanted() -> None:
    session = begun(A, B, C)
    session.next_request()
    assert session.position_of(A) == START
    session.put(A, at(0, epoch=2))
    session.remove(B)
    assert session.answered(0, 77)
    assert session.position_of(A) is None, "another leader epoch (KAFKA-7786)"
    assert session.position_of(B) is None, "it has left (KAFKA-13207)"
    assert session.position_of(C) == START, "asked for earlier, and not named since"
    assert session.position_of((b"u" * 16, 0)) is None


def test_what_had_its_turn_is_told_last() -> None:
    session = begun(A, B)
    session.put(A, at(5))
    session.lost()
    assert [key for key, _ in session.next_request().partitions] == [B, A]


class BothSides(RuleBasedStateMachine):
    """Whatever is lost, and whenever: what the leader reads is what the fetcher wants."""

    def __init__(self) -> None:
        super().__init__()
        self.session = FetcherSession()
        self.leader = FetchSessions(max_sessions=1, random=random.Random(1))
        self.wanted: dict[tuple[bytes, int], FetchPosition] = {}

    @rule(key=st.sampled_from([A, B, C]), offset=st.integers(0, 3), epoch=st.integers(1, 2))
    def put(self, key, offset: int, epoch: int) -> None:
        self.wanted[key] = at(offset, epoch)
        self.session.put(key, at(offset, epoch))

    @rule(key=st.sampled_from([A, B, C]))
    def remove(self, key) -> None:
        self.wanted.pop(key, None)
        self.session.remove(key)

    @rule()
    def leader_restarts(self) -> None:
        self.leader = FetchSessions(max_sessions=1, random=random.Random(3))

    @rule()
    def leader_has_no_room(self) -> None:
        self.leader = FetchSessions(max_sessions=0, random=random.Random(1))

    @precondition(lambda self: self.wanted)
    @rule(fate=st.sampled_from(["answered", "request lost", "answer lost"]))
    def fetch(self, fate: str) -> None:
        request = self.session.next_request()
        if fate == "request lost":
            self.session.lost()
            return
        context = self.leader.begin(
            session_id=request.session_id,
            epoch=request.epoch,
            asked=[
                FetchPartition(
                    topic=None,
                    topic_id=topic_id,
                    index=index,
                    fetch_offset=position.fetch_offset,
                    max_bytes=1,
                    current_leader_epoch=position.leader_epoch,
                    last_fetched_epoch=-1,
                )
                for (topic_id, index), position in request.partitions
            ],
            forgotten=list(request.forgotten),
            uses_topic_ids=True,
            now_ms=0,
        )
        if fate == "answer lost":
            self.session.lost()
            return
        if not self.session.answered(context.error, context.session_id):
            assert context.error
            return
        read = {
            (each.topic_id, each.index): at(each.fetch_offset, each.current_leader_epoch)
            for each in context.partitions
        }
        assert read == self.wanted
        assert all(self.session.position_of(key) == read[key] for key in read)


TestBothSides = BothSides.TestCase
TestBothSides.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
