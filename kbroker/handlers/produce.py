"""Produce: append record batches, answer once they are as safe as `acks` asks.

Versions 3 to 13, advertised from 0: librdkafka up to 2.11 compresses only where it sees Produce 0.
An append takes effect at once and the next request of the connection starts; only the answer waits,
for the flush (or the followers) that covers it. acks=0 has no answer; an error then closes the
connection, so that the client notices.

- 7: zstd is allowed (KIP-110). 8: an error message per partition (KIP-467).
- 10: where the leader is, when it is not here (KIP-951). 13: topics by id (KIP-516).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from kbroker.handler import Handler, RequestContext
from kbroker.replication.partition import Partition
from kbroker.watch import Deferred
from log.partition_log import AppendResult
from wire.errors import ErrorCode, KafkaError
from wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from wire.records.batch import HEADER_SIZE, crc_is_valid, read_header
from wire.records.compression import Compression

CRC_IN_THREAD_BYTES = 4 * 1024 * 1024
"""Above this the checksum takes milliseconds: a thread computes it (and releases the GIL)."""

ACKS = (-1, 0, 1)
ZSTD_SINCE = 7
TOPIC_IDS_SINCE = 13

Result = ProduceResponse | Deferred[ProduceResponse] | None


class PendingProduce(Deferred[ProduceResponse]):
    """The answer of a Produce whose appends have yet to become safe."""

    __slots__ = ("bucket", "context", "remaining", "response")

    def __init__(self, context: RequestContext, response: ProduceResponse) -> None:
        super().__init__(blocks=False)
        self.context = context
        self.response = response
        self.remaining: dict[int, PartitionProduceResponse] = {}
        self.bucket = -1

    def wait_for(
        self,
        partition: Partition,
        result: AppendResult,
        acks: int,
        answer: PartitionProduceResponse,
    ) -> None:
        """`answer` holds once `partition` acknowledges the append."""
        place = len(self.remaining)
        self.remaining[place] = answer

        def acknowledged(code: ErrorCode) -> None:
            if self.settled:
                return
            del self.remaining[place]
            if code:
                _set_error(answer, code)
            if not self.remaining:
                self.context.services.deadlines.remove(self.bucket, self.expire)
                self.settle(self.response)

        partition.when_acknowledged(result.last_offset, acks, acknowledged)

    def expire(self) -> None:
        """`timeout_ms` has passed: what is not safe by now is answered as timed out."""
        for answer in self.remaining.values():
            _set_error(answer, ErrorCode.REQUEST_TIMED_OUT)
        self.settle(self.response)


def handle(
    context: RequestContext, request: ProduceRequest
) -> Result | Coroutine[None, None, ProduceResponse | None]:
    """Append every batch, then answer or wait."""
    if _has_large_batch(request):
        return _verify_then_append(context, request)
    return _append_all(context, request, crc_verified=False)


def _append_all(context: RequestContext, request: ProduceRequest, *, crc_verified: bool) -> Result:
    acks = request.acks
    response = ProduceResponse(responses=[])
    pending: PendingProduce | None = None
    failed = False
    now_ms = context.services.clock.now_ms()
    by_id = context.api_version >= TOPIC_IDS_SINCE
    for topic in request.topic_data:
        answers: list[PartitionProduceResponse] = []
        response.responses.append(
            TopicProduceResponse(
                name=topic.name, topic_id=topic.topic_id, partition_responses=answers
            )
        )
        for data in topic.partition_data:
            answer = PartitionProduceResponse(index=data.index, error_code=0, base_offset=-1)
            answers.append(answer)
            try:
                partition = _resolve(context, topic, data, by_id=by_id, acks=acks)
                result = _append(
                    context, request, partition, data, now_ms=now_ms, crc_verified=crc_verified
                )
            except KafkaError as error:
                _set_error(answer, error.code, error.detail)
                failed = True
                continue
            except OSError as error:
                context.services.storage_failed(error)
                _set_error(answer, ErrorCode.KAFKA_STORAGE_ERROR)
                failed = True
                continue
            answer.base_offset = result.base_offset
            answer.log_append_time_ms = result.log_append_time_ms
            answer.log_start_offset = result.log_start_offset
            if acks != 0 and not partition.is_acknowledged(result.last_offset, acks):
                if pending is None:
                    pending = PendingProduce(context, response)
                pending.wait_for(partition, result, acks, answer)
    if acks == 0:
        if failed:
            context.connection.close()
        return None
    if pending is not None:
        pending.bucket = context.services.deadlines.add(request.timeout_ms, pending.expire)
        return pending
    return response


def _resolve(
    context: RequestContext,
    topic: TopicProduceData,
    data: PartitionProduceData,
    *,
    by_id: bool,
    acks: int,
) -> Partition:
    if acks not in ACKS:
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    replicas = context.services.replicas
    if by_id:
        return replicas.partition_by_id(topic.topic_id, data.index)
    return replicas.partition(topic.name, data.index)


def _append(
    context: RequestContext,
    request: ProduceRequest,
    partition: Partition,
    data: PartitionProduceData,
    *,
    now_ms: int,
    crc_verified: bool,
) -> AppendResult:
    records = data.records
    if records is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "the record set is null")
    if context.api_version < ZSTD_SINCE and _is_zstd(records):
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    return partition.append_as_leader(
        records,
        now_ms=now_ms,
        required_acks=request.acks,
        transactional_id_given=request.transactional_id is not None,
        crc_verified=crc_verified,
    )


def _is_zstd(records: memoryview) -> bool:
    if len(records) < HEADER_SIZE:
        return False
    return read_header(records).compression == Compression.ZSTD


def _has_large_batch(request: ProduceRequest) -> bool:
    for topic in request.topic_data:
        for data in topic.partition_data:
            if data.records is not None and len(data.records) > CRC_IN_THREAD_BYTES:
                return True
    return False


async def _verify_then_append(
    context: RequestContext, request: ProduceRequest
) -> ProduceResponse | None:
    """The slow path of large frames. It blocks the connection, whose own buffer holds the frame."""
    batches = [
        data.records
        for topic in request.topic_data
        for data in topic.partition_data
        if data.records is not None
    ]
    loop = asyncio.get_running_loop()
    valid = await loop.run_in_executor(None, _crcs_are_valid, batches)
    # A bad checksum is found again, and answered per partition, by the ordinary path.
    result = _append_all(context, request, crc_verified=valid)
    if not isinstance(result, Deferred):
        return result
    answered: asyncio.Future[ProduceResponse] = loop.create_future()
    result.then(answered.set_result)
    return await answered


def _crcs_are_valid(batches: list[memoryview]) -> bool:
    for batch in batches:
        if len(batch) < HEADER_SIZE or not crc_is_valid(batch, 0, read_header(batch)):
            return False
    return True


def _set_error(answer: PartitionProduceResponse, code: ErrorCode, message: str = "") -> None:
    answer.error_code = code
    answer.error_message = message or None
    answer.base_offset = -1
    answer.log_append_time_ms = -1
    answer.log_start_offset = -1


def error_response(request: ProduceRequest, version: int, code: ErrorCode) -> ProduceResponse:
    """Every partition asked for fails with `code`."""
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    PartitionProduceResponse(index=data.index, error_code=code, base_offset=-1)
                    for data in topic.partition_data
                ],
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
