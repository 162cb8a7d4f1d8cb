"""A classic group as the record that is stored of it, and back.

Kafka's `GroupMetadataValue`: written when the leader has assigned, when the group has become
empty, when a static member has a new id, and when a group begins.
"""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember, MemberProtocol
from coordinator.group.records import group_metadata_record
from coordinator.group.settings import Client, GroupSettings
from coordinator.outcome import CoordinatorRecord
from wire.errors import WireError
from wire.messages.offset_records import GroupMetadataValue, MemberMetadata

NO_TIMESTAMP = -1


def group_record(
    group: ClassicGroup, assignments: Mapping[str, bytes], wall_ms: int
) -> CoordinatorRecord:
    """The group with its members as they are and `assignments` by member id."""
    value = GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=group.generation,
        protocol=group.protocol_name,
        leader=group.leader,
        current_state_timestamp=wall_ms,
        members=[
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client.client_id,
                client_host=member.client.host,
                rebalance_timeout=member.rebalance_timeout_ms,
                session_timeout=member.session_timeout_ms,
                subscription=member.metadata(group.protocol_name),
                assignment=assignments.get(member.member_id, b""),
            )
            for member in group.members.values()
        ],
    )
    return group_metadata_record(group.group_id, value)


def is_storable(record: CoordinatorRecord, settings: GroupSettings) -> bool:
    """Whether the record is small enough to be appended."""
    return len(record.key) + len(record.value or b"") <= settings.max_record_bytes


def new_group_record(group: ClassicGroup, wall_ms: int) -> CoordinatorRecord:
    """A group that has just begun, whoever may be joining it already."""
    value = GroupMetadataValue(
        protocol_type="",
        generation=0,
        protocol=None,
        leader=None,
        current_state_timestamp=wall_ms,
        members=[],
    )
    return group_metadata_record(group.group_id, value)


def restore(group: ClassicGroup | None, group_id: str, value: GroupMetadataValue) -> ClassicGroup:
    """The group that the record describes: `group` settled in it, or a new one in its place.

    A group that is being lived with wrote the record itself and agrees with it: it keeps what is
    in memory only (who waits, what else members could do). While a log is read no group waits for
    anything, so the same rule gives what the record says.
    """
    if group is not None and group.state is GroupState.PREPARING_REBALANCE:
        # The record that a group has begun, while its first members are joining.
        assert not value.members, "a group that rebalances has nothing to store"
        return group
    if group is None or not _agrees(group, value):
        group = _rebuild(group_id, value)
    group.protocol_type = value.protocol_type or None
    group.protocol_name = value.protocol
    group.leader = (
        value.leader if value.leader in group.members else next(iter(group.members), None)
    )
    group.state = GroupState.STABLE if value.members else GroupState.EMPTY
    timestamp_ms = value.current_state_timestamp
    group.state_timestamp_ms = None if timestamp_ms == NO_TIMESTAMP else timestamp_ms
    for stored in value.members:
        group.members[stored.member_id].assignment = stored.assignment
    group.refresh_subscribed_topics()
    return group


def _agrees(group: ClassicGroup, value: GroupMetadataValue) -> bool:
    """Whether the record is of this generation of these members, who said the same."""
    if group.generation != value.generation or len(group.members) != len(value.members):
        return False
    for stored in value.members:
        member = group.members.get(stored.member_id)
        if member is None or MemberProtocol(value.protocol or "", stored.subscription) not in (
            member.protocols
        ):
            return False
    return True


def _rebuild(group_id: str, value: GroupMetadataValue) -> ClassicGroup:
    """Raises WireError for members that no group can have."""
    member_ids = {stored.member_id for stored in value.members}
    instances = [
        each.group_instance_id for each in value.members if each.group_instance_id is not None
    ]
    if len(member_ids) < len(value.members) or len(set(instances)) < len(instances):
        raise WireError(f"group {group_id} has a member twice")
    if value.members and value.protocol is None:
        raise WireError(f"group {group_id} has members without a protocol")
    group = ClassicGroup(group_id)
    group.generation = value.generation
    for stored in value.members:
        group.add(
            ClassicMember(
                stored.member_id,
                group_instance_id=stored.group_instance_id,
                client=Client(stored.client_id, stored.client_host),
                rebalance_timeout_ms=stored.rebalance_timeout
                if stored.rebalance_timeout != -1
                else stored.session_timeout,
                session_timeout_ms=stored.session_timeout,
                protocols=[MemberProtocol(value.protocol or "", stored.subscription)],
            ),
            value.protocol_type,
        )
    return group
