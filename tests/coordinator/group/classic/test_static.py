"""KIP-345: who takes whose place, and what the group notices of it."""

from __future__ import annotations

import pytest

from coordinator.group.classic.group import GroupState
from coordinator.group.classic.member import ParkedJoin
from coordinator.group.classic.static import (
    keeps_generation,
    replace_static_member,
    store_and_answer,
)
from coordinator.group.records import decode_group_metadata_value
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from tests.coordinator.group.groups import new_member, new_turn, stable_group
from wire.errors import ErrorCode
from wire.messages.join_group import JoinGroupResponse
from wire.messages.sync_group import SyncGroupResponse

SETTINGS = GroupSettings()


def test_whatever_waits_under_the_old_id_is_fenced() -> None:
    group, turn = stable_group(new_member("a"), new_member("s", instance="i")), new_turn()
    old = group.members["s"]
    group.await_join(old, ParkedJoin(1, 5))
    old.sync_ticket = 2
    turn.timers.schedule(TimerKey(TimerKind.SESSION, "g", "s"), 9)
    new = replace_static_member(group, old, "s2", turn)
    assert group.awaiting_join_count == 0
    assert new.member_id == "s2"
    join, sync = (reply.response for reply in turn.replies())
    assert isinstance(join, JoinGroupResponse)
    assert isinstance(sync, SyncGroupResponse)
    assert (join.error_code, join.member_id) == (ErrorCode.FENCED_INSTANCE_ID, "s")
    assert sync.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert len(turn.timers) == 0


def test_only_a_stable_group_with_the_same_protocol_goes_on() -> None:
    group = stable_group(new_member("s", instance="i", protocols="range,sticky"))
    assert keeps_generation(group, SETTINGS)
    assert not keeps_generation(group, GroupSettings(max_record_bytes=50))
    group.protocol_name = "sticky"
    assert not keeps_generation(group, SETTINGS)
    group.protocol_name = "range"
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    assert not keeps_generation(group, SETTINGS)
    group.begin_generation(0)
    assert not keeps_generation(group, SETTINGS)


@pytest.mark.parametrize(
    ("version", "leader", "known", "skips"),
    [(9, "s2", ["s2", "a"], True), (8, "s", [], False), (5, "s", [], False)],
)
def test_a_leader_that_is_back_does_not_assign(version, leader, known, skips) -> None:
    """KIP-814 for version 9; older clients are told that another one leads."""
    group, turn = stable_group(new_member("s", instance="i"), new_member("a")), new_turn()
    new = replace_static_member(group, group.members["s"], "s2", turn)
    group.await_join(new, ParkedJoin(1, version))
    store_and_answer(group, new, "s", turn, version=version)
    response = turn.replies()[0].response
    assert isinstance(response, JoinGroupResponse)
    assert (response.leader, response.skip_assignment) == (leader, skips)
    assert [member.member_id for member in response.members] == known
    assert turn.records[0].value is not None
    stored = decode_group_metadata_value(turn.records[0].value)
    assert (stored.generation, stored.leader) == (1, "s2")
    assert [member.assignment for member in stored.members] == [b"s", b"a"]
