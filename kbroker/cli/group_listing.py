"""What a broker tells of groups, and how far each is behind; for `groups list` and `describe`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from kbroker.cli.connection import CommandError, Target, explain_code, retried, send
from kbroker.cli.topic_names import describe_topics

if TYPE_CHECKING:
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient
    from kafka.protocol.api_data import ApiData

GROUP_ID_NOT_FOUND = 69
CLASSIC_TYPES = ("classic", "")


class Member(TypedDict):
    """A member of a group. `partitions`: of each topic, where the assignment could be read."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    partitions: dict[str, list[int]]


class Group(TypedDict):
    """A classic group."""

    name: str
    state: str
    protocol_type: str
    protocol: str
    members: list[Member]


class Progress(TypedDict):
    """How far a group is in a partition. None where it committed nothing, or the topic is gone."""

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    member_id: str | None
    metadata: str | None


class ListedGroup(TypedDict):
    """A group as ListGroups tells of it."""

    name: str
    state: str
    type: str
    protocol_type: str


def list_groups(admin: KafkaAdminClient, target: Target) -> list[ListedGroup]:
    """All groups of all brokers, by name."""
    found = retried(target, admin.list_groups)
    return sorted(
        (
            ListedGroup(
                name=str(each["group_id"]),
                state=str(each.get("group_state") or ""),
                type=str(each.get("group_type") or ""),
                protocol_type=str(each["protocol_type"]),
            )
            for each in found
        ),
        key=lambda group: group["name"],
    )


def describe_group(admin: KafkaAdminClient, target: Target, name: str) -> Group:
    """A classic group. CommandError where there is none of that name, or it is of another kind."""
    listed = {group["name"]: group for group in list_groups(admin, target)}
    if name not in listed:
        raise CommandError(f"there is no group {name}")
    if listed[name]["type"].lower() not in CLASSIC_TYPES:
        raise CommandError(
            f"group {name} is of type {listed[name]['type']}; only classic groups are described"
        )
    described = retried(target, lambda: _ask(admin, name))
    return Group(
        name=name,
        state=str(described.group_state),
        protocol_type=str(described.protocol_type),
        protocol=str(described.protocol_data),
        members=sorted(
            (_member(each) for each in described.members), key=lambda member: member["member_id"]
        ),
    )


def _ask(admin: KafkaAdminClient, name: str) -> ApiData:
    from kafka.errors import for_code
    from kafka.protocol.admin import DescribeGroupsRequest

    request = DescribeGroupsRequest(groups=[name], include_authorized_operations=False)
    (group,) = send(admin, request, find_coordinator(admin, name)).groups
    if group.error_code == GROUP_ID_NOT_FOUND:
        raise CommandError(f"there is no group {name}")
    if group.error_code:
        raise for_code(group.error_code)
    return group


def find_coordinator(admin: KafkaAdminClient, group: str) -> int:
    """The id of the broker that keeps the group; the other private door of kafka-python's."""
    return int(admin._manager.run(admin._find_coordinator_id, group))


def _member(member: ApiData) -> Member:
    return Member(
        member_id=str(member.member_id),
        instance_id=None if member.group_instance_id is None else str(member.group_instance_id),
        client_id=str(member.client_id),
        host=str(member.client_host),
        partitions=read_assignment(bytes(member.member_assignment or b"")),
    )


def read_assignment(data: bytes) -> dict[str, list[int]]:
    """The partitions in a consumer's assignment; none where the bytes are something else's."""
    import struct

    from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

    if not data:
        return {}
    try:
        assignment = ConsumerProtocolAssignment.decode(data)
        topics = assignment.assigned_partitions
        return {str(each.topic): sorted(each.partitions) for each in topics}
    except (struct.error, ValueError, AttributeError, IndexError, TypeError):
        return {}


def find_progress(admin: KafkaAdminClient, target: Target, group: Group) -> list[Progress]:
    """Every partition that the group committed in, or that a member reads."""
    committed = committed_offsets(admin, target, group["name"])
    owners = {
        (topic, number): member["member_id"]
        for member in group["members"]
        for topic, numbers in member["partitions"].items()
        for number in numbers
    }
    keys = sorted({*owners, *((each.topic, each.partition) for each in committed)})
    offsets = {(each.topic, each.partition): value for each, value in committed.items()}
    ends = end_offsets(admin, keys)
    found = []
    for key in keys:
        topic, number = key
        offset, metadata = offsets.get(key, (None, None))
        end = ends.get(key)
        found.append(
            Progress(
                topic=topic,
                partition=number,
                committed=offset,
                end=end,
                lag=None if offset is None or end is None else max(0, end - offset),
                member_id=owners.get(key),
                metadata=metadata,
            )
        )
    return found


def committed_offsets(
    admin: KafkaAdminClient, target: Target, name: str
) -> dict[TopicPartition, tuple[int, str]]:
    """Offset and metadata that the group committed in each partition."""
    found = retried(target, lambda: admin.list_group_offsets(name))[name]
    return {
        partition: (int(each.offset), str(each.metadata or ""))
        for partition, each in found.items()
        if each.offset >= 0
    }


def end_offsets(
    admin: KafkaAdminClient, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Where those of the partitions end that exist."""
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    existing = {
        (topic["name"], partition["partition"])
        for topic in describe_topics(admin, None)
        for partition in topic["partitions"]
    }
    wanted = [TopicPartition(*key) for key in keys if key in existing]
    if not wanted:
        return {}
    found = admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.LATEST))
    return {(each.topic, each.partition): int(place.offset) for each, place in found.items()}


def explain_result(name: str, code: int) -> str:
    """Why the broker refused something about a group."""
    if code == GROUP_ID_NOT_FOUND:
        return f"there is no group {name}"
    return f"group {name}: {explain_code(code)}"
