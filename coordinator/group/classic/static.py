"""Static members (KIP-345): an instance that comes back without its member id takes its place.

The old member id is fenced: whatever waits under it is answered FENCED_INSTANCE_ID, and so is
whatever it asks from now on. In a stable group nobody else notices: the new member id is stored
and gets the assignment that the old one had.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember
from coordinator.group.classic.rebalance import answer_join, answer_waiting, joined
from coordinator.group.classic.stored import group_record, is_storable
from coordinator.group.settings import GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from coordinator.outcome import CoordinatorRecord
from wire.errors import ErrorCode

SKIP_ASSIGNMENT_SINCE = 9


def replace_static_member(
    group: ClassicGroup, old: ClassicMember, new_member_id: str, turn: Turn
) -> ClassicMember:
    """Fence `old`; the member in its place has the new id and has joined nothing yet."""
    answer_waiting(group, old, turn, ErrorCode.FENCED_INSTANCE_ID, old.member_id)
    turn.timers.cancel(TimerKey(TimerKind.SESSION, group.group_id, old.member_id))
    return group.replace_static(old, new_member_id)


def keeps_generation(group: ClassicGroup, settings: GroupSettings) -> bool:
    """Whether the group can go on as it is, after one of its members was replaced.

    While the leader assigns it cannot: the leader only knows the old member id. Nor where the new
    member says so much that the group cannot be stored.
    """
    return (
        group.state is GroupState.STABLE
        and group.select_protocol() == group.protocol_name
        and is_storable(_record(group, wall_ms=0), settings)
    )


def store_and_answer(
    group: ClassicGroup, member: ClassicMember, old_member_id: str, turn: Turn, *, version: int
) -> None:
    """Store the new member id and answer its join with the generation that there is.

    A leader that is back must not assign. From version 9 on (KIP-814) it is told so, and still
    learns of the members whose topics it has to watch; below, it is told that its old id leads.
    """
    turn.records.append(_record(group, wall_ms=turn.now.wall_ms))
    response = joined(group, member)
    if group.leader == member.member_id:
        if version >= SKIP_ASSIGNMENT_SINCE:
            response.skip_assignment = True
        else:
            response.leader = old_member_id
            response.members = []
    answer_join(group, member, turn, response)


def _record(group: ClassicGroup, *, wall_ms: int) -> CoordinatorRecord:
    assignments = {each.member_id: each.assignment for each in group.members.values()}
    return group_record(group, assignments, wall_ms)
