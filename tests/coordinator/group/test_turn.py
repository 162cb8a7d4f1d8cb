"""One turn of the shard: its own reply apart from the others'."""

from __future__ import annotations

import pytest

from coordinator.group.timers import Timers
from coordinator.group.turn import Turn
from coordinator.outcome import CoordinatorRecord, Moment, Reply
from wire.messages.heartbeat import HeartbeatResponse
from wire.messages.sync_group import SyncGroupResponse

NOW = Moment(1, 2)
RECORD = CoordinatorRecord(b"k", None)


def test_the_requests_own_answer_is_its_reply_and_late_ones_keep_their_order() -> None:
    turn = Turn(NOW, Timers())
    answers = [SyncGroupResponse(error_code=code, assignment=b"") for code in range(3)]
    for ticket, answer in zip((7, 3, 5), answers, strict=True):
        turn.answer(ticket, answer)
    turn.records.append(RECORD)
    outcome = turn.outcome(3, SyncGroupResponse)
    assert outcome.records == (RECORD,)
    assert outcome.reply is answers[1]
    assert outcome.replies == (Reply(7, answers[0]), Reply(5, answers[2]))


def test_without_an_answer_of_its_own_the_request_is_parked() -> None:
    turn = Turn(NOW, Timers())
    turn.answer(None, HeartbeatResponse(error_code=0))
    outcome = turn.outcome(1, HeartbeatResponse)
    assert (outcome.records, outcome.reply, outcome.replies) == ((), None, ())


def test_nobody_is_answered_twice() -> None:
    turn = Turn(NOW, Timers())
    turn.answer(1, HeartbeatResponse(error_code=0))
    with pytest.raises(AssertionError):
        turn.answer(1, HeartbeatResponse(error_code=0))
