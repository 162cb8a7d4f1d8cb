"""A fetcher's side of a fetch session (KIP-227): what its leader knows, and what to tell it.

Pure. The leader remembers what it was asked; a request names what has changed since, and an answer
only what has news. Whatever goes wrong, everything is told anew. Counterpart: `fetch_session`, the
leader's side.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbroker.replication.fetch_session import INITIAL_EPOCH, INVALID_SESSION_ID, MAX_EPOCH
from wire.errors import ErrorCode
from wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ForgottenTopic,
    ReplicaState,
)

PartitionKey = tuple[bytes, int]
"""(topic id, partition index)."""


@dataclass(frozen=True, slots=True)
class FetchPosition:
    """From where one partition is fetched, and what its follower knows there."""

    fetch_offset: int
    leader_epoch: int
    last_fetched_epoch: int  # of the record before `fetch_offset`; -1: none
    log_start_offset: int
    high_watermark: int  # the leader's, as told; -1: not yet


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What the next Fetch says. `epoch` 0: everything is in `partitions`; a session is asked for,
    and the one of `session_id` is over."""

    session_id: int
    epoch: int
    partitions: tuple[tuple[PartitionKey, FetchPosition], ...]
    forgotten: tuple[PartitionKey, ...]


class FetcherSession:
    """One fetcher's wishes, and what its leader knows of them. Mutable.

    Use: `put` and `remove` at any time; `next_request` → `answered`, then `position_of` for each
    partition in the answer; or `lost`.
    """

    def __init__(self) -> None:
        self._session_id = INVALID_SESSION_ID
        self._epoch = INITIAL_EPOCH
        self._wanted: dict[PartitionKey, FetchPosition] = {}
        # What the leader goes by, and where that is not what is wanted.
        self._told: dict[PartitionKey, FetchPosition] = {}
        self._changed: dict[PartitionKey, None] = {}
        self._forgotten: dict[PartitionKey, None] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def is_kept(self) -> bool:
        """Whether the leader remembers what was asked, and what it has told."""
        return self._epoch != INITIAL_EPOCH

    def put(self, key: PartitionKey, position: FetchPosition) -> None:
        """Fetch it from `position` on. What had its turn is read last next time."""
        self._wanted.pop(key, None)
        self._wanted[key] = position
        self._forgotten.pop(key, None)
        if self._told.get(key) != position:
            self._changed[key] = None
        else:
            self._changed.pop(key, None)

    def remove(self, key: PartitionKey) -> None:
        """Fetch it no longer; harmless where it is not."""
        if self._wanted.pop(key, None) is not None:
            self._changed.pop(key, None)
            if key in self._told:
                self._forgotten[key] = None

    def next_request(self) -> SessionRequest:
        """What to send now; one request is under way at a time."""
        if self._epoch == INITIAL_EPOCH:
            self._told = dict(self._wanted)
            partitions = tuple(self._wanted.items())
            forgotten: tuple[PartitionKey, ...] = ()
        else:
            partitions = tuple((key, self._wanted[key]) for key in self._changed)
            forgotten = tuple(self._forgotten)
            self._told.update(partitions)
            for key in forgotten:
                self._told.pop(key, None)
        self._changed.clear()
        self._forgotten.clear()
        return SessionRequest(self._session_id, self._epoch, partitions, forgotten)

    def answered(self, error_code: int, session_id: int) -> bool:
        """The answer to the last request is there; False: it says nothing of partitions."""
        if error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND:
            self._session_id = INVALID_SESSION_ID
        if error_code:
            self.lost()
            return False
        if self._epoch == INITIAL_EPOCH:
            self._session_id = session_id
            self._epoch = INITIAL_EPOCH if session_id == INVALID_SESSION_ID else 1
        elif session_id != self._session_id:
            self._session_id = INVALID_SESSION_ID  # the leader has ended it
            self._epoch = INITIAL_EPOCH
        else:
            self._epoch = 1 if self._epoch == MAX_EPOCH else self._epoch + 1
        return True

    def position_of(self, key: PartitionKey) -> FetchPosition | None:
        """The position that an answer is about; None where something else is wanted meanwhile
        (KAFKA-7786, KAFKA-13207): the answer must be ignored."""
        position = self._wanted.get(key)
        return position if position is not None and self._told.get(key) == position else None

    def lost(self) -> None:
        """It is not known what the leader knows: everything is told anew, in a new session."""
        self._epoch = INITIAL_EPOCH


def fetch_request(
    asked: SessionRequest,
    *,
    replica_id: int,
    broker_epoch: int,
    max_wait_ms: int,
    min_bytes: int,
    max_bytes: int,
    partition_max_bytes: int,
) -> FetchRequest:
    """The Fetch of a follower, by topic ids (version 17 and up)."""
    topics: dict[bytes, FetchTopic] = {}
    for (topic_id, index), position in asked.partitions:
        topic = topics.get(topic_id)
        if topic is None:
            topic = topics[topic_id] = FetchTopic(topic_id=topic_id, partitions=[])
        topic.partitions.append(
            FetchPartition(
                partition=index,
                current_leader_epoch=position.leader_epoch,
                fetch_offset=position.fetch_offset,
                last_fetched_epoch=position.last_fetched_epoch,
                log_start_offset=position.log_start_offset,
                partition_max_bytes=partition_max_bytes,
                high_watermark=position.high_watermark,
            )
        )
    forgotten: dict[bytes, ForgottenTopic] = {}
    for topic_id, index in asked.forgotten:
        if topic_id not in forgotten:
            forgotten[topic_id] = ForgottenTopic(topic_id=topic_id, partitions=[])
        forgotten[topic_id].partitions.append(index)
    return FetchRequest(
        replica_state=ReplicaState(replica_id=replica_id, replica_epoch=broker_epoch),
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        session_id=asked.session_id,
        session_epoch=asked.epoch,
        topics=list(topics.values()),
        forgotten_topics_data=list(forgotten.values()),
    )
