"""How a classic group gets from one generation to the next.

Stable -> PreparingRebalance (everybody has to join again) -> CompletingRebalance (the leader
assigns) -> Stable; without members -> Empty. After `GroupMetadataManager` of Kafka. Requests that
move a group call `prepare` or `complete_if_joined`; due timers call the `on_..._due` functions.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember
from coordinator.group.classic.stored import group_record
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from wire.errors import ErrorCode
from wire.messages.join_group import JoinGroupResponse
from wire.messages.sync_group import SyncGroupResponse

NULL_PROTOCOL_NAME_SINCE = 7
"""Answers to JoinGroup say from then on that there is no protocol; below, that it is empty."""
NO_LEADER = ""
NO_MEMBER_ID = ""


def prepare_or_complete(group: ClassicGroup, turn: Turn, settings: GroupSettings) -> None:
    """Membership has changed: start a rebalance, or see whether the one under way is complete."""
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_if_joined(group, turn)
    else:
        prepare(group, turn, settings)


def prepare(group: ClassicGroup, turn: Turn, settings: GroupSettings) -> None:
    """Everybody has to join again; who waits for an assignment is told so.

    An empty group gives those who come a moment to become more: the delay of the settings, as
    often as somebody comes in it, and at most the rebalance timeout.
    """
    if group.state is GroupState.COMPLETING_REBALANCE:
        for member in group.members.values():
            member.assignment = b""
            answer_sync(group, member, turn, sync_failed(ErrorCode.REBALANCE_IN_PROGRESS))
    group.pending_sync.clear()
    turn.timers.cancel(TimerKey(TimerKind.SYNC, group.group_id))
    is_initial = group.state is GroupState.EMPTY
    group.transition_to(GroupState.PREPARING_REBALANCE, turn.now.wall_ms)
    if is_initial:
        group.initial_delay_ms = settings.initial_rebalance_delay_ms
        group.initial_remaining_ms = max(group.rebalance_timeout_ms - group.initial_delay_ms, 0)
        group.has_new_member = False
        _wait_for_joins(group, turn, group.initial_delay_ms)
    elif group.has_all_joined:
        complete(group, turn)
    else:
        _wait_for_joins(group, turn, group.rebalance_timeout_ms)


def complete_if_joined(group: ClassicGroup, turn: Turn) -> None:
    """Begin the next generation once all have joined; never inside the initial delay."""
    if (
        group.state is GroupState.PREPARING_REBALANCE
        and group.previous_state is not GroupState.EMPTY
        and group.has_all_joined
    ):
        complete(group, turn)


def complete(group: ClassicGroup, turn: Turn) -> None:
    """Begin the next generation with those who have joined.

    Dynamic members that have not go; static ones stay and keep their place until their session
    times out (KIP-345). Where nobody has joined, the group waits on for the sessions to end.
    """
    turn.timers.cancel(TimerKey(TimerKind.JOIN, group.group_id))
    late = [
        member
        for member in group.members.values()
        if not member.is_awaiting_join and member.group_instance_id is None
    ]
    for member in late:
        forget(group, member, turn)
    if not group.elect_joined_leader() and group.members:
        _wait_for_joins(group, turn, group.rebalance_timeout_ms)
        return
    group.begin_generation(turn.now.wall_ms)
    if group.state is GroupState.EMPTY:
        turn.records.append(group_record(group, {}, turn.now.wall_ms))
        return
    for member in group.members.values():
        answer_join(group, member, turn, joined(group, member))
        expect_heartbeat(group, member, turn)
        member.is_new = False
        group.pending_sync[member.member_id] = None
    key = TimerKey(TimerKind.SYNC, group.group_id)
    turn.timers.schedule(key, turn.now.steady_ms + max(group.rebalance_timeout_ms, 0))


def remove_member(
    group: ClassicGroup, member: ClassicMember, turn: Turn, settings: GroupSettings
) -> None:
    """A member has gone, or was not heard of: the others share what it had."""
    forget(group, member, turn)
    if group.state is GroupState.PREPARING_REBALANCE:
        # Not bound to the initial delay: Kafka ends it here too when all have joined.
        if group.has_all_joined:
            complete(group, turn)
    elif group.state is not GroupState.EMPTY:
        prepare(group, turn, settings)


# --- timers that are due ---


def on_session_due(
    group: ClassicGroup, member_id: str, turn: Turn, settings: GroupSettings
) -> None:
    """A session has ended: the member goes, unless it waits for an answer of ours."""
    member = group.members.get(member_id)
    if member is not None:
        if not member.is_alive_unheard:
            remove_member(group, member, turn, settings)
    elif member_id in group.pending_members:
        group.remove(member_id)
        if group.state is GroupState.PREPARING_REBALANCE and group.has_all_joined:
            complete(group, turn)


def on_join_due(group: ClassicGroup, turn: Turn, settings: GroupSettings) -> None:
    """The time to join is over, or the initial delay: it is prolonged if somebody has come."""
    assert group.state is GroupState.PREPARING_REBALANCE
    is_initial = group.previous_state is GroupState.EMPTY
    if is_initial and group.has_new_member and group.initial_remaining_ms:
        group.has_new_member = False
        delay_ms = min(settings.initial_rebalance_delay_ms, group.initial_remaining_ms)
        group.initial_remaining_ms = max(group.initial_remaining_ms - group.initial_delay_ms, 0)
        group.initial_delay_ms = delay_ms
        _wait_for_joins(group, turn, delay_ms)
    else:
        complete(group, turn)


def on_sync_due(group: ClassicGroup, turn: Turn, settings: GroupSettings) -> None:
    """Members that joined and then did not ask for their assignment go (KIP-800's follow-up)."""
    assert group.state in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE)
    for member_id in list(group.pending_sync):
        forget(group, group.members[member_id], turn)
    prepare(group, turn, settings)


# --- what others share ---


def joined(group: ClassicGroup, member: ClassicMember) -> JoinGroupResponse:
    """The answer to a member of the current generation; the leader learns of all members."""
    is_leader = group.leader == member.member_id
    return JoinGroupResponse(
        error_code=ErrorCode.NONE,
        generation_id=group.generation,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=group.leader or NO_LEADER,
        member_id=member.member_id,
        members=group.joined_members() if is_leader else [],
    )


def join_failed(
    code: ErrorCode, member_id: str = NO_MEMBER_ID, *, version: int
) -> JoinGroupResponse:
    """The answer to a join that is refused."""
    return JoinGroupResponse(
        error_code=code,
        protocol_name=None if version >= NULL_PROTOCOL_NAME_SINCE else "",
        leader=NO_LEADER,
        member_id=member_id,
        members=[],
    )


def sync_failed(code: ErrorCode) -> SyncGroupResponse:
    """The answer to a request for an assignment that there is not."""
    return SyncGroupResponse(error_code=code, assignment=b"")


def answer_join(
    group: ClassicGroup, member: ClassicMember, turn: Turn, response: JoinGroupResponse
) -> None:
    """Answer the join that the member waits with, if it does."""
    parked = group.await_join(member, None)
    if parked is not None:
        turn.answer(parked.ticket, response)


def answer_sync(
    group: ClassicGroup, member: ClassicMember, turn: Turn, response: SyncGroupResponse
) -> None:
    """Answer the sync that the member waits with, if it does; its session begins anew.

    While it waited it did not have to heartbeat, so its session may have run out meanwhile.
    """
    if member.sync_ticket is not None:
        turn.answer(member.sync_ticket, response)
        member.sync_ticket = None
        expect_heartbeat(group, member, turn)


def assigned(group: ClassicGroup, assignment: bytes) -> SyncGroupResponse:
    """The answer to a member that asks for its assignment."""
    return SyncGroupResponse(
        error_code=ErrorCode.NONE,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        assignment=assignment,
    )


def expect_heartbeat(
    group: ClassicGroup, member: ClassicMember, turn: Turn, within_ms: int | None = None
) -> None:
    """The member has been heard of; its session ends unless it is heard of again in time."""
    key = TimerKey(TimerKind.SESSION, group.group_id, member.member_id)
    timeout_ms = member.session_timeout_ms if within_ms is None else within_ms
    turn.timers.schedule(key, turn.now.steady_ms + timeout_ms)


def answer_waiting(
    group: ClassicGroup, member: ClassicMember, turn: Turn, code: ErrorCode, member_id: str
) -> None:
    """Whatever the member waits for is answered with `code`: it is a member no more."""
    parked = group.await_join(member, None)
    if parked is not None:
        turn.answer(parked.ticket, join_failed(code, member_id, version=parked.version))
    if member.sync_ticket is not None:
        turn.answer(member.sync_ticket, sync_failed(code))
        member.sync_ticket = None


def forget(group: ClassicGroup, member: ClassicMember, turn: Turn) -> None:
    """The member is one no more; whatever it waits for tells it so. The group is not moved."""
    answer_waiting(group, member, turn, ErrorCode.UNKNOWN_MEMBER_ID, NO_MEMBER_ID)
    turn.timers.cancel(TimerKey(TimerKind.SESSION, group.group_id, member.member_id))
    group.remove(member.member_id)


def _wait_for_joins(group: ClassicGroup, turn: Turn, timeout_ms: int) -> None:
    key = TimerKey(TimerKind.JOIN, group.group_id)
    turn.timers.schedule(key, turn.now.steady_ms + max(timeout_ms, 0))
