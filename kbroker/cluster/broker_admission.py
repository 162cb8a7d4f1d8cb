"""A broker's way into the cluster: registration, then admission by the controller (rules 6, 11).

Counterparts: `elections.py` (what becomes of each partition), `partition_changes.py` (how that is
written), `membership.py` (the broker's own side of it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kbroker.cluster.controller_term import MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.elections import plan_restart
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    NO_LEADER,
    BrokerAdmission,
    BrokerRegistration,
    PartitionRecord,
    TopicPartitions,
    encode_admission,
    encode_registration,
)
from kbroker.cluster.metadata_store import (
    Delete,
    Get,
    Put,
    created_at,
    key_absent,
    modified_at,
)
from kbroker.cluster.partition_changes import (
    Members,
    PartitionChange,
    change_of,
    each_partition,
    write_changes,
)
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

TopicPartitionId = tuple[bytes, int]
IsLossy = Callable[[bytes, int], bool]
"""(topic id, partition): may this broker have lost records of it below the high watermark?"""


def is_no_partition(topic_id: bytes, partition: int) -> bool:
    """The `IsLossy` of who has lost nothing."""
    return False


@dataclass(frozen=True, slots=True)
class Admission:
    """`revision`: the admission's, 0 if there is none yet. The partitions are those elected with
    a possible loss."""

    revision: int
    possible_losses: tuple[TopicPartitionId, ...]


async def register_broker(
    term: ControllerTerm, registration: BrokerRegistration, lease: int
) -> int:
    """Create the broker's registration and return its broker epoch, the create_revision.

    KafkaError(DUPLICATE_BROKER_REGISTRATION): an earlier life of this broker, or another broker
    with its id, still holds the key by its lease.
    """
    assert registration.broker_id == term.node_id
    key = term.keys.broker(term.node_id)
    for _ in range(MAX_ATTEMPTS):
        result = await term.store.transact(
            [key_absent(key)], [Put(key, encode_registration(registration), lease)], [Get(key)]
        )
        if result.succeeded:
            return result.revision
        (former,) = result.values
        assert former is not None
        await term.remove_former_life(former)
    raise KafkaError(
        ErrorCode.DUPLICATE_BROKER_REGISTRATION, f"broker {term.node_id} registers more than once"
    )


async def admit_broker(
    term: ControllerTerm, broker_id: int, is_lossy: IsLossy | None = None
) -> Admission:
    """As the controller, let a registered broker in, in this life of it.

    First every partition of it is given its state after the restart, with a new leader epoch if
    it is elected, in as many transactions as that takes; each is right by itself, because no
    partition depends on another. The broker acts on none of it before it is admitted, which is
    the last transaction: so the whole takes effect at once. Stopped half way, it starts over at
    the next life; some epochs were then raised for nothing.

    `is_lossy` None: what the broker's registration says.
    KafkaError(BROKER_ID_NOT_REGISTERED).
    """
    possible_losses: set[TopicPartitionId] = set()
    for _ in range(MAX_ATTEMPTS):
        image = await term.read_image()
        admission = await admit_seen(term, image, broker_id, is_lossy)
        possible_losses |= set(admission.possible_losses)
        if admission.revision:
            return Admission(admission.revision, tuple(sorted(possible_losses)))
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, f"broker {broker_id} could not be admitted")


async def admit_seen(
    term: ControllerTerm,
    image: MetadataImage,
    broker_id: int,
    is_lossy: IsLossy | None = None,
) -> Admission:
    """The same by an image, which may be behind; revision 0: something has changed since.

    Since the broker registered, no partition has taken it into its ISR or ELR or elected it: that
    takes an admission of this very registration. So an image that shows the registration shows
    every partition that the broker must be taken out of, and each of them is compared.
    """
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise KafkaError(
            ErrorCode.BROKER_ID_NOT_REGISTERED, f"broker {broker_id} is not registered"
        )
    if broker.is_admitted:
        return Admission(image.revision, ())
    registration = broker.registration
    if is_lossy is None:
        is_lossy = _those_in(registration.lossy_partitions, registration.lossy_topics)
    is_missing = _those_in(registration.missing_partitions)
    keys = term.keys
    # An admission whose outcome was not known may still arrive: nothing is taken out after it.
    unchanged = modified_at(keys.admission(broker_id), broker.admission_revision)
    changes = await _plan_changes(image, broker_id, is_lossy, is_missing)
    written = await write_changes(term, changes, [unchanged])
    losses = tuple(
        (each.topic_id, each.partition) for each in written.applied if each.possible_loss
    )
    if written.refused:
        return Admission(0, losses)
    result = await term.transact(
        [created_at(keys.broker(broker_id), broker.broker_epoch), unchanged],
        [Put(keys.admission(broker_id), encode_admission(BrokerAdmission(broker.broker_epoch)))],
    )
    return Admission(result.revision if result.succeeded else 0, losses)


async def unregister_broker(term: ControllerTerm, broker_id: int) -> int:
    """As the controller, forget a broker that will not come back; returns the revision.

    Its partitions are the duties' to see to, as after any departure, and what was deleted waits for
    it no more. One that runs all the same has lost its membership, and joins anew.
    KafkaError(BROKER_ID_NOT_REGISTERED): nobody has ever been admitted under this id.
    """
    registration, admission = term.keys.broker(broker_id), term.keys.admission(broker_id)
    for key in (registration, admission):
        if await term.store.get(key) is not None:
            result = await term.transact([], [Delete(registration), Delete(admission)])
            return result.revision
    raise KafkaError(
        ErrorCode.BROKER_ID_NOT_REGISTERED, f"Broker ID {broker_id} is not currently registered"
    )


def _those_in(partitions: TopicPartitions, topics: Iterable[bytes] = ()) -> IsLossy:
    """As a registration says it, ready to be asked of thousands of partitions."""
    whole = frozenset(topics)
    single = frozenset((topic_id, each) for topic_id, some in partitions for each in some)
    return lambda topic_id, partition: topic_id in whole or (topic_id, partition) in single


async def _plan_changes(
    image: MetadataImage, broker_id: int, is_lossy: IsLossy, is_missing: IsLossy
) -> list[PartitionChange]:
    """Others run in between: the image may move on meanwhile, the plan is compared anyway."""
    members = Members(image)
    changes = []
    async for topic, partition, record in each_partition(image):
        if broker_id not in record.replicas:
            continue
        election = plan_restart(
            record,
            broker_id,
            lossy=is_lossy(topic.topic_id, partition),
            missing=is_missing(topic.topic_id, partition),
            is_live=members.is_live,
            is_leaving=members.is_leaving,
        )
        if election is not None:
            if is_missing(topic.topic_id, partition):
                _tell_if_stranded(topic.name, partition, broker_id, election.record)
            changes.append(change_of(topic, partition, election, members, [broker_id]))
    return changes


def _tell_if_stranded(topic: str, partition: int, broker_id: int, record: PartitionRecord) -> None:
    if record.leader == NO_LEADER and not (record.isr or record.elr):
        logger.error(
            "%s-%d: broker %d came back without its log, and no other is known to have all records:"
            " the partition waits for one to be elected uncleanly",
            topic,
            partition,
            broker_id,
            extra={"topic": topic, "partition": partition},
        )
