"""DeleteRecords: partitions begin later than they did (KIP-107).

Versions 0 to 2. 2: flexible. Offset -1 is the high watermark. A partition named twice is deleted
from twice and answered once, as last asked.

The answer tells where the partition starts now on every live replica. Better than Kafka's, that
is durable when answered: a broker that is killed in the next moment does not bring records back.
The records' files go with the next round of retention.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from kbroker.handler import Handler, RequestContext
from kbroker.topics import INTERNAL_TOPICS
from wire.errors import ErrorCode, KafkaError
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

UNKNOWN_LOW_WATERMARK = -1
LOOK_AGAIN_S = 0.02

Results = dict[str, dict[int, DeleteRecordsPartitionResult]]


def handle(
    context: RequestContext, request: DeleteRecordsRequest
) -> Coroutine[None, None, DeleteRecordsResponse | None]:
    """Delete at once, answer when it is durable."""
    return _delete(context, request)


async def _delete(context: RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    results: Results = {}
    for topic in request.topics:
        for asked in topic.partitions:
            result = _delete_from(context, topic.name, asked)
            results.setdefault(topic.name, {})[asked.partition_index] = result
    if any(each.error_code == 0 for topic in results.values() for each in topic.values()):
        try:
            await context.services.replicas.write_log_starts()
        except OSError as error:
            context.services.storage_failed(error)
            _fail_deletions(results)
        else:
            await _until_everywhere(context, results, timeout_s=request.timeout_ms / 1000)
    return _response(results)


async def _until_everywhere(context: RequestContext, results: Results, *, timeout_s: float) -> None:
    """Wait until every live replica begins there, as each tells with its next Fetch: a follower
    that leads tomorrow would show again what was deleted. In time, or REQUEST_TIMED_OUT."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    brokers = context.services.metadata.image.brokers
    replicas = context.services.replicas
    for name, partitions in results.items():
        for index, result in partitions.items():
            while result.error_code == 0:
                try:
                    low_watermark = replicas.partition(name, index).low_watermark(brokers)
                except KafkaError as error:  # deleted, or led elsewhere now
                    partitions[index] = result = _failed(index, error.code)
                    break
                if low_watermark >= result.low_watermark:
                    break
                if loop.time() >= deadline:
                    partitions[index] = result = _failed(index, ErrorCode.REQUEST_TIMED_OUT)
                    break
                await asyncio.sleep(LOOK_AGAIN_S)


def _delete_from(
    context: RequestContext, name: str, asked: DeleteRecordsPartition
) -> DeleteRecordsPartitionResult:
    services = context.services
    try:
        partition = services.replicas.partition(name, asked.partition_index)
        if name in INTERNAL_TOPICS:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
        if services.replicas.offline:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        low_watermark = partition.delete_records(asked.offset)
    except KafkaError as error:
        return _failed(asked.partition_index, error.code)
    return DeleteRecordsPartitionResult(
        partition_index=asked.partition_index, low_watermark=low_watermark, error_code=0
    )


def _fail_deletions(results: Results) -> None:
    """They are in effect, but may be undone by a crash: nobody is told otherwise."""
    for topic in results.values():
        for index, result in topic.items():
            if result.error_code == 0:
                topic[index] = _failed(index, ErrorCode.KAFKA_STORAGE_ERROR)


def _failed(index: int, code: ErrorCode) -> DeleteRecordsPartitionResult:
    return DeleteRecordsPartitionResult(
        partition_index=index, low_watermark=UNKNOWN_LOW_WATERMARK, error_code=code
    )


def _response(results: Results) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(name=name, partitions=list(partitions.values()))
            for name, partitions in results.items()
        ]
    )


def error_response(
    request: DeleteRecordsRequest, version: int, code: ErrorCode
) -> DeleteRecordsResponse:
    """Every partition fails with `code`."""
    results: Results = {}
    for topic in request.topics:
        for asked in topic.partitions:
            results.setdefault(topic.name, {})[asked.partition_index] = _failed(
                asked.partition_index, code
            )
    return _response(results)


HANDLER = Handler(
    request=DeleteRecordsRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
