"""A broker's way into the cluster: registration, then admission by the controller (rules 6, 11).

Counterparts: `elections.py` (what becomes of each partition), `controller_term.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kbroker.cluster.controller_term import BATCH_SIZE, MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.elections import Election, plan_restart
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    BrokerAdmission,
    BrokerRegistration,
    encode_admission,
    encode_partition,
    encode_registration,
)
from kbroker.cluster.metadata_store import Get, Put, created_at, key_absent, modified_at
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

TopicPartitionId = tuple[bytes, int]
IsLossy = Callable[[bytes, int], bool]
"""(topic id, partition): may this broker have lost records of it below the high watermark?"""


@dataclass(frozen=True, slots=True)
class Admission:
    """`revision`: the admission's. The partitions are those elected with a possible loss."""

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


async def admit_broker(term: ControllerTerm, broker_id: int, is_lossy: IsLossy) -> Admission:
    """As the controller, let a registered broker in, in this life of it.

    First every partition of it is given its state after the restart, with a new leader epoch if
    it is elected, in as many transactions as that takes; each is right by itself, because no
    partition depends on another. The broker acts on none of it before it is admitted, which is
    the last transaction: so the whole takes effect at once. Stopped half way, it starts over at
    the next life; some epochs were then raised for nothing.
    """
    possible_losses: set[TopicPartitionId] = set()
    for _ in range(MAX_ATTEMPTS):
        image = await term.read_image()
        broker = image.brokers.get(broker_id)
        if broker is None:
            raise KafkaError(
                ErrorCode.BROKER_ID_NOT_REGISTERED, f"broker {broker_id} is not registered"
            )
        if broker.is_admitted:
            return Admission(image.revision, tuple(sorted(possible_losses)))
        elections = _plan_elections(image, broker_id, is_lossy)
        possible_losses |= {each for each, election in elections if election.possible_loss}
        applied = True
        for start in range(0, len(elections), BATCH_SIZE):
            batch = elections[start : start + BATCH_SIZE]
            applied &= await _apply(term, image, broker_id, broker.broker_epoch, batch)
        if not applied:
            continue
        admission = encode_admission(BrokerAdmission(broker.broker_epoch))
        result = await term.transact(
            [created_at(term.keys.broker(broker_id), broker.broker_epoch)],
            [Put(term.keys.admission(broker_id), admission)],
        )
        if result.succeeded:
            return Admission(result.revision, tuple(sorted(possible_losses)))
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, f"broker {broker_id} could not be admitted")


def _plan_elections(
    image: MetadataImage, broker_id: int, is_lossy: IsLossy
) -> list[tuple[TopicPartitionId, Election]]:
    def is_live(broker: int) -> bool:
        return broker in image.brokers and image.brokers[broker].is_active

    planned = []
    for topic_id in sorted(image.topics):
        for partition, record in image.topics[topic_id].partitions.items():
            if broker_id not in record.replicas:
                continue
            lossy = is_lossy(topic_id, partition)
            election = plan_restart(record, broker_id, lossy=lossy, is_live=is_live)
            if election is not None:
                planned.append(((topic_id, partition), election))
    return planned


async def _apply(
    term: ControllerTerm,
    image: MetadataImage,
    broker_id: int,
    broker_epoch: int,
    elections: Sequence[tuple[TopicPartitionId, Election]],
) -> bool:
    """False: a partition, or the broker, has changed since it was read."""
    compares = [created_at(term.keys.broker(broker_id), broker_epoch)]
    puts = []
    for (topic_id, partition), election in elections:
        key = term.keys.partition(topic_id, partition)
        compares.append(modified_at(key, election.record.mod_revision))
        puts.append(Put(key, encode_partition(election.record)))
    result = await term.transact(compares, puts)
    for (topic_id, partition), election in elections:
        if result.succeeded and election.possible_loss:
            logger.warning(
                "%s-%d: broker %d leads in epoch %d, and may lack acknowledged records",
                image.topics[topic_id].name,
                partition,
                election.record.leader,
                election.record.leader_epoch,
                extra={
                    "topic": image.topics[topic_id].name,
                    "partition": partition,
                    "leader": election.record.leader,
                    "leader_epoch": election.record.leader_epoch,
                },
            )
    return result.succeeded
