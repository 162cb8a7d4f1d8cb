"""Heartbeat: who is heard of, and what it is told."""

from __future__ import annotations

import pytest

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.heartbeat import heartbeat
from coordinator.group.turn import Turn
from tests.coordinator.group.groups import NOW, new_member, new_turn, stable_group
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatRequest


def beat(group: ClassicGroup, turn: Turn, member_id: str = "a", generation: int = 1) -> ErrorCode:
    request = HeartbeatRequest(group_id="g", generation_id=generation, member_id=member_id)
    return heartbeat(group, request, turn)


def test_a_session_is_prolonged_in_every_state_of_a_group_with_members() -> None:
    group = stable_group(new_member("a"))
    for state, generation, code in (
        (GroupState.STABLE, 1, ErrorCode.NONE),
        (GroupState.PREPARING_REBALANCE, 1, ErrorCode.REBALANCE_IN_PROGRESS),
        (GroupState.COMPLETING_REBALANCE, 2, ErrorCode.NONE),
    ):
        if state is GroupState.PREPARING_REBALANCE:
            group.transition_to(state, 0)
        elif state is GroupState.COMPLETING_REBALANCE:
            group.begin_generation(0)
        turn = new_turn()
        assert beat(group, turn, generation=generation) is code
        assert turn.timers.next_deadline_ms() == NOW.steady_ms + 10_000


@pytest.mark.parametrize(
    ("member_id", "generation", "code"),
    [
        ("z", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        ("z", 0, ErrorCode.UNKNOWN_MEMBER_ID),
        ("a", 0, ErrorCode.ILLEGAL_GENERATION),
        ("a", -1, ErrorCode.ILLEGAL_GENERATION),
    ],
)
def test_others_prolong_nothing(member_id: str, generation: int, code: ErrorCode) -> None:
    turn = new_turn()
    with pytest.raises(KafkaError) as refused:
        beat(stable_group(new_member("a")), turn, member_id, generation)
    assert refused.value.code is code
    assert len(turn.timers) == 0
