"""Fetch: the bytes on disk, as they are, up to what is committed.

Versions 4 to 18. A Fetch with less than `min_bytes` to give parks until there is more, or for
`max_wait_ms`; parked it costs one object, and blocks only its own connection. Nothing is decoded:
the answer refers to slices of the segment files.

- 7: incremental sessions (KIP-227). 9: leader epochs (KIP-320). 12: diverging epochs (KIP-595).
- 13: topics by id (KIP-516). 15: the replica's state (KIP-903). 16: where the leader is (KIP-951).
- Not here: preferred read replicas (-1 always) and throttling (0 always).
"""

from __future__ import annotations

import asyncio

from kbroker.handler import Handler, RequestContext
from kbroker.replication.fetch_session import FetchContext, FetchPartition, PartitionKey
from kbroker.replication.partition import ANY_EPOCH, Partition
from kbroker.watch import Deferred
from log.scan import ColdRead
from wire.errors import ErrorCode, KafkaError
from wire.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from wire.records.file_slice import FileSlice

CONSUMER = -1
READ_UNCOMMITTED = 0
READ_COMMITTED = 1
TOPIC_IDS_SINCE = 13
EMPTY = b""

MAX_COLD_READS = 100
"""Looks into cold files for one Fetch; then it waits for the disk itself."""

Answers = tuple[list[tuple[FetchPartition, PartitionData]], int, bool]


class Fetch:
    """One Fetch on its way: what it may read, and how to read it once more."""

    __slots__ = (
        "by_id",
        "context",
        "from_replica",
        "limit_bytes",
        "min_bytes",
        "read_committed",
        "sought",
    )

    def __init__(
        self, context: RequestContext, request: FetchRequest, sought: FetchContext
    ) -> None:
        self.context = context
        self.sought = sought
        self.by_id = context.api_version >= TOPIC_IDS_SINCE
        self.from_replica = _replica_id(request) >= 0
        self.min_bytes = request.min_bytes
        self.limit_bytes = min(request.max_bytes, context.services.config.fetch_max_bytes)
        self.read_committed = request.isolation_level == READ_COMMITTED

    def read(self, *, cached_only: bool = False) -> Answers:
        """One pass over the partitions: answers, bytes found, whether any erred.

        With `cached_only` it raises ColdRead where a position has to be looked for on the disk.
        """
        answers: list[tuple[FetchPartition, PartitionData]] = []
        left = self.limit_bytes
        found = 0
        erred = False
        for asked in self.sought.partitions:
            partition: Partition | None = None
            try:
                partition = self._resolve(asked)
                answer = self._read_partition(
                    partition, asked, left, first=found == 0, cached_only=cached_only
                )
            except ColdRead:
                _release(answers)
                raise
            except KafkaError as error:
                erred = True
                answer = _failed(asked.index, error.code)
                if partition is not None:
                    answer.aborted_transactions = None  # Kafka's way to say: it was looked at
            except OSError as error:
                erred = True
                self.context.services.storage_failed(error)
                answer = _failed(asked.index, ErrorCode.KAFKA_STORAGE_ERROR)
            size = len(answer.records or EMPTY)
            if answer.diverging_epoch is not None:
                erred = True
            found += size
            left = max(0, left - size)
            answers.append((asked, answer))
        return answers, found, erred

    def watched(self) -> list[Partition]:
        """The partitions that can end the wait."""
        partitions = []
        for asked in self.sought.partitions:
            try:
                partitions.append(self._resolve(asked))
            except KafkaError:
                continue
        return partitions

    def _resolve(self, asked: FetchPartition) -> Partition:
        replicas = self.context.services.replicas
        if self.by_id:
            return replicas.partition_by_id(asked.topic_id, asked.index)
        return replicas.partition(asked.topic or "", asked.index)

    def _read_partition(
        self,
        partition: Partition,
        asked: FetchPartition,
        left: int,
        *,
        first: bool,
        cached_only: bool,
    ) -> PartitionData:
        # Kafka's Fetch takes every negative epoch as none; ListOffsets does not.
        partition.check_leader(max(asked.current_leader_epoch, ANY_EPOCH))
        if self.from_replica:
            # Followers fetch on the inter-broker path; on a client's listener nobody is one.
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        max_bytes = min(asked.max_bytes, left)
        if max_bytes < 0:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        log = partition.log
        # Taken once, before the read, so that the answer is of one moment (KAFKA-9807).
        high_watermark = partition.high_watermark
        last_stable_offset = partition.last_stable_offset
        upper_bound = last_stable_offset if self.read_committed else high_watermark
        answer = PartitionData(
            partition_index=asked.index,
            error_code=0,
            high_watermark=high_watermark,
            last_stable_offset=last_stable_offset,
            log_start_offset=log.log_start_offset,
            aborted_transactions=None,
            records=EMPTY,
        )
        if asked.last_fetched_epoch >= 0:
            answer.diverging_epoch = _diverging_epoch(partition, asked)
            if answer.diverging_epoch is not None:
                return answer
        if self.read_committed:
            answer.aborted_transactions = [
                AbortedTransaction(producer_id=each.producer_id, first_offset=each.first_offset)
                for each in log.aborted_transactions(asked.fetch_offset, upper_bound)
            ]
        found = log.read(
            asked.fetch_offset,
            max_bytes=max_bytes,
            upper_bound_offset=upper_bound,
            at_least_one_batch=first,
            cached_only=cached_only,
        )
        if found is not None:
            answer.records = found
        return answer


class ParkedFetch(Deferred[FetchResponse]):
    """A Fetch that waits for more bytes. Every advance of a watched partition reads again: that
    finds slices, not bytes, so a read that is not enough costs little. What it looks for is the
    end of logs, which is in the page cache."""

    __slots__ = ("bucket", "fetch", "watched")

    def __init__(self, fetch: Fetch, max_wait_ms: int) -> None:
        super().__init__(blocks=True)
        self.fetch = fetch
        self.watched = fetch.watched()
        for partition in self.watched:
            partition.watch(self.look_again)
        self.on_abandon = self._stop_watching
        self.bucket = fetch.context.services.deadlines.add(max_wait_ms, self.expire)

    def look_again(self) -> None:
        """A watched partition has more, or has changed."""
        self.guard(lambda: self._read(self.fetch.min_bytes))

    def expire(self) -> None:
        """`max_wait_ms` has passed: answer with what is there."""
        self.guard(lambda: self._read(0))

    def _read(self, least_bytes: int) -> None:
        if self.settled:
            return
        answers, found, erred = self.fetch.read()
        if self.settled or not (found >= least_bytes or erred):
            # Settled: the read itself met a failing disk, which woke everyone who watches.
            _release(answers)
            return
        self._stop_watching()
        self.settle(_response(self.fetch, answers))

    def _stop_watching(self) -> None:
        for partition in self.watched:
            partition.unwatch(self.look_again)
        self.fetch.context.services.deadlines.remove(self.bucket, self.expire)


class ColdFetch(Deferred[FetchResponse]):
    """A Fetch of old data: a thread brings what is looked for into the page cache, so that a
    consumer that catches up stalls nobody else."""

    __slots__ = ("attempts", "fetch", "max_wait_ms", "parked")

    def __init__(self, fetch: Fetch, cold: ColdRead, max_wait_ms: int) -> None:
        super().__init__(blocks=True)
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
            result = _answer(
                self.fetch, self.max_wait_ms, cached_only=self.attempts < MAX_COLD_READS
            )
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
    fetch = Fetch(context, request, sought)
    try:
        return _answer(fetch, request.max_wait_ms, cached_only=True)
    except ColdRead as cold:
        return ColdFetch(fetch, cold, request.max_wait_ms)


def _answer(
    fetch: Fetch, max_wait_ms: int, *, cached_only: bool
) -> FetchResponse | Deferred[FetchResponse]:
    answers, found, erred = fetch.read(cached_only=cached_only)
    if found >= fetch.min_bytes or erred or max_wait_ms <= 0 or not answers:
        return _response(fetch, answers)
    _release(answers)
    return ParkedFetch(fetch, max_wait_ms)


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
    )


def _diverging_epoch(partition: Partition, asked: FetchPartition) -> EpochEndOffset | None:
    """Where the fetcher's log left ours, if it did (KIP-595)."""
    epoch, end_offset = partition.log.end_offset_for_epoch(asked.last_fetched_epoch)
    if epoch < 0 or end_offset < 0:
        raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
    if epoch < asked.last_fetched_epoch or end_offset < asked.fetch_offset:
        return EpochEndOffset(epoch=epoch, end_offset=end_offset)
    return None


def _response(fetch: Fetch, answers: list[tuple[FetchPartition, PartitionData]]) -> FetchResponse:
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
                error_code=answer.error_code or int(answer.diverging_epoch is not None),
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


def _failed(index: int, code: ErrorCode) -> PartitionData:
    return PartitionData(
        partition_index=index,
        error_code=code,
        high_watermark=-1,
        aborted_transactions=[],
        records=EMPTY,
    )


def _release(answers: list[tuple[FetchPartition, PartitionData]]) -> None:
    for _, answer in answers:
        if isinstance(answer.records, FileSlice):
            answer.records.release()


def _replica_id(request: FetchRequest) -> int:
    state = request.replica_state
    return state.replica_id if state is not None else request.replica_id


def error_response(request: FetchRequest, version: int, code: ErrorCode) -> FetchResponse:
    """The whole fails with `code`, and so does each partition while topics go by name."""
    topics = request.topics if version < TOPIC_IDS_SINCE else []
    return FetchResponse(
        throttle_time_ms=0,
        error_code=code,
        responses=[
            FetchableTopicResponse(
                topic=topic.topic,
                partitions=[_failed(each.partition, code) for each in topic.partitions],
            )
            for topic in topics
        ],
    )


HANDLER = Handler(
    request=FetchRequest, versions=range(4, 19), handle=handle, error_response=error_response
)
