"""Deleting and configuring topics, and cleaning up behind a controller that failed half way.

Counterpart: `topic_creation.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from kbroker.cluster.controller_term import BATCH_SIZE, MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.keys import KeyKind
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    DeletedTopic,
    PartitionRecord,
    decode_deleted_topic,
    decode_partition,
    decode_topic,
    encode_deleted_topic,
    encode_partition,
    encode_topic,
)
from kbroker.cluster.metadata_store import (
    Delete,
    DeletePrefix,
    Operation,
    Put,
    key_absent,
    modified_at,
)
from kbroker.cluster.topic_creation import read_brokers
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

ConfigChange = Callable[[Mapping[str, str]], Mapping[str, str]]
"""From a topic's configs to its new ones; may raise KafkaError. May be called several times."""


async def delete_topic(term: ControllerTerm, topic_id: bytes) -> int:
    """One transaction, whatever the size. Returns its revision.

    What was deleted is written down (`del/`) until every broker with a replica has removed its
    files, and so has everybody who is away: it may have files of a partition that was given to
    others meanwhile. KafkaError(UNKNOWN_TOPIC_ID).
    """
    keys = term.keys
    brokers = await read_brokers(term)
    absent = {each for each in brokers.known_brokers() if each not in brokers.brokers}
    for _ in range(MAX_ATTEMPTS):
        topic = await term.store.get(keys.topic(topic_id))
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
        name = decode_topic(topic.value).name
        partitions = await term.store.list(keys.partitions(topic_id))
        records = [decode_partition(each.value, each.mod_revision) for each in partitions.items]
        holders = absent.union(*(each.replicas for each in records))
        result = await term.transact(
            [modified_at(topic.key, topic.mod_revision)],
            [
                Delete(topic.key),
                Delete(keys.topic_name(name)),
                DeletePrefix(keys.partitions(topic_id)),
                Put(
                    keys.deleted_topic(topic_id),
                    encode_deleted_topic(DeletedTopic(name, tuple(sorted(holders)))),
                ),
            ],
        )
        if result.succeeded:
            return result.revision
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the topic changes too fast to be deleted")


async def confirm_deletion(term: ControllerTerm, topic_id: bytes, broker_id: int) -> None:
    """The broker has no files of the deleted topic any more. Any broker may say it of itself."""
    await _wait_no_more(term, topic_id, lambda each: each == broker_id)


async def forget_unregistered(
    term: ControllerTerm, topic_id: bytes, is_known: Callable[[int], bool]
) -> None:
    """As the controller, wait no more for brokers that were unregistered to confirm a deletion."""
    await _wait_no_more(term, topic_id, lambda each: not is_known(each))


async def _wait_no_more(
    term: ControllerTerm, topic_id: bytes, is_done: Callable[[int], bool]
) -> None:
    key = term.keys.deleted_topic(topic_id)
    for _ in range(MAX_ATTEMPTS):
        kv = await term.store.get(key)
        if kv is None:
            return
        deleted = decode_deleted_topic(kv.value)
        left = tuple(each for each in deleted.replicas if not is_done(each))
        if left == deleted.replicas:
            return
        operation: Operation = Delete(key)
        if left:
            operation = Put(key, encode_deleted_topic(replace(deleted, replicas=left)))
        result = await term.store.transact([modified_at(key, kv.mod_revision)], [operation])
        if result.succeeded:
            return
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "a deletion could not be confirmed")


async def change_topic_configs(
    term: ControllerTerm,
    topic_id: bytes,
    change: ConfigChange,
    min_isr_of: Callable[[Mapping[str, str]], int],
) -> int:
    """Change a topic's configs by compare-and-swap; returns the revision to wait for.

    KafkaError(UNKNOWN_TOPIC_OR_PARTITION), and whatever `change` raises.
    """
    key = term.keys.topic(topic_id)
    for _ in range(MAX_ATTEMPTS):
        kv = await term.store.get(key)
        if kv is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        record = decode_topic(kv.value)
        configs = dict(change(record.configs))
        changed = replace(record, configs=configs, min_isr=min_isr_of(configs))
        if changed == record:
            return kv.mod_revision
        result = await term.transact(
            [modified_at(key, kv.mod_revision)], [Put(key, encode_topic(changed))]
        )
        if result.succeeded:
            if changed.min_isr == record.min_isr:
                return result.revision
            return await _spread_min_isr(term, topic_id, changed.name)
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the topic's configs change too fast")


async def _spread_min_isr(term: ControllerTerm, topic_id: bytes, name: str) -> int:
    """Bring the partitions' min_isr in line with their topic's; returns the last revision.

    A leader goes by its partition's record alone (rule 3), so each record is changed by itself;
    who is in its ELR was judged by the former minimum, so that is emptied.
    """
    keys = term.keys
    for _ in range(MAX_ATTEMPTS):
        topic = await term.store.get(keys.topic(topic_id))
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        min_isr = decode_topic(topic.value).min_isr
        listing = await term.store.list(keys.partitions(topic_id))
        stale = []
        for kv in listing.items:
            record = decode_partition(kv.value, kv.mod_revision)
            if record.min_isr != min_isr:
                stale.append((kv.key, record))
        if not stale:
            return listing.revision
        logger.info("%s: min.insync.replicas is now %d", name, min_isr)
        for start in range(0, len(stale), BATCH_SIZE):
            batch = stale[start : start + BATCH_SIZE]
            await term.transact(
                [modified_at(topic.key, topic.mod_revision)]
                + [modified_at(key, record.mod_revision) for key, record in batch],
                [Put(key, encode_partition(_with_min_isr(each, min_isr))) for key, each in batch],
            )
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the topic's partitions change too fast")


def _with_min_isr(record: PartitionRecord, min_isr: int) -> PartitionRecord:
    return replace(record, min_isr=min_isr, elr=(), partition_epoch=record.partition_epoch + 1)


async def finish_interrupted_changes(term: ControllerTerm) -> None:
    """What a new controller does first: complete or remove what its predecessor left half done.

    Partitions without their topic, or beyond its count, go: their topic, or its growth, was
    never there. A topic's min_isr reaches the partitions that it has not reached yet.
    """
    listing = await term.store.list(term.keys.prefix)
    image = MetadataImage(term.keys)
    image.replace_with(listing)
    without_topic: set[bytes] = set()
    for kv in listing.items:
        key = term.keys.parse(kv.key)
        if key is None or key.kind is not KeyKind.PARTITION:
            continue
        if key.topic_id not in image.topics:
            without_topic.add(key.topic_id)
        elif image.partition(key.topic_id, key.partition) is None:
            logger.info("removing %s, which its topic does not count", kv.key)
            await term.transact([modified_at(kv.key, kv.mod_revision)], [Delete(kv.key)])
    for topic_id in sorted(without_topic):
        prefix = term.keys.partitions(topic_id)
        logger.info("removing %s, which no topic has", prefix)
        await term.transact([key_absent(term.keys.topic(topic_id))], [DeletePrefix(prefix)])
    for topic_id in sorted(image.topics):
        topic = image.topics[topic_id]
        if any(each.min_isr != topic.min_isr for each in topic.partitions.values()):
            await _spread_min_isr(term, topic_id, topic.name)
