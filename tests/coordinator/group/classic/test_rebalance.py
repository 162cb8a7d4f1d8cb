"""From generation to generation: what the conversations leave out."""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ParkedJoin
from coordinator.group.classic.rebalance import (
    complete_if_joined,
    join_failed,
    on_join_due,
    on_session_due,
    on_sync_due,
    prepare,
    remove_member,
)
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from tests.coordinator.group.groups import NOW, new_member, new_turn, stable_group
from wire.errors import ErrorCode

SETTINGS = GroupSettings()
JOIN = TimerKey(TimerKind.JOIN, "g")
SYNC = TimerKey(TimerKind.SYNC, "g")


def await_joins(group: ClassicGroup) -> None:
    for ticket, member in enumerate(group.members.values()):
        group.await_join(member, ParkedJoin(ticket, 9))


def test_a_rebalance_waits_for_the_longest_timeout_of_any_member() -> None:
    group = stable_group(new_member("a"), new_member("b"))
    group.members["b"].rebalance_timeout_ms = 45_000
    turn = new_turn()
    prepare(group, turn, SETTINGS)
    assert turn.timers.next_deadline_ms() == NOW.steady_ms + 45_000


def test_a_negative_timeout_is_due_at_once() -> None:
    group = stable_group(new_member("a"))
    group.members["a"].rebalance_timeout_ms = -5
    turn = new_turn()
    prepare(group, turn, SETTINGS)
    assert turn.timers.next_deadline_ms() == NOW.steady_ms


def test_all_that_join_are_answered_heard_of_and_expected_to_sync() -> None:
    group = stable_group(new_member("a"), new_member("b"))
    turn = new_turn()
    prepare(group, turn, SETTINGS)
    await_joins(group)
    complete_if_joined(group, turn)
    assert [reply.ticket for reply in turn.replies()] == [0, 1]
    assert group.state is GroupState.COMPLETING_REBALANCE
    assert list(group.pending_sync) == ["a", "b"]
    assert SYNC in turn.timers
    assert JOIN not in turn.timers
    assert turn.records == []


def test_a_group_that_empties_itself_is_stored_in_a_new_generation() -> None:
    group = stable_group(new_member("a"))
    turn = new_turn()
    remove_member(group, group.members["a"], turn, SETTINGS)
    assert (group.state, group.generation) == (GroupState.EMPTY, 2)
    assert len(turn.records) == 1
    assert len(turn.timers) == 0


def test_a_session_that_ends_for_nobody_changes_nothing() -> None:
    group = stable_group(new_member("a"))
    turn = new_turn()
    on_session_due(group, "nobody", turn, SETTINGS)
    assert group.state is GroupState.STABLE


def test_the_initial_delay_is_not_prolonged_without_anybody_new() -> None:
    settings = GroupSettings(initial_rebalance_delay_ms=3_000)
    group = ClassicGroup("g")
    group.add(new_member("a"), "consumer")
    turn = new_turn()
    prepare(group, turn, settings)
    await_joins(group)
    complete_if_joined(group, turn)
    assert group.state is GroupState.PREPARING_REBALANCE, "not before the delay is over"
    assert turn.timers.next_deadline_ms() == NOW.steady_ms + 3_000
    group.has_new_member = True
    on_join_due(group, turn, settings)
    assert group.state is GroupState.PREPARING_REBALANCE
    on_join_due(group, turn, settings)
    assert group.state is GroupState.COMPLETING_REBALANCE


def test_who_does_not_sync_goes_and_the_others_join_again() -> None:
    group = stable_group(new_member("a"), new_member("b"))
    group.pending_sync["b"] = None
    turn = new_turn()
    on_sync_due(group, turn, SETTINGS)
    assert list(group.members) == ["a"]
    assert group.state is GroupState.PREPARING_REBALANCE


def test_a_refusal_names_no_protocol_in_the_way_of_its_version() -> None:
    code = ErrorCode.UNKNOWN_MEMBER_ID
    assert join_failed(code, version=6).protocol_name == ""
    assert join_failed(code, version=7).protocol_name is None
