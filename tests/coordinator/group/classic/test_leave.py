"""LeaveGroup: each with its own outcome, and one rebalance for all."""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.leave import leave_group
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from tests.coordinator.group.groups import new_member, new_turn, stable_group
from wire.errors import ErrorCode
from wire.messages.leave_group import MemberIdentity

SETTINGS = GroupSettings()
NONE = ErrorCode.NONE
UNKNOWN = ErrorCode.UNKNOWN_MEMBER_ID


def leave(group: ClassicGroup, turn: Turn, *who: tuple[str, str | None]) -> list[ErrorCode]:
    leaving = [
        MemberIdentity(member_id=member_id, group_instance_id=instance)
        for member_id, instance in who
    ]
    return leave_group(group, leaving, turn, SETTINGS)


def test_each_has_its_own_outcome_and_who_has_gone_is_unknown() -> None:
    group = stable_group(new_member("a"), new_member("s", instance="i"), new_member("b"))
    codes = leave(
        group, new_turn(), ("a", None), ("a", None), ("", "i"), ("", "i"), ("", None), ("z", "i")
    )
    assert codes == [NONE, UNKNOWN, NONE, UNKNOWN, UNKNOWN, UNKNOWN]
    assert list(group.members) == ["b"]
    assert group.state is GroupState.PREPARING_REBALANCE


def test_an_instance_of_another_member_is_fenced() -> None:
    group = stable_group(new_member("a"), new_member("s", instance="i"))
    assert leave(group, new_turn(), ("a", "i")) == [ErrorCode.FENCED_INSTANCE_ID]
    assert group.state is GroupState.STABLE


def test_nobody_leaving_changes_nothing() -> None:
    group = stable_group(new_member("a"))
    assert leave(group, new_turn()) == []
    assert leave(group, new_turn(), ("z", None)) == [UNKNOWN]
    assert group.state is GroupState.STABLE


def test_a_pending_member_goes_without_a_rebalance_of_an_empty_group() -> None:
    group, turn = stable_group(), new_turn()
    group.pending_members["p"] = None
    turn.timers.schedule(TimerKey(TimerKind.SESSION, group.group_id, "p"), 1)
    assert leave(group, turn, ("p", None)) == [NONE]
    assert len(turn.timers) == 0, "the group may go, and takes no timers along"
    assert group.state is GroupState.EMPTY
    assert turn.records == []


def test_the_last_one_leaves_an_empty_group_that_is_stored() -> None:
    group, turn = stable_group(new_member("a"), new_member("b")), new_turn()
    assert leave(group, turn, ("a", None), ("b", None)) == [NONE, NONE]
    assert (group.state, group.generation) == (GroupState.EMPTY, 2)
    assert len(turn.records) == 1
