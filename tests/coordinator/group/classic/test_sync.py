"""SyncGroup: what is stored of an assignment, and who is answered."""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.sync import sync_group
from coordinator.group.records import decode_group_metadata_value
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from tests.coordinator.group.groups import new_member, new_turn, stable_group
from tests.coordinator.requests import sync_request
from wire.errors import ErrorCode
from wire.messages.sync_group import SyncGroupResponse


def assigning_group() -> ClassicGroup:
    group = stable_group(new_member("a"), new_member("b"))
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    group.begin_generation(0)
    group.pending_sync.update(dict.fromkeys(group.members))
    return group


def run(group: ClassicGroup, ticket: int, turn: Turn, **options: str) -> list[tuple[int, int]]:
    """Who is answered what, by ticket."""
    request, _ = sync_request("g", options)
    sync_group(group, request, ticket, turn, GroupSettings())
    codes = []
    for reply in turn.replies():
        assert isinstance(reply.response, SyncGroupResponse)
        codes.append((reply.ticket, reply.response.error_code))
    return codes


def test_a_follower_waits_and_is_answered_with_the_leader() -> None:
    group = assigning_group()
    assert run(group, 1, new_turn(), member="b", generation="2") == []
    turn = new_turn()
    turn.timers.schedule(TimerKey(TimerKind.SYNC, "g"), 9)
    found = run(group, 2, turn, member="a", generation="2", assign="a:x,b:y")
    assert found == [(2, 0), (1, 0)]
    assert [reply.response.assignment for reply in turn.replies()] == [  # type: ignore[attr-defined]
        b"x",
        b"y",
    ]
    assert TimerKey(TimerKind.SYNC, "g") not in turn.timers
    assert group.state is GroupState.COMPLETING_REBALANCE, "until the record is replayed"
    assert turn.records[0].value is not None
    stored = decode_group_metadata_value(turn.records[0].value)
    assert [(each.member_id, each.assignment) for each in stored.members] == [
        ("a", b"x"),
        ("b", b"y"),
    ]


def test_assignments_of_a_follower_are_not_read() -> None:
    group, turn = assigning_group(), new_turn()
    assert run(group, 1, turn, member="b", generation="2", assign="b:all") == []
    assert turn.records == []


def test_a_protocol_that_is_not_named_is_not_checked() -> None:
    group = stable_group(new_member("a"))
    good = {"member": "a", "generation": "1"}
    bad = int(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    for options, code in (
        ({}, 0),
        ({"type": "consumer"}, 0),
        ({"protocol": "range"}, 0),
        ({"type": "connect"}, bad),
        ({"type": "consumer", "protocol": "sticky"}, bad),
    ):
        assert run(group, 1, new_turn(), **good, **options) == [(1, code)]


def test_the_generation_is_checked_before_the_state() -> None:
    group = assigning_group()
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    illegal, rebalancing = ErrorCode.ILLEGAL_GENERATION, ErrorCode.REBALANCE_IN_PROGRESS
    assert run(group, 1, new_turn(), member="a", generation="1") == [(1, illegal)]
    assert run(group, 1, new_turn(), member="a", generation="2") == [(1, rebalancing)]
