"""Produce: append record batches, answer once they are as safe as `acks` asks.

Versions 3 to 13, advertised from 0: librdkafka up to 2.11 compresses only where it sees Produce 0.
An append takes effect at once and the next request of the connection starts; only the answer waits,
for the flush (or the followers) that covers it. acks=0 has no answer; an error then closes the
connection, so that the client notices. Batches in another codec than their topic's
`compression.type` are packed anew, in a thread where that may take long.

- 7: zstd is allowed (KIP-110). 8: an error message per partition (KIP-467).
- 10: where the leader is, when it is not here (KIP-951). 13: topics by id (KIP-516).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from struct import Struct

from kbroker.handler import Handler, RequestContext
from kbroker.receive_buffer import SHARED_BUFFER_BYTES
from kbroker.replication.partition import Partition
from kbroker.watch import Deferred
from log.log_config import LogConfig
from log.partition_log import AppendResult
from log.recompression import PreparedBatch, is_to_be_recompressed, prepare
from log.validation import only_batch
from wire.errors import ErrorCode, KafkaError
from wire.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from wire.records.batch import BatchHeader
from wire.records.batch_header import ATTRIBUTES_AT, COMPRESSION_MASK, HEADER_SIZE
from wire.records.compression import Compression

CRC_IN_THREAD_BYTES = 4 * 1024 * 1024
"""Above this the checksum takes milliseconds: a thread computes it (and releases the GIL)."""
CODEC_IN_THREAD_BYTES = 4 * 1024
"""Up to here packing plain records costs less than asking a thread, and all the requests of a turn
some milliseconds (with 16 KiB others waited 10 ms). What compressed records expand to nobody knows
before: whatever their size, a thread does it."""

LEAST_WAIT_MS = 1_000
"""The client's timeout is for replication; the leader's own write it cannot cut short (nor can it
in Kafka, where a timeout of 0 succeeds on one replica). So an fsync gets at least this long."""

ACKS = (-1, 0, 1)
ZSTD_SINCE = 7
TOPIC_IDS_SINCE = 13

WITHOUT_LOG_START = (
    ErrorCode.INVALID_TOPIC_EXCEPTION,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.RECORD_LIST_TOO_LARGE,
    ErrorCode.CORRUPT_MESSAGE,
    ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
"""Refusals that Kafka answers with a log start offset of -1; all others tell it."""

INT16 = Struct(">h")
NOTHING_PREPARED: Mapping[int, PreparedBatch] = {}

Result = ProduceResponse | Deferred[ProduceResponse] | None


class PendingProduce(Deferred[ProduceResponse]):
    """The answer of a Produce whose appends have yet to become safe."""

    __slots__ = ("bucket", "context", "is_complete", "remaining", "response")

    def __init__(self, context: RequestContext, response: ProduceResponse) -> None:
        super().__init__(blocks=False)
        self.context = context
        self.response = response
        self.remaining: dict[int, PartitionProduceResponse] = {}
        self.is_complete = False  # every partition has been appended to, or refused
        self.bucket = -1
        self.on_abandon = self._stop_waiting

    def wait_for(
        self,
        partition: Partition,
        result: AppendResult,
        acks: int,
        answer: PartitionProduceResponse,
    ) -> None:
        """`answer` holds once `partition` acknowledges the append."""
        place = id(answer)
        self.remaining[place] = answer

        def acknowledged(code: ErrorCode) -> None:
            if self.settled:
                return
            del self.remaining[place]
            if code:
                _set_error(answer, code)
            if not self.remaining and self.is_complete:
                self._stop_waiting()
                self.settle(self.response)

        partition.when_acknowledged(result.last_offset, acks, acknowledged)

    def complete(self, timeout_ms: int) -> None:
        """Nothing more is appended: from here on the answer may leave."""
        self.is_complete = True
        if self.remaining:
            delay_ms = max(timeout_ms, LEAST_WAIT_MS)
            self.bucket = self.context.services.deadlines.add(delay_ms, self.expire)
        else:
            self.settle(self.response)

    def expire(self) -> None:
        """`timeout_ms` has passed: what is not safe by now is answered as timed out."""
        if self.settled:
            return
        for answer in self.remaining.values():
            _set_error(answer, ErrorCode.REQUEST_TIMED_OUT)
        self.settle(self.response)

    def _stop_waiting(self) -> None:
        self.context.services.deadlines.remove(self.bucket, self.expire)


class LargeProduce(Deferred[ProduceResponse]):
    """A Produce whose checksums and codecs a thread works at. Until it has appended it blocks its
    connection; from then on it waits like any other. A large frame lies in a buffer of the
    connection's own and stays there; one that may lie in the buffer that all connections share
    gives its records as a copy."""

    __slots__ = ("context", "pending", "request")

    def __init__(self, context: RequestContext, request: ProduceRequest) -> None:
        super().__init__(blocks=True)
        self.context = context
        self.request = request
        self.pending: Deferred[ProduceResponse] | None = None
        self.on_abandon = self._abandon_pending
        if context.frame_bytes <= SHARED_BUFFER_BYTES:
            _copy_records(request)
        jobs: dict[int, Callable[[], PreparedBatch]] = {}
        for data, records, config in _batches_here(context, request):
            jobs[id(data)] = partial(prepare, records, config)
        preparing = asyncio.get_running_loop().run_in_executor(None, _prepare_all, jobs)
        preparing.add_done_callback(lambda done: self.guard(lambda: self._append(done)))

    def _append(self, prepared: asyncio.Future[dict[int, PreparedBatch]]) -> None:
        if self.settled or prepared.cancelled():
            return  # the client is gone, and so is the frame
        # What is wrong with a batch is found again, and answered, by the ordinary path.
        result = _append_all(self.context, self.request, prepared=prepared.result())
        if isinstance(result, Deferred):
            self.pending = result
            self.take_effect()
            result.then(self.settle, on_error=self.fail)
        else:
            self.settle(result)

    def _abandon_pending(self) -> None:
        if self.pending is not None:
            self.pending.abandon()


def handle(context: RequestContext, request: ProduceRequest) -> Result:
    """Append every batch, then answer or wait."""
    if request.acks not in ACKS:
        code = ErrorCode.INVALID_REQUIRED_ACKS
        return error_response(request, context.api_version, code)
    if context.frame_bytes > CRC_IN_THREAD_BYTES or (
        context.services.replicas.recompressed_topics and _has_work_for_codecs(context, request)
    ):
        return LargeProduce(context, request)
    return _append_all(context, request, prepared=NOTHING_PREPARED)


def _append_all(
    context: RequestContext, request: ProduceRequest, *, prepared: Mapping[int, PreparedBatch]
) -> Result:
    acks = request.acks
    services = context.services
    replicas, awaited = services.replicas, services.awaited_batches
    version = context.api_version
    by_id = version >= TOPIC_IDS_SINCE
    now_ms = services.clock.now_ms()
    response = ProduceResponse(responses=[])
    pending: PendingProduce | None = None
    for topic in request.topic_data:
        if not topic.partition_data:
            continue
        answers: list[PartitionProduceResponse] = []
        response.responses.append(
            TopicProduceResponse(
                name=topic.name, topic_id=topic.topic_id, partition_responses=answers
            )
        )
        for data in topic.partition_data:
            partition: Partition | None = None
            place = topic.topic_id if by_id else topic.name, data.index
            try:
                if by_id:
                    found = replicas.partition_by_id(topic.topic_id, data.index)
                else:
                    found = replicas.partition(topic.name, data.index)
                records = data.records
                if records is None:
                    raise KafkaError(ErrorCode.INVALID_RECORD, "the record set is null")
                header = only_batch(records)
                if version < ZSTD_SINCE:
                    _check_codec(header)
                partition = found  # what is refused from here on tells where its log starts
                if awaited and found.is_leader:
                    awaited.check(place, header, found.log.producer_state)
                result = partition.append_as_leader(
                    records,
                    now_ms=now_ms,
                    required_acks=acks,
                    header=header,
                    transactional_id_given=request.transactional_id is not None,
                    prepared=prepared.get(id(data)) if prepared else None,
                )
            except KafkaError as error:
                answers.append(_refused(data.index, error, partition))
                awaited.refused(place, data.records, error.code)
                continue
            except OSError as error:
                services.storage_failed(error)
                answers.append(_answer(data.index, ErrorCode.KAFKA_STORAGE_ERROR))
                continue
            if awaited:
                awaited.stored(place, header)
            answer = _appended(data.index, result)
            answers.append(answer)
            if acks and not partition.is_acknowledged(result.last_offset, acks):
                if pending is None:
                    pending = PendingProduce(context, response)
                pending.wait_for(partition, result, acks, answer)
    if not acks:
        if _any_failed(response):
            context.connection.close()
        return None
    if pending is None:
        return response
    services.flushes.start_armed()
    pending.complete(request.timeout_ms)
    return pending


def _check_codec(header: BatchHeader) -> None:
    if header.attributes & COMPRESSION_MASK == Compression.ZSTD:
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)


def _has_work_for_codecs(context: RequestContext, request: ProduceRequest) -> bool:
    """Whether a batch must get another codec, and that may take long."""
    is_large = context.frame_bytes > CODEC_IN_THREAD_BYTES
    for _, records, config in _batches_here(context, request):
        (attributes,) = INT16.unpack_from(records, ATTRIBUTES_AT)
        if is_to_be_recompressed(attributes, config) and (
            is_large or attributes & COMPRESSION_MASK
        ):
            return True
    return False


def _batches_here(
    context: RequestContext, request: ProduceRequest
) -> Iterator[tuple[PartitionProduceData, memoryview, LogConfig]]:
    """What may be batches, for partitions that are here, with what holds for their logs."""
    replicas = context.services.replicas
    for topic in request.topic_data:
        for data in topic.partition_data:
            if data.records is None or len(data.records) < HEADER_SIZE:
                continue
            try:
                if context.api_version >= TOPIC_IDS_SINCE:
                    partition = replicas.partition_by_id(topic.topic_id, data.index)
                else:
                    partition = replicas.partition(topic.name, data.index)
            except KafkaError:
                continue  # answered by the ordinary path
            yield data, data.records, partition.log.config


def _copy_records(request: ProduceRequest) -> None:
    """The shared buffer is for the next connection that has something to read."""
    for topic in request.topic_data:
        for data in topic.partition_data:
            if data.records is not None:
                data.records = memoryview(bytearray(data.records))


def _prepare_all(jobs: Mapping[int, Callable[[], PreparedBatch]]) -> dict[int, PreparedBatch]:
    """In a thread: touches the records, which nobody else changes, and nothing else."""
    return {place: job() for place, job in jobs.items()}


def _set_error(answer: PartitionProduceResponse, code: ErrorCode) -> None:
    """An append that took effect, but is not known to be safe."""
    answer.error_code = code
    answer.base_offset = -1
    answer.log_append_time_ms = -1
    answer.log_start_offset = -1


def _any_failed(response: ProduceResponse) -> bool:
    return any(
        answer.error_code for topic in response.responses for answer in topic.partition_responses
    )


def _appended(index: int, result: AppendResult) -> PartitionProduceResponse:
    return PartitionProduceResponse(
        index=index,
        error_code=0,
        base_offset=result.base_offset,
        log_append_time_ms=result.log_append_time_ms,
        log_start_offset=result.log_start_offset,
    )


def _answer(index: int, code: ErrorCode) -> PartitionProduceResponse:
    return PartitionProduceResponse(index=index, error_code=code, base_offset=-1)


def _refused(
    index: int, error: KafkaError, partition: Partition | None
) -> PartitionProduceResponse:
    """Nothing was appended."""
    answer = _answer(index, error.code)
    answer.error_message = error.detail or None
    answer.record_errors = [
        BatchIndexAndErrorMessage(batch_index=place, batch_index_error_message=message)
        for place, message in error.record_errors
    ]
    if partition is not None and error.code not in WITHOUT_LOG_START:
        answer.log_start_offset = partition.log.log_start_offset
    return answer


def error_response(
    request: ProduceRequest, version: int, code: ErrorCode
) -> ProduceResponse | None:
    """Every partition asked for fails with `code`; acks=0 has no answer that could say so."""
    if request.acks == 0:
        return None
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[_answer(data.index, code) for data in topic.partition_data],
            )
            for topic in request.topic_data
        ]
    )


HANDLER = Handler(
    request=ProduceRequest,
    versions=range(3, 14),
    handle=handle,
    error_response=error_response,
    advertised_minimum=0,
)
