"""Requests to a group shard, from the short words of a conversation."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from coordinator.group.settings import Client
from wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

Options = Mapping[str, str]

SESSION_MS = 10_000
REBALANCE_MS = 30_000


def client(options: Options) -> Client:
    return Client(options.get("client", "c"), "/127.0.0.1")


def subscription(topics: Iterable[str]) -> bytes:
    """A consumer's subscription, version 0."""
    names = [topic.encode() for topic in topics]
    packed = b"".join(struct.pack(">h", len(name)) + name for name in names)
    return struct.pack(">hi", 0, len(names)) + packed + struct.pack(">i", -1)


def protocols(text: str) -> list[JoinGroupRequestProtocol]:
    """`range:t+u,roundrobin:t` are two protocols and the topics subscribed to in each."""
    found = []
    for each in filter(None, text.split(",")):
        name, _, topics = each.partition(":")
        metadata = subscription(filter(None, topics.split("+")))
        found.append(JoinGroupRequestProtocol(name=name, metadata=metadata))
    return found


def join_request(group_id: str, options: Options) -> tuple[JoinGroupRequest, int]:
    request = JoinGroupRequest(
        group_id="" if group_id == "-" else group_id,
        session_timeout_ms=int(options.get("session", SESSION_MS)),
        rebalance_timeout_ms=int(options.get("rebalance", REBALANCE_MS)),
        member_id=options.get("member", ""),
        group_instance_id=options.get("instance"),
        protocol_type=options.get("type", "consumer"),
        protocols=protocols(options.get("protocols", "range:t")),
    )
    return request, int(options.get("version", "9"))


def sync_request(group_id: str, options: Options) -> tuple[SyncGroupRequest, int]:
    """`assign=a-1:t0+t1,b-2:` is what the leader gives to whom."""
    assignments = []
    for each in filter(None, options.get("assign", "").split(",")):
        member_id, _, partitions = each.partition(":")
        assignments.append(
            SyncGroupRequestAssignment(member_id=member_id, assignment=partitions.encode())
        )
    request = SyncGroupRequest(
        group_id="" if group_id == "-" else group_id,
        generation_id=int(options["generation"]),
        member_id=options.get("member", ""),
        group_instance_id=options.get("instance"),
        protocol_type=options.get("type"),
        protocol_name=options.get("protocol"),
        assignments=assignments,
    )
    return request, int(options.get("version", "4"))


def leave_request(
    group_id: str, members: list[str], options: Options
) -> tuple[LeaveGroupRequest, int]:
    """Members by id; `id/instance` or `/instance` for static ones."""
    version = int(options.get("version", "5"))
    if version < 3:
        return LeaveGroupRequest(group_id=group_id, member_id=members[0]), version
    identities = []
    for each in members:
        member_id, _, instance = each.partition("/")
        identities.append(MemberIdentity(member_id=member_id, group_instance_id=instance or None))
    return LeaveGroupRequest(group_id=group_id, members=identities), version


def commit_request(group_id: str, options: Options) -> tuple[OffsetCommitRequest, int]:
    """`offsets=t-0:5,t-1:7`."""
    topics: dict[str, list[OffsetCommitRequestPartition]] = {}
    for each in filter(None, options.get("offsets", "t-0:1").split(",")):
        place, _, offset = each.partition(":")
        topic, _, partition = place.rpartition("-")
        topics.setdefault(topic, []).append(
            OffsetCommitRequestPartition(
                partition_index=int(partition),
                committed_offset=int(offset),
                committed_metadata=options.get("metadata"),
            )
        )
    request = OffsetCommitRequest(
        group_id=group_id,
        generation_id_or_member_epoch=int(options.get("generation", "-1")),
        member_id=options.get("member", ""),
        group_instance_id=options.get("instance"),
        retention_time_ms=int(options.get("retention", "-1")),
        topics=[
            OffsetCommitRequestTopic(name=topic, partitions=partitions)
            for topic, partitions in topics.items()
        ],
    )
    return request, int(options.get("version", "9"))


def parse_topics(words: list[str]) -> dict[str, list[int]]:
    """`t-0 t-1` as topics with their partitions."""
    topics: dict[str, list[int]] = {}
    for word in words:
        topic, _, partition = word.rpartition("-")
        topics.setdefault(topic, []).append(int(partition))
    return topics


def offset_delete_request(
    group_id: str, topics: Mapping[str, Iterable[int]]
) -> OffsetDeleteRequest:
    return OffsetDeleteRequest(
        group_id=group_id,
        topics=[
            OffsetDeleteRequestTopic(
                name=name,
                partitions=[OffsetDeleteRequestPartition(partition_index=each) for each in indexes],
            )
            for name, indexes in topics.items()
        ],
    )
