"""LeaveGroup (versions 0 to 5): members go at once, rather than when their session ends.

- 3: several at a time, and static ones by their instance id alone (KIP-345). 5: a reason (KIP-800),
  which is not used. After Kafka's `classicGroupLeave`.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember
from coordinator.group.classic.rebalance import complete_if_joined, forget, prepare
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from wire.errors import ErrorCode, KafkaError
from wire.messages.leave_group import MemberIdentity

UNKNOWN_MEMBER_ID = ""


def leave_group(
    group: ClassicGroup, leaving: list[MemberIdentity], turn: Turn, settings: GroupSettings
) -> list[ErrorCode]:
    """Let all of `leaving` go, then rebalance once; the outcome of each, in order."""
    codes = []
    for identity in leaving:
        try:
            _leave(group, identity, turn)
            codes.append(ErrorCode.NONE)
        except KafkaError as error:
            codes.append(error.code)
    if ErrorCode.NONE in codes:
        if group.state is GroupState.PREPARING_REBALANCE:
            complete_if_joined(group, turn)
        elif group.state is not GroupState.EMPTY:
            prepare(group, turn, settings)
    return codes


def _leave(group: ClassicGroup, identity: MemberIdentity, turn: Turn) -> None:
    if identity.member_id in group.pending_members:
        turn.timers.cancel(TimerKey(TimerKind.SESSION, group.group_id, identity.member_id))
        group.remove(identity.member_id)
    else:
        forget(group, _who(group, identity), turn)


def _who(group: ClassicGroup, identity: MemberIdentity) -> ClassicMember:
    if identity.member_id != UNKNOWN_MEMBER_ID:
        return group.require_member(identity.member_id, identity.group_instance_id)
    # An administrator names the instance only.
    instance = identity.group_instance_id
    member = None if instance is None else group.static_member(instance)
    if member is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
    return member
