"""Creating topics, as the controller.

A topic exists once its own key does. Its partitions are written before or with it, so that
nobody ever sees a topic with some of its partitions, however many transactions it takes.

The order of checks, the codes and the messages are those of Kafka's ReplicationControlManager:
clients show the messages to people. One deviation: Kafka lets two topics that collide pass in one
request, and refuses the second in a request of its own; here it is refused either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kbroker.cluster.controller_term import BATCH_SIZE, MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    PartitionRecord,
    TopicNameRecord,
    TopicRecord,
    decode_topic_name,
    encode_partition,
    encode_topic,
    encode_topic_name,
)
from kbroker.cluster.metadata_store import (
    DeletePrefix,
    Get,
    KeyValue,
    Listing,
    Put,
    created_at,
    key_absent,
)
from kbroker.cluster.placement import PlacementStart, plan_placement, validate_assignment
from kbroker.cluster.topic_names import validate_topic_name
from wire.errors import ErrorCode, KafkaError

MIN_INSYNC_REPLICAS = "min.insync.replicas"
USE_DEFAULT = -1
CLUSTER_METADATA_TOPIC = "__cluster_metadata"
"""Where Kafka keeps what is in the metadata store here; tools expect nobody to write there."""

ConfigCheck = Callable[[Mapping[str, str]], None]
"""Raises KafkaError(INVALID_CONFIG) for configs that a topic cannot have."""


@dataclass(frozen=True, slots=True)
class NewTopic:
    """What a client asks for. With an `assignment` the two numbers must be USE_DEFAULT."""

    name: str
    partition_count: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignment: Mapping[int, Sequence[int]] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)

    def partitions_wanted(self, defaults: TopicDefaults) -> int:
        """How many partitions the request means, before anything is checked."""
        if self.assignment:
            return len(self.assignment)
        if self.partition_count == USE_DEFAULT:
            return defaults.partition_count
        return max(self.partition_count, 0)


@dataclass(frozen=True, slots=True)
class CreatedTopic:
    """`revision` is where caches show it; 0 if it was only validated."""

    topic_id: bytes
    name: str
    partition_count: int
    replication_factor: int
    configs: Mapping[str, str]
    revision: int


@dataclass(frozen=True, slots=True)
class TopicDefaults:
    """For what a client leaves open: num.partitions, default.replication.factor, ..."""

    partition_count: int = 1
    replication_factor: int = 1
    min_isr: int = 1

    def min_isr_of(self, configs: Mapping[str, str]) -> int:
        return int(configs.get(MIN_INSYNC_REPLICAS, self.min_isr))


async def create_topic(
    term: ControllerTerm,
    topic: NewTopic,
    *,
    topic_id: bytes,
    start: PlacementStart,
    defaults: TopicDefaults,
    check_configs: ConfigCheck,
    validate_only: bool,
) -> CreatedTopic:
    """KafkaError: what Kafka answers for a topic that cannot be created."""
    if topic.name == CLUSTER_METADATA_TOPIC:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Creation of internal topic {topic.name} is prohibited."
        )
    validate_topic_name(topic.name)
    _refuse_existing(topic.name, await term.store.get(term.keys.topic_name(topic.name)))
    check_configs(topic.configs)
    for _ in range(MAX_ATTEMPTS):
        brokers = await read_brokers(term)
        placement = _place(topic, brokers, start, defaults)
        created = CreatedTopic(
            topic_id=topic_id,
            name=topic.name,
            partition_count=len(placement),
            replication_factor=len(placement[0]),
            configs=dict(topic.configs),
            revision=0,
        )
        if validate_only:
            return created
        records = first_records(placement, brokers, defaults.min_isr_of(topic.configs))
        revision = await _write(term, created, records, brokers)
        if revision:
            return replace(created, revision=revision)
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "brokers come and go too fast to place a topic")


def _refuse_existing(name: str, holder: KeyValue | None) -> None:
    """KafkaError if somebody holds the name, or one that collides with it."""
    if holder is None:
        return
    existing = decode_topic_name(holder.value).name
    if existing == name:
        raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    raise KafkaError(
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        f"Topic '{name}' collides with existing topic: {existing}",
    )


async def read_brokers(term: ControllerTerm) -> MetadataImage:
    """The brokers alone: with a thousand topics, creating one more is no slower."""
    registrations = await term.store.list(term.keys.brokers)
    admissions = await term.store.list(term.keys.admissions)
    image = MetadataImage(term.keys)
    # Two moments, but an admission names the broker epoch that it is for.
    image.replace_with(Listing(admissions.revision, registrations.items + admissions.items))
    return image


def _place(
    topic: NewTopic,
    brokers: MetadataImage,
    start: PlacementStart,
    defaults: TopicDefaults,
) -> list[tuple[int, ...]]:
    """The replicas of each partition, by number."""
    if topic.assignment:
        return _check_assignment(topic, brokers)
    if topic.replication_factor < USE_DEFAULT or topic.replication_factor == 0:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        )
    if topic.partition_count < USE_DEFAULT or topic.partition_count == 0:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            "Number of partitions was set to an invalid non-positive value.",
        )
    partition_count = topic.partition_count
    if partition_count == USE_DEFAULT:
        partition_count = defaults.partition_count
    replication_factor = topic.replication_factor
    if replication_factor == USE_DEFAULT:
        replication_factor = defaults.replication_factor
    return place(
        brokers,
        partition_count=partition_count,
        replication_factor=replication_factor,
        start=start,
    )


def place(
    brokers: MetadataImage,
    *,
    partition_count: int,
    replication_factor: int,
    start: PlacementStart,
    first_partition: int = 0,
) -> list[tuple[int, ...]]:
    """Where the brokers that are there, and those that are away, get replicas."""
    racks = {
        each: broker.registration.rack
        for each, broker in brokers.brokers.items()
        if broker.is_active
    }
    return plan_placement(
        racks,
        partition_count=partition_count,
        replication_factor=replication_factor,
        start=start,
        first_partition=first_partition,
        absent=[each for each in brokers.known_brokers() if each not in racks],
    )


def _check_assignment(topic: NewTopic, brokers: MetadataImage) -> list[tuple[int, ...]]:
    for number, what in (
        (topic.replication_factor, "replication factor"),
        (topic.partition_count, "numPartitions"),
    ):
        if number != USE_DEFAULT:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"A manual partition assignment was specified, but {what} was not set to -1.",
            )
    validate_assignment(topic.assignment, brokers.known_brokers())
    for partition, replicas in sorted(topic.assignment.items()):
        check_anybody_active(brokers, partition, replicas)
    return [tuple(topic.assignment[each]) for each in sorted(topic.assignment)]


def check_anybody_active(brokers: MetadataImage, partition: int, replicas: Sequence[int]) -> None:
    """KafkaError(INVALID_REPLICA_ASSIGNMENT): nobody of these could lead."""
    if not any(map(brokers.is_active, replicas)):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "All brokers specified in the manual partition assignment for partition "
            f"{partition} are fenced or in controlled shutdown.",
        )


def first_records(
    placement: Sequence[tuple[int, ...]], brokers: MetadataImage, min_isr: int
) -> list[PartitionRecord]:
    """In sync from the start is who is there: a new log is the same everywhere, empty."""
    records = []
    for replicas in placement:
        isr = tuple(filter(brokers.is_active, replicas))
        records.append(
            PartitionRecord(
                replicas=replicas, leader=isr[0], leader_epoch=0, isr=isr, min_isr=min_isr
            )
        )
    return records


async def _write(
    term: ControllerTerm,
    topic: CreatedTopic,
    records: Sequence[PartitionRecord],
    brokers: MetadataImage,
) -> int:
    """The topic's revision; 0: a broker that was to be in sync is in its next life already.

    All but the last batch of partitions are written ahead. Left behind without their topic, by a
    failure here, they mean nothing, and the next controller removes them.
    """
    keys, topic_id = term.keys, topic.topic_id
    puts = [
        Put(keys.partition(topic_id, n), encode_partition(each)) for n, each in enumerate(records)
    ]
    ahead = (len(puts) - 1) // BATCH_SIZE * BATCH_SIZE
    for start in range(0, ahead, BATCH_SIZE):
        await term.transact([], puts[start : start + BATCH_SIZE])
    in_sync = sorted({broker for each in records for broker in each.isr})
    assert len(in_sync) < BATCH_SIZE, "more brokers than a transaction can compare"
    name_key = keys.topic_name(topic.name)
    record = TopicRecord(
        name=topic.name,
        partition_count=len(records),
        configs=topic.configs,
        min_isr=records[0].min_isr,
    )
    result = await term.transact(
        [
            key_absent(name_key),
            *(
                created_at(keys.broker(each), brokers.brokers[each].broker_epoch)
                for each in in_sync
            ),
        ],
        [
            *puts[ahead:],
            Put(name_key, encode_topic_name(TopicNameRecord(topic_id, topic.name))),
            Put(keys.topic(topic_id), encode_topic(record)),
        ],
        [Get(name_key), DeletePrefix(keys.partitions(topic_id))],
    )
    if result.succeeded:
        return result.revision
    _refuse_existing(topic.name, result.values[0])
    return 0
