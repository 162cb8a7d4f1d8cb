"""Fetch: the bytes on disk, as they are: to consumers what is committed, to followers everything.

Versions 4 to 18. A Fetch with less than `min_bytes` to give parks until there is more, or for
`max_wait_ms`; parked it costs one object, and blocks only its own connection. Nothing is decoded:
the answer refers to slices of the segment files.

- 7: incremental sessions (KIP-227). 9: leader epochs (KIP-320). 12: diverging epochs (KIP-595).
- 13: topics by id (KIP-516). 15: the replica's state (KIP-903). 16: where the leader is (KIP-951).
- 18: the high watermark that a follower knows (KIP-1166); it is told a higher one at once.
- 11: the consumer's rack (KIP-392). With `replica.selector.class` set to Kafka's
  RackAwareReplicaSelector the leader names an in-sync replica there, and followers serve consumers.
- Followers fetch on the listener that brokers alone use: on a client's nobody is one.
- Not here: throttling (0 always).

Deliberate deviation: without that setting followers serve no consumers; Apache Kafka's do.
"""

from __future__ import annotations

import asyncio

from kbroker.handler import Handler, RequestContext
from kbroker.replication.fetch_reading import (
    EMPTY,
    READ_ANYWHERE_TO_HIGH_WATERMARK,
    READ_ANYWHERE_TO_LAST_STABLE,
    READ_TO_HIGH_WATERMARK,
    READ_TO_LAST_STABLE,
    Answer,
    FetchReading,
    PartitionReading,
    failed,
    release,
)
from kbroker.replication.fetch_session import FetchContext, FetchPartition, PartitionKey
from kbroker.replication.nearby_reading import NearbyReading, brokers_in
from kbroker.replication.partition import ANY_EPOCH, Partition
from kbroker.replication.replica_reading import ReplicaReading
from kbroker.services import Services
from kbroker.watch import Deferred
from log.scan import ColdRead
from wire.errors import ErrorCode, KafkaError
from wire.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData

READ_UNCOMMITTED = 0
READ_COMMITTED = 1
RACKS_SINCE = 11
TOPIC_IDS_SINCE = 13

MAX_COLD_READS = 100
"""Looks into cold files for one Fetch; then it waits for the disk itself."""


class ParkedFetch(Deferred[FetchResponse]):
    """A Fetch that waits for more bytes. Every advance of a watched partition reads again: that
    finds slices, not bytes, so a read that is not enough costs little. What it looks for is the
    end of logs, which is in the page cache."""

    __slots__ = ("bucket", "fetch", "is_due", "services", "watched")

    def __init__(self, services: Services, fetch: FetchReading, max_wait_ms: int) -> None:
        super().__init__(blocks=True)
        self.services = services
        self.fetch = fetch
        self.is_due = False  # it looks again in the next turn of the loop
        self.watched = fetch.watched()
        for partition in self.watched:
            if fetch.replica is not None:
                partition.watch(self.look_soon)
                partition.watch_end(self.look_soon)
            else:
                partition.watch(self.look_again)
        self.on_abandon = self._stop_watching
        self.bucket = services.deadlines.add(max_wait_ms, self.expire)

    def look_again(self) -> None:
        """A watched partition has more, or has changed."""
        self.is_due = False
        self.guard(lambda: self._read(self.fetch.min_bytes))

    def look_soon(self) -> None:
        """As `look_again`, but once for all that is appended in one turn of the loop."""
        if not self.is_due:
            self.is_due = True
            asyncio.get_running_loop().call_soon(self.look_again)

    def expire(self) -> None:
        """`max_wait_ms` has passed: answer with what is there."""
        self.guard(lambda: self._read(0))

    def _read(self, least_bytes: int) -> None:
        if self.settled:
            return
        answers, found, urgent = self.fetch.read()
        if self.settled or not (found >= least_bytes or urgent):
            # Settled: the read itself met a failing disk, which woke everyone who watches.
            release(answers)
            return
        self._stop_watching()
        self.settle(_response(self.fetch, answers))

    def _stop_watching(self) -> None:
        for partition in self.watched:
            if self.fetch.replica is not None:
                partition.unwatch(self.look_soon)
                partition.unwatch_end(self.look_soon)
            else:
                partition.unwatch(self.look_again)
        self.services.deadlines.remove(self.bucket, self.expire)


class ColdFetch(Deferred[FetchResponse]):
    """A Fetch of old data: a thread brings what is looked for into the page cache, so that a
    consumer that catches up stalls nobody else."""

    __slots__ = ("attempts", "fetch", "max_wait_ms", "parked", "services")

    def __init__(
        self, services: Services, fetch: FetchReading, cold: ColdRead, max_wait_ms: int
    ) -> None:
        super().__init__(blocks=True)
        self.services = services
        self.fetch = fetch
        self.max_wait_ms = max_wait_ms
        self.attempts = 0
        self.parked: Deferred[FetchResponse] | None = None
        self.on_abandon = self._abandon_parked
        self._warm(cold)

    def _warm(self, cold: ColdRead) -> None:
        self.attempts += 1
        file = cold.file
        file.retain()  # a descriptor number is reused at once: not while a thread uses it
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, file.read_at, cold.position, cold.size)

        def done(reading: asyncio.Future[bytes]) -> None:
            file.release()
            if not self.settled and not reading.cancelled():
                # A read error is found again, and answered per partition, by the ordinary path.
                reading.exception()
                self.guard(self._read)

        reading.add_done_callback(done)

    def _read(self) -> None:
        try:
            cached_only = self.attempts < MAX_COLD_READS
            result = _answer(self.services, self.fetch, self.max_wait_ms, cached_only=cached_only)
        except ColdRead as cold:
            self._warm(cold)
            return
        if isinstance(result, Deferred):
            self.parked = result
            result.then(self.settle, on_error=self.fail)
        else:
            self.settle(result)

    def _abandon_parked(self) -> None:
        if self.parked is not None:
            self.parked.abandon()


def handle(
    context: RequestContext, request: FetchRequest
) -> FetchResponse | Deferred[FetchResponse]:
    """Read; if that is not enough yet, wait once for `max_wait_ms`, then read again."""
    if request.isolation_level not in (READ_UNCOMMITTED, READ_COMMITTED):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
    sought = _begin(context, request)
    if sought.error:
        return FetchResponse(throttle_time_ms=0, error_code=sought.error, responses=[])
    fetch = _reading(context, request, sought)
    services = context.services
    try:
        return _answer(services, fetch, request.max_wait_ms, cached_only=True)
    except ColdRead as cold:
        return ColdFetch(services, fetch, cold, request.max_wait_ms)


def _reading(context: RequestContext, request: FetchRequest, sought: FetchContext) -> FetchReading:
    services = context.services
    state = request.replica_state
    replica_id = _replica_id(request)
    limit_bytes = request.max_bytes
    replica = None
    if replica_id < 0:
        limit_bytes = min(limit_bytes, services.config.fetch_max_bytes)
        read = _consumer_reading(context, request)
    elif _is_among_brokers(context):
        replica = ReplicaReading(
            replica_id,
            -1 if state is None else state.replica_epoch,
            now=asyncio.get_running_loop().time(),
            isr_changes=services.isr_changes,
        )
        read = replica.read
    else:
        read = _read_for_nobody
    return FetchReading(
        sought,
        replicas=services.replicas,
        read_partition=read,
        by_id=context.api_version >= TOPIC_IDS_SINCE,
        min_bytes=request.min_bytes,
        limit_bytes=limit_bytes,
        storage_failed=services.storage_failed,
        replica=replica,
    )


def _replica_id(request: FetchRequest) -> int:
    state = request.replica_state
    return state.replica_id if state is not None else request.replica_id


def _is_among_brokers(context: RequestContext) -> bool:
    return context.connection.listener.name == context.services.internal_listener


def _consumer_reading(context: RequestContext, request: FetchRequest) -> PartitionReading:
    services = context.services
    committed_only = request.isolation_level == READ_COMMITTED
    if services.config.replica_selector_class is None or context.api_version < RACKS_SINCE:
        return READ_TO_LAST_STABLE if committed_only else READ_TO_HIGH_WATERMARK
    read = READ_ANYWHERE_TO_LAST_STABLE if committed_only else READ_ANYWHERE_TO_HIGH_WATERMARK
    if not request.rack_id:
        return read
    near = brokers_in(request.rack_id, services.metadata.image.brokers.values())
    return NearbyReading(read, node_id=services.node_id, near=near).read


def _read_for_nobody(
    partition: Partition,
    asked: FetchPartition,
    *,
    max_bytes: int,
    first: bool,
    cached_only: bool,
) -> PartitionData:
    """Who says on a client's listener that he is a follower."""
    partition.check_leader(max(asked.current_leader_epoch, ANY_EPOCH))
    raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)


def _answer(
    services: Services, fetch: FetchReading, max_wait_ms: int, *, cached_only: bool
) -> FetchResponse | Deferred[FetchResponse]:
    answers, found, urgent = fetch.read(cached_only=cached_only)
    if found >= fetch.min_bytes or urgent or max_wait_ms <= 0 or not fetch.sought.partitions:
        return _response(fetch, answers)
    release(answers)
    return ParkedFetch(services, fetch, max_wait_ms)


def _begin(context: RequestContext, request: FetchRequest) -> FetchContext:
    """Resolve the session; below version 7 there is none."""
    by_id = context.api_version >= TOPIC_IDS_SINCE
    # Who asks for a partition twice gets the last answer once, as in Kafka.
    unique = {
        (topic.topic_id if by_id else topic.topic, each.partition): FetchPartition(
            topic=None if by_id else topic.topic,
            topic_id=topic.topic_id,
            index=each.partition,
            fetch_offset=each.fetch_offset,
            max_bytes=each.partition_max_bytes,
            current_leader_epoch=each.current_leader_epoch,
            last_fetched_epoch=each.last_fetched_epoch,
            log_start_offset=each.log_start_offset,
            high_watermark=each.high_watermark,
        )
        for topic in request.topics
        for each in topic.partitions
    }
    asked = list(unique.values())
    if context.api_version < 7:
        return FetchContext(asked)
    forgotten: list[PartitionKey] = [
        (topic.topic_id if by_id else topic.topic, index)
        for topic in request.forgotten_topics_data
        for index in topic.partitions
    ]
    return context.services.fetch_sessions.begin(
        session_id=request.session_id,
        epoch=request.session_epoch,
        asked=asked,
        forgotten=forgotten,
        uses_topic_ids=by_id,
        now_ms=context.services.clock.now_ms(),
        is_follower=_replica_id(request) >= 0 and _is_among_brokers(context),
    )


def _response(fetch: FetchReading, answers: list[Answer]) -> FetchResponse:
    """Group the answers by topic; an incremental one leaves out what has no news."""
    session = fetch.sought.session
    topics: dict[bytes | str, FetchableTopicResponse] = {}
    for asked, answer in answers:
        if session is not None:
            size = len(answer.records or EMPTY)
            news = asked.has_news(
                high_watermark=answer.high_watermark,
                log_start_offset=answer.log_start_offset,
                size=size,
                error_code=answer.error_code
                or int(answer.diverging_epoch is not None or answer.preferred_read_replica >= 0),
            )
            if fetch.sought.incremental and not news:
                continue
            if fetch.sought.incremental and size:
                session.move_to_end(asked)
        key: bytes | str = asked.topic_id if fetch.by_id else asked.topic or ""
        topic = topics.get(key)
        if topic is None:
            topic = topics[key] = FetchableTopicResponse(
                topic=asked.topic or "", topic_id=asked.topic_id, partitions=[]
            )
        topic.partitions.append(answer)
    return FetchResponse(
        throttle_time_ms=0, session_id=fetch.sought.session_id, responses=list(topics.values())
    )


def error_response(request: FetchRequest, version: int, code: ErrorCode) -> FetchResponse:
    """The whole fails with `code`, and so does each partition while topics go by name."""
    topics = request.topics if version < TOPIC_IDS_SINCE else []
    return FetchResponse(
        throttle_time_ms=0,
        error_code=code,
        responses=[
            FetchableTopicResponse(
                topic=topic.topic,
                partitions=[failed(each.partition, code) for each in topic.partitions],
            )
            for topic in topics
        ],
    )


HANDLER = Handler(
    request=FetchRequest, versions=range(4, 19), handle=handle, error_response=error_response
)
