"""Changes of many partitions by the controller: what each rests on, and writing them in batches.

A change is written only if the partition is as it was when the change was planned, this broker is
still the controller, and the brokers that the change is about are still what they were then (rules
5 and 12). So a plan may be made from a metadata image that is behind.

Counterparts: `elections.py` (what becomes of a partition), `controller_duties.py` and
`broker_admission.py` (who plan changes).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kbroker.cluster.controller_term import BATCH_SIZE, ControllerTerm
from kbroker.cluster.elections import Election
from kbroker.cluster.metadata_image import BrokerImage, MetadataImage, TopicImage
from kbroker.cluster.metadata_records import (
    NO_LEADER,
    AdmissionState,
    PartitionRecord,
    encode_partition,
)
from kbroker.cluster.metadata_store import (
    MAX_TRANSACTION_OPERATIONS,
    Compare,
    Get,
    Put,
    created_at,
    modified_at,
)

logger = logging.getLogger(__name__)

NOT_REGISTERED = 0
"""In place of a broker epoch: there is no such broker. (An absent key was created at 0.)"""

SLICE = 100
"""Partitions looked at in one go, a few milliseconds at most: then others have their turn."""


class Members:
    """Which brokers count, as an image had it at one moment; it does not follow the image.

    A broker whose next start has registered, and is not admitted yet, is neither live nor gone.
    """

    def __init__(self, image: MetadataImage) -> None:
        self.epochs = {each: broker.broker_epoch for each, broker in image.brokers.items()}
        self._live = {each for each, broker in image.brokers.items() if broker.is_admitted}
        self._leaving = {each for each, broker in image.brokers.items() if wants_to_leave(broker)}
        self._missing = {
            each: broker.registration.missing_partitions for each, broker in image.brokers.items()
        }

    def is_gone(self, broker_id: int) -> bool:
        """Not registered."""
        return broker_id not in self.epochs

    def is_live(self, broker_id: int) -> bool:
        """Registered, and admitted as that."""
        return broker_id in self._live

    def is_leaving(self, broker_id: int) -> bool:
        return broker_id in self._leaving

    def is_staying(self, broker_id: int) -> bool:
        return broker_id in self._live and broker_id not in self._leaving

    def lacking_log(self, topic_id: bytes, partition: int) -> Callable[[int], bool]:
        """Of whom a start on this registration said that it had lost its log of the partition."""
        return lambda broker_id: any(
            each == topic_id and partition in some for each, some in self._missing[broker_id]
        )

    def leaving(self) -> Sequence[int]:
        """Those that are live and leaving, in order."""
        return sorted(self._live & self._leaving)


def wants_to_leave(broker: BrokerImage) -> bool:
    """Whether the broker asks to be drained, or is being drained."""
    draining = broker.admission is not None and broker.admission.state is AdmissionState.DRAINING
    return broker.registration.leaving or (broker.is_admitted and draining)


@dataclass(frozen=True, slots=True)
class PartitionChange:
    """`record`: the new one, with the mod_revision of the one that it replaces.

    `rests_on`: broker epochs that must still hold, by broker id; NOT_REGISTERED is one, too.
    """

    topic_id: bytes
    topic: str
    partition: int
    record: PartitionRecord
    rests_on: Mapping[int, int]
    possible_loss: bool = False


def change_of(
    topic: TopicImage, partition: int, election: Election, members: Members, about: Iterable[int]
) -> PartitionChange:
    """The change that stores a partition's transition. `about`: the brokers that caused it."""
    rests_on = {each: members.epochs.get(each, NOT_REGISTERED) for each in about}
    leader = election.record.leader
    if leader != NO_LEADER and election.record.leader_epoch != (
        topic.partitions[partition].leader_epoch
    ):
        rests_on[leader] = members.epochs[leader]
    return PartitionChange(
        topic.topic_id, topic.name, partition, election.record, rests_on, election.possible_loss
    )


async def each_partition(
    image: MetadataImage,
) -> AsyncIterator[tuple[TopicImage, int, PartitionRecord]]:
    """Every partition in the order of the ids; others run in between, and may change the image."""
    count = 0
    for topic_id in sorted(image.topics):
        topic = image.topics.get(topic_id)
        if topic is None:  # deleted meanwhile
            continue
        for partition, record in topic.partitions.items():
            yield topic, partition, record
            count += 1
            if count % SLICE == 0:
                await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Written:
    """`revision`: of the last change that was written, 0 if none was.

    `applied` are in the order given; `refused` have changed since they were planned.
    """

    revision: int
    applied: tuple[PartitionChange, ...]
    refused: tuple[PartitionChange, ...]


async def write_changes(
    term: ControllerTerm, changes: Sequence[PartitionChange], compares: Sequence[Compare] = ()
) -> Written:
    """Write them as the controller; each batch is one transaction, and is halved if it fails.

    What rests on a broker that has changed is refused at once, without being halved to the last.
    `compares` must hold for each batch, too. KafkaError(NOT_CONTROLLER), MetadataStoreError: what
    was written before stays; planned anew from a newer image, the rest follows.
    """
    # Before anything is sent: whoever dies before the answer, or never gets it, has told all the
    # same (rule 4).
    for change in changes:
        if change.possible_loss:
            _tell_loss(change)
    revision = 0
    applied: list[PartitionChange] = []
    refused: list[PartitionChange] = []
    # A stack, the next one last: halves come before what follows them.
    batches = list(_batches(changes, MAX_TRANSACTION_OPERATIONS - 1 - len(compares)))[::-1]
    while batches:
        batch = batches.pop()
        result = await _transact(term, batch, compares)
        if isinstance(result, int):
            revision = result
            applied += batch
            continue
        sound = [change for change in batch if result.isdisjoint(change.rests_on)]
        refused += [change for change in batch if not result.isdisjoint(change.rests_on)]
        if len(sound) < len(batch):
            batches += [sound] if sound else []
        elif len(batch) == 1:
            refused += batch
        else:
            half = len(batch) // 2
            batches += [batch[half:], batch[:half]]
    for change in refused:
        if change.possible_loss:
            _tell_no_loss(change)
    return Written(revision, tuple(applied), tuple(refused))


def _batches(
    changes: Iterable[PartitionChange], most_compares: int
) -> Iterator[list[PartitionChange]]:
    batch: list[PartitionChange] = []
    brokers: set[int] = set()
    for change in changes:
        more = brokers | change.rests_on.keys()
        if batch and (len(batch) == BATCH_SIZE or len(batch) + 1 + len(more) > most_compares):
            yield batch
            batch, more = [], set(change.rests_on)
        batch.append(change)
        brokers = more
    if batch:
        yield batch


async def _transact(
    term: ControllerTerm, batch: Sequence[PartitionChange], compares: Sequence[Compare]
) -> int | set[int]:
    """The revision; or, if it was refused, which of the brokers are not what they were."""
    epochs: dict[int, int] = {}
    for change in batch:
        epochs.update(change.rests_on)
    brokers = sorted(epochs)
    keys = term.keys
    unchanged = [*compares, *(created_at(keys.broker(each), epochs[each]) for each in brokers)]
    puts = []
    for change in batch:
        key = keys.partition(change.topic_id, change.partition)
        unchanged.append(modified_at(key, change.record.mod_revision))
        puts.append(Put(key, encode_partition(change.record)))
    gets = [Get(keys.broker(each)) for each in brokers]
    result = await term.transact(unchanged, puts, gets)
    if result.succeeded:
        return result.revision
    found = zip(brokers, result.values, strict=True)
    return {each for each, kv in found if (kv.create_revision if kv else 0) != epochs[each]}


def _tell_loss(change: PartitionChange) -> None:
    logger.warning(
        "%s-%d: broker %d is to lead in epoch %d, and may lack acknowledged records",
        change.topic,
        change.partition,
        change.record.leader,
        change.record.leader_epoch,
        extra=_place(change),
    )


def _tell_no_loss(change: PartitionChange) -> None:
    logger.warning(
        "%s-%d: broker %d was not made the leader in epoch %d: the partition has changed meanwhile",
        change.topic,
        change.partition,
        change.record.leader,
        change.record.leader_epoch,
        extra=_place(change),
    )


def _place(change: PartitionChange) -> Mapping[str, object]:
    return {
        "topic": change.topic,
        "partition": change.partition,
        "leader": change.record.leader,
        "leader_epoch": change.record.leader_epoch,
    }
