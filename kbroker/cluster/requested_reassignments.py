"""Reassignments that a person asks for (AlterPartitionReassignments, KIP-455), by the controller.

The order of checks, the codes and the messages are those of Kafka's ReplicationControlManager. As
there, brokers that are not there now may be given replicas: they follow when they are back.
Counterparts: `reassignments.py` (what becomes of a partition), `controller_duties.py` (completes).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kbroker.cluster.controller_term import MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.elections import Election
from kbroker.cluster.metadata_image import MetadataImage, TopicImage
from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.cluster.partition_changes import Members, PartitionChange, change_of, write_changes
from kbroker.cluster.placement import validate_replicas
from kbroker.cluster.reassignments import (
    is_under_way,
    plan_cancellation,
    plan_reassignment,
    target_of,
)
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

IsUncleanEnabled = Callable[[TopicImage], bool]


@dataclass(frozen=True, slots=True)
class Reassignment:
    """`replicas`: where the partition is to be; None: back where it came from."""

    topic: str
    partition: int
    replicas: tuple[int, ...] | None


async def reassign_partitions(
    term: ControllerTerm,
    asked: Sequence[Reassignment],
    *,
    is_unclean_enabled: IsUncleanEnabled,
    may_change_factor: bool = True,
) -> list[KafkaError | int]:
    """For each the revision at which it has begun, or was cancelled; 0: it is so already.

    KafkaError in a place: why nothing changes. A partition that is named more than once takes one
    step after the other. KafkaError: it is not the controller, or things change too fast.
    """
    answers: dict[int, KafkaError | int] = {}
    refusals = 0
    while len(answers) < len(asked):
        image = await term.read_image()
        members = Members(image)
        changes: dict[tuple[str, int], tuple[int, PartitionChange]] = {}
        for place in _of_this_round(asked, answers):
            each = asked[place]
            try:
                change = _plan(
                    image,
                    each,
                    members,
                    is_unclean_enabled=is_unclean_enabled,
                    may_change_factor=may_change_factor,
                )
            except KafkaError as error:
                answers[place] = error
                continue
            if change is None:
                answers[place] = 0
            else:
                changes[each.topic, each.partition] = place, change
        written = await write_changes(term, [change for _, change in changes.values()])
        for change in written.applied:
            place, _ = changes[change.topic, change.partition]
            answers[place] = written.revision
            _tell(change)
        refusals += bool(written.refused)
        if refusals == MAX_ATTEMPTS:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the partitions change too fast")
    return [answers[place] for place in range(len(asked))]


def _of_this_round(asked: Sequence[Reassignment], answered: Iterable[int]) -> list[int]:
    """The places of those without an answer, each partition once."""
    first: dict[tuple[str, int], int] = {}
    done = set(answered)
    for place, each in enumerate(asked):
        if place not in done:
            first.setdefault((each.topic, each.partition), place)
    return list(first.values())


def _plan(
    image: MetadataImage,
    asked: Reassignment,
    members: Members,
    *,
    is_unclean_enabled: IsUncleanEnabled,
    may_change_factor: bool,
) -> PartitionChange | None:
    """None: there is nothing to change. KafkaError, in Kafka's words."""
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    topic = image.topic_by_name(asked.topic)
    if topic is None:
        raise KafkaError(unknown, f"Unable to find a topic named {asked.topic}.")
    record = topic.partitions.get(asked.partition)
    if record is None:
        raise KafkaError(unknown, f"Unable to find partition {asked.topic}:{asked.partition}.")
    if asked.replicas is None:
        planned: Election | None = _cancelled(record, topic, asked, members, is_unclean_enabled)
    else:
        validate_replicas(asked.replicas, image.known_brokers())
        if not may_change_factor:
            _check_factor(record, asked.replicas)
        planned = plan_reassignment(
            record, asked.replicas, is_live=members.is_live, is_leaving=members.is_leaving
        )
    if planned is None:
        return None
    return change_of(topic, asked.partition, planned, members, ())


def _cancelled(
    record: PartitionRecord,
    topic: TopicImage,
    asked: Reassignment,
    members: Members,
    is_unclean_enabled: IsUncleanEnabled,
) -> Election:
    if not is_under_way(record):
        raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    planned = plan_cancellation(
        record,
        is_live=members.is_live,
        is_leaving=members.is_leaving,
        is_unclean=is_unclean_enabled(topic),
    )
    if planned is None:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Unable to revert partition assignment for {asked.topic}:{asked.partition} because "
            "it would require an unclean leader election.",
        )
    return planned


def _check_factor(record: PartitionRecord, target: Sequence[int]) -> None:
    """KIP-860: a tool that must not change the number of replicas says so."""
    present = len(target_of(record))
    if present != len(target):
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"The replication factor is changed from {present} to {len(target)}",
        )


def _tell(change: PartitionChange) -> None:
    record = change.record
    logger.info(
        "%s-%d has replicas %s (adding %s, removing %s), partition epoch %d",
        change.topic,
        change.partition,
        list(record.replicas),
        list(record.adding),
        list(record.removing),
        record.partition_epoch,
        extra={"topic": change.topic, "partition": change.partition},
    )
