"""Moving a group: what `groups reset-offsets` would do, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbroker.cli.connection import CommandError, Target, explain_code, retried
from kbroker.cli.group_listing import committed_offsets, list_groups
from kbroker.cli.positions import Position, find_offsets
from kbroker.cli.topic_names import describe_topics, find_partitions

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

IDLE_STATES = ("empty", "dead", "")
UNKNOWN_MEMBER_ID = 25
"""What a group with members answers to a commit of somebody else."""


@dataclass(frozen=True, slots=True)
class Move:
    """From the committed offset (None: there is none) to a new one."""

    topic: str
    partition: int
    old: int | None
    new: int


def plan_reset(
    admin: KafkaAdminClient,
    target: Target,
    group: str,
    topics: Sequence[str],
    position: Position,
) -> list[Move]:
    """The moves to `position` in `topics`, or in all that the group committed in if there are none.

    CommandError for a group that has members; one that does not exist yet may be given offsets in
    named topics.
    """
    states = {each["name"]: each["state"] for each in list_groups(admin, target)}
    if group not in states and not topics:
        raise CommandError(f"there is no group {group}")
    if states.get(group, "").lower() not in IDLE_STATES:
        raise CommandError(busy(group))
    committed = committed_offsets(admin, target, group) if group in states else {}
    if topics:
        partitions = find_partitions(admin, topics)
    else:
        existing = {topic["name"] for topic in describe_topics(admin, None)}
        partitions = sorted(each for each in committed if each.topic in existing)
    if not partitions:
        raise CommandError(f"group {group} has no offsets to move")
    found = retried(target, lambda: find_offsets(admin, position, partitions))
    return [
        Move(each.topic, each.partition, committed[each][0] if each in committed else None, offset)
        for each, offset in sorted(found.items())
    ]


def busy(group: str) -> str:
    return f"group {group} has members: stop them first"


def reset(admin: KafkaAdminClient, target: Target, group: str, moves: Sequence[Move]) -> None:
    """Commit the new offsets. CommandError where the broker refuses one."""
    from kafka import TopicPartition
    from kafka.structs import OffsetAndMetadata

    offsets = {
        TopicPartition(move.topic, move.partition): OffsetAndMetadata(move.new, "", -1)
        for move in moves
    }
    answer = retried(target, lambda: admin.alter_group_offsets(group, offsets))
    for partition, error in sorted(answer.items()):
        code = int(error.errno)
        if code == UNKNOWN_MEMBER_ID:
            raise CommandError(busy(group))
        if code:
            raise CommandError(f"{partition.topic}:{partition.partition}: {explain_code(code)}")
