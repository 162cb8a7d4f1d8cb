"""Elections that a person asks for, by ElectLeaders (KIP-460), as the controller.

The codes and messages are those of Kafka's ReplicationControlManager. Counterparts: `elections.py`
(what becomes of a partition), `controller_duties.py` (elections that nobody asks for).
"""

from __future__ import annotations

from collections.abc import Iterable

from kbroker.cluster.controller_term import MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.elections import Election, IsLive, plan_election, plan_preferred
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from kbroker.cluster.partition_changes import Members, PartitionChange, change_of, write_changes
from wire.errors import ErrorCode, KafkaError

Asked = tuple[bytes, int]
"""Topic id and partition."""


async def elect_leaders(
    term: ControllerTerm, partitions: Iterable[Asked], *, unclean: bool
) -> dict[Asked, KafkaError | int]:
    """By partition the revision of its election, or why there was none.

    Not `unclean`: the first replica is to lead again. `unclean`: any replica that lives, of a
    partition that has no leader. KafkaError: it is not the controller, or things change too fast.
    """
    pending = list(dict.fromkeys(partitions))
    answers: dict[Asked, KafkaError | int] = {}
    for _ in range(MAX_ATTEMPTS):
        image = await term.read_image()
        members = Members(image)
        changes: list[PartitionChange] = []
        for asked in pending:
            try:
                changes.append(_plan(image, asked, members, unclean=unclean))
            except KafkaError as error:
                answers[asked] = error
        written = await write_changes(term, changes)
        for change in written.applied:
            answers[change.topic_id, change.partition] = written.revision
        pending = [(change.topic_id, change.partition) for change in written.refused]
        if not pending:
            return answers
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the partitions change too fast")


def _plan(
    image: MetadataImage, asked: Asked, members: Members, *, unclean: bool
) -> PartitionChange:
    """KafkaError: why the partition's leader stays who it is."""
    topic_id, partition = asked
    record = image.partition(topic_id, partition)
    if record is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "No such partition")
    if unclean:
        election = _any_leader(record, members, members.lacking_log(topic_id, partition))
    else:
        election = _first_replica(record, members)
    return change_of(image.topics[topic_id], partition, election, members, ())


def _first_replica(record: PartitionRecord, members: Members) -> Election:
    if record.leader == record.replicas[0]:
        raise _not_needed()
    preferred = plan_preferred(record, is_staying=members.is_staying)
    if preferred is None:
        raise KafkaError(
            ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available."
        )
    return Election(preferred)


def _any_leader(record: PartitionRecord, members: Members, lacks_log: IsLive) -> Election:
    if record.leader != NO_LEADER:
        raise _not_needed()
    election = plan_election(
        record,
        is_live=members.is_live,
        is_leaving=members.is_leaving,
        is_unclean=True,
        lacks_log=lacks_log,
    )
    if election is None:
        raise KafkaError(
            ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
            "Eligible topic partition leaders are not available.",
        )
    return election


def _not_needed() -> KafkaError:
    return KafkaError(
        ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."
    )
