"""Adding partitions to a topic, as the controller. Counterpart: `topic_creation.py`.

A topic has as many partitions as its own key counts. New ones are written before the count, or
with it, so that nobody sees some of them. What a controller that fails leaves beyond the count
means nothing: the next growth overwrites it, the next controller removes it
(`topic_changes.finish_interrupted_changes`).

The order of checks, the codes and the messages are those of Kafka's ReplicationControlManager.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kbroker.cluster.controller_term import BATCH_SIZE, MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    PartitionRecord,
    TopicRecord,
    decode_partition,
    decode_topic,
    decode_topic_name,
    encode_partition,
    encode_topic,
)
from kbroker.cluster.metadata_store import KeyValue, Put, created_at, modified_at
from kbroker.cluster.placement import PlacementStart, validate_replicas
from kbroker.cluster.topic_creation import (
    check_anybody_active,
    first_records,
    place,
    read_brokers,
)
from wire.errors import ErrorCode, KafkaError


@dataclass(frozen=True, slots=True)
class TopicGrowth:
    """What a client asks for: the number of partitions the topic is to have in all.

    `assignment`: the replicas of each partition that is added, in order; None leaves it to us.
    """

    name: str
    partition_count: int
    assignment: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class GrownTopic:
    """`revision` is where caches show the new partitions; 0 if it was only validated."""

    topic_id: bytes
    partitions_added: int
    revision: int


@dataclass(frozen=True, slots=True)
class _Found:
    """The topic as it was read, and what its key held then."""

    topic_id: bytes
    record: TopicRecord
    kv: KeyValue
    replication_factor: int


async def grow_topic(
    term: ControllerTerm,
    growth: TopicGrowth,
    *,
    start: PlacementStart,
    max_partitions: int,
    validate_only: bool,
) -> GrownTopic:
    """KafkaError: what Kafka answers for a growth that cannot be, POLICY_VIOLATION past
    `max_partitions` new ones.

    One at a time for each term, which the caller sees to: what is written ahead is nobody else's.
    """
    for _ in range(MAX_ATTEMPTS):
        found = await _find(term, growth.name)
        added = _partitions_added(growth, found.record.partition_count, max_partitions)
        brokers = await read_brokers(term)
        placement = _place(growth, found, brokers, start, added)
        if validate_only:
            return GrownTopic(found.topic_id, added, 0)
        records = first_records(placement, brokers, found.record.min_isr)
        revision = await _write(term, found, records, brokers)
        if revision:
            return GrownTopic(found.topic_id, added, revision)
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the topic changes too fast to grow")


async def _find(term: ControllerTerm, name: str) -> _Found:
    """KafkaError(UNKNOWN_TOPIC_OR_PARTITION)."""
    keys, store = term.keys, term.store
    holder = await store.get(keys.topic_name(name))
    named = None if holder is None else decode_topic_name(holder.value)
    if named is None or named.name != name:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    kv = await store.get(keys.topic(named.topic_id))
    first = await store.get(keys.partition(named.topic_id, 0))
    if kv is None or first is None:  # deleted in between
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    replicas = decode_partition(first.value, first.mod_revision).replicas
    return _Found(named.topic_id, decode_topic(kv.value), kv, len(replicas))


def _partitions_added(growth: TopicGrowth, existing: int, max_partitions: int) -> int:
    """How many are new. KafkaError(INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT)."""
    if growth.partition_count == existing:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS, f"Topic already has {existing} partition(s)."
        )
    added = growth.partition_count - existing
    if added < 0:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {growth.name} currently has {existing} partition(s); "
            f"{growth.partition_count} would not be an increase.",
        )
    if growth.assignment is not None and len(growth.assignment) != added:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {added} additional partition(s), but only "
            f"{len(growth.assignment)} assignment(s) were specified.",
        )
    if added > max_partitions:
        raise KafkaError(
            ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request."
        )
    return added


def _place(
    growth: TopicGrowth,
    found: _Found,
    brokers: MetadataImage,
    start: PlacementStart,
    added: int,
) -> list[tuple[int, ...]]:
    """The replicas of each new partition. KafkaError(INVALID_REPLICA_ASSIGNMENT, ...FACTOR)."""
    first = found.record.partition_count
    if growth.assignment is None:
        return place(
            brokers,
            partition_count=added,
            replication_factor=found.replication_factor,
            start=start,
            first_partition=first,
        )
    for partition, replicas in enumerate(growth.assignment, start=first):
        validate_replicas(replicas, brokers.known_brokers(), found.replication_factor)
        check_anybody_active(brokers, partition, replicas)
    return [tuple(replicas) for replicas in growth.assignment]


async def _write(
    term: ControllerTerm,
    found: _Found,
    records: Sequence[PartitionRecord],
    brokers: MetadataImage,
) -> int:
    """The revision of the growth; 0: the topic, or a broker to be in sync, has changed since.

    All but the last batch are written ahead of the count, each only if the topic is as it was:
    nothing is left of a topic that is deleted meanwhile.
    """
    keys, kv = term.keys, found.kv
    first = found.record.partition_count
    puts = [
        Put(keys.partition(found.topic_id, n), encode_partition(each))
        for n, each in enumerate(records, start=first)
    ]
    ahead = (len(puts) - 1) // BATCH_SIZE * BATCH_SIZE
    unchanged = modified_at(kv.key, kv.mod_revision)
    for at in range(0, ahead, BATCH_SIZE):
        written = await term.transact([unchanged], puts[at : at + BATCH_SIZE])
        if not written.succeeded:
            return 0
    in_sync = sorted({broker for each in records for broker in each.isr})
    assert len(in_sync) < BATCH_SIZE, "more brokers than a transaction can compare"
    grown = replace(found.record, partition_count=first + len(records))
    result = await term.transact(
        [
            unchanged,
            *(
                created_at(keys.broker(each), brokers.brokers[each].broker_epoch)
                for each in in_sync
            ),
        ],
        [*puts[ahead:], Put(kv.key, encode_topic(grown))],
    )
    return result.revision if result.succeeded else 0
