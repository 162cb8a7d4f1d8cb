"""SyncGroup (versions 0 to 5): the leader brings the assignment, everybody fetches its own.

- 3: static members (KIP-345). 5: the protocol is named, and checked (KIP-559).

The assignment is stored before anybody learns of it. After Kafka's `classicGroupSync`.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember
from coordinator.group.classic.rebalance import answer_sync, assigned, prepare, sync_failed
from coordinator.group.classic.stored import group_record, is_storable
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from coordinator.outcome import Ticket
from wire.errors import ErrorCode, KafkaError
from wire.messages.sync_group import SyncGroupRequest


def sync_group(
    group: ClassicGroup,
    request: SyncGroupRequest,
    ticket: Ticket,
    turn: Turn,
    settings: GroupSettings,
) -> None:
    """Answer or park the request of a member of a group that is not empty."""
    try:
        member = _check(group, request)
    except KafkaError as error:
        turn.answer(ticket, sync_failed(error.code))
        return
    if group.state is GroupState.PREPARING_REBALANCE:
        turn.answer(ticket, sync_failed(ErrorCode.REBALANCE_IN_PROGRESS))
        return
    _has_asked(group, member, turn)
    if group.state is GroupState.STABLE:
        turn.answer(ticket, assigned(group, member.assignment))
        return
    earlier, member.sync_ticket = member.sync_ticket, ticket
    # Kafka never answers the earlier one of two that overlap.
    turn.answer(earlier, sync_failed(ErrorCode.REBALANCE_IN_PROGRESS))
    if group.leader == member.member_id:
        _assign(group, request, turn, settings)


def _check(group: ClassicGroup, request: SyncGroupRequest) -> ClassicMember:
    """The member; KafkaError where it is none, of another generation, or of another protocol."""
    member = group.require_member(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
    if request.protocol_type not in (None, group.protocol_type):
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if request.protocol_name not in (None, group.protocol_name):
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    return member


def _assign(
    group: ClassicGroup, request: SyncGroupRequest, turn: Turn, settings: GroupSettings
) -> None:
    """Store what the leader has decided; replaying the record makes the group stable.

    Who the leader forgot gets nothing, and whom it invented is not stored. What is too large to be
    stored is UNKNOWN_SERVER_ERROR for all, who join again, as in Kafka.
    """
    assignments = {each.member_id: each.assignment for each in request.assignments}
    record = group_record(group, assignments, turn.now.wall_ms)
    if not is_storable(record, settings):
        for member in group.members.values():
            answer_sync(group, member, turn, sync_failed(ErrorCode.UNKNOWN_SERVER_ERROR))
        prepare(group, turn, settings)
        return
    turn.records.append(record)
    for member in group.members.values():
        assignment = assignments.get(member.member_id, b"")
        answer_sync(group, member, turn, assigned(group, assignment))


def _has_asked(group: ClassicGroup, member: ClassicMember, turn: Turn) -> None:
    group.pending_sync.pop(member.member_id, None)
    if not group.pending_sync:
        turn.timers.cancel(TimerKey(TimerKind.SYNC, group.group_id))
