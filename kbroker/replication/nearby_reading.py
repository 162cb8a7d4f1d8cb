"""Reading near the consumer (KIP-392): the leader names a replica in the consumer's rack, and
followers serve what they know to be committed.

What a follower serves is below the high watermark that its leader has told it, and no more than it
has durably: a consumer there sees later what one at the leader sees, and nothing else. A consumer
that asks for more than the follower has is told OFFSET_OUT_OF_RANGE, and goes back to the leader.

Counterpart: `fetch_reading`, which reads.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from kbroker.cluster.metadata_image import BrokerImage
from kbroker.replication.fetch_reading import EMPTY, PartitionReading
from kbroker.replication.fetch_session import FetchPartition
from kbroker.replication.partition import ANY_EPOCH, Partition
from wire.messages.fetch import PartitionData


class NearbyReading:
    """For a consumer that has told its rack. `near`: the brokers there, which serve it."""

    __slots__ = ("_near", "_node_id", "_read")

    def __init__(self, read: PartitionReading, *, node_id: int, near: Container[int]) -> None:
        """`read` is for what it had best read here."""
        self._read = read
        self._node_id = node_id
        self._near = near

    def read(
        self,
        partition: Partition,
        asked: FetchPartition,
        *,
        max_bytes: int,
        first: bool,
        cached_only: bool,
    ) -> PartitionData:
        """Nothing but the name of a replica that is nearer, if there is one."""
        nearer = self._nearer(partition, asked.fetch_offset)
        if nearer is None:
            return self._read(
                partition, asked, max_bytes=max_bytes, first=first, cached_only=cached_only
            )
        partition.check_leader(max(asked.current_leader_epoch, ANY_EPOCH))
        return PartitionData(
            partition_index=asked.index,
            error_code=0,
            high_watermark=partition.high_watermark,
            last_stable_offset=partition.last_stable_offset,
            log_start_offset=partition.log.log_start_offset,
            aborted_transactions=None,
            preferred_read_replica=nearer,
            records=EMPTY,
        )

    def _nearer(self, partition: Partition, offset: int) -> int | None:
        """Of the in-sync followers there that have the offset, the one that has most."""
        if self._node_id in self._near or partition.in_sync is None:
            return None
        ends = partition.in_sync.followers_with(offset)
        near = [(end, broker_id) for broker_id, end in ends.items() if broker_id in self._near]
        return max(near)[1] if near else None


def brokers_in(rack: str, brokers: Iterable[BrokerImage]) -> set[int]:
    """Who is there, and serves."""
    return {
        each.registration.broker_id
        for each in brokers
        if each.is_active and each.registration.rack == rack
    }
