"""What groups have committed: persistent state that only `replay` changes.

Pure. Counterpart: `shard`, which decides what may be committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NO_EXPIRY = -1


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """One committed offset. `expire_timestamp_ms` is -1 where the broker's retention decides."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int
    topic_id: bytes


class CommittedOffsets:
    """Committed offsets by group, topic and partition. Mutable."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, dict[int, CommittedOffset]]] = {}

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups

    def get(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        """What the group committed last, or None."""
        return self._groups.get(group_id, {}).get(topic, {}).get(partition)

    def of_group(self, group_id: str) -> dict[str, dict[int, CommittedOffset]]:
        """By topic and partition. Not to be changed."""
        return self._groups.get(group_id, {})

    def topics(self) -> list[str]:
        """Every topic with a committed offset, sorted."""
        return sorted({topic for topics in self._groups.values() for topic in topics})

    def of_topic(self, topic: str) -> Iterator[tuple[str, int]]:
        """Who has committed an offset of `topic`: (group, partition), sorted."""
        for group_id in sorted(self._groups):
            for partition in sorted(self._groups[group_id].get(topic, {})):
                yield group_id, partition

    def put(self, group_id: str, topic: str, partition: int, committed: CommittedOffset) -> None:
        """Take over one committed offset."""
        self._groups.setdefault(group_id, {}).setdefault(topic, {})[partition] = committed

    def remove(self, group_id: str, topic: str, partition: int) -> None:
        """Forget one; harmless when there is none."""
        topics = self._groups.get(group_id, {})
        partitions = topics.get(topic, {})
        partitions.pop(partition, None)
        if not partitions:
            topics.pop(topic, None)
        if not topics:
            self._groups.pop(group_id, None)
