"""DescribeGroups and ListGroups: what others may see of a group."""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.group.classic.group import ClassicGroup, GroupState
from wire.errors import ErrorCode
from wire.messages.describe_groups import DescribedGroup, DescribedGroupMember
from wire.messages.list_groups import ListedGroup

GROUP_ID_NOT_FOUND_SINCE = 6
DEAD = "Dead"
CLASSIC = "classic"


def describe(group: ClassicGroup, *, version: int) -> DescribedGroup:
    """The group; what members said, and the protocol chosen, only while it is stable."""
    is_stable = group.state is GroupState.STABLE
    return DescribedGroup(
        error_code=ErrorCode.NONE,
        group_id=group.group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=(group.protocol_name or "") if is_stable else "",
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client.client_id,
                client_host=member.client.host,
                member_metadata=member.metadata(group.protocol_name) if is_stable else b"",
                member_assignment=member.assignment,
            )
            for member in group.members.values()
        ],
    )


def describe_missing(group_id: str, *, version: int) -> DescribedGroup:
    """A group that is not there: an error since version 6 (KIP-1043), before that a dead one."""
    found = DescribedGroup(
        error_code=ErrorCode.NONE,
        group_id=group_id,
        group_state=DEAD,
        protocol_type="",
        protocol_data="",
        members=[],
    )
    if version >= GROUP_ID_NOT_FOUND_SINCE:
        found.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        found.error_message = f"Group {group_id} not found."
    return found


def list_groups(
    groups: Iterable[ClassicGroup], *, states: frozenset[str], types: frozenset[str]
) -> list[ListedGroup]:
    """Groups in one of `states` and of one of `types`, whatever their case; empty means all."""
    wanted_states = {state.strip().lower() for state in states}
    wanted_types = {kind.lower() for kind in types}
    if wanted_types and CLASSIC not in wanted_types:
        return []
    return [
        ListedGroup(
            group_id=group.group_id,
            protocol_type=group.protocol_type or "",
            group_state=group.state.value,
            group_type=CLASSIC,
        )
        for group in sorted(groups, key=lambda group: group.group_id)
        if not wanted_states or group.state.value.lower() in wanted_states
    ]
