"""DeleteRecords: partitions begin later than they did (KIP-107).

Versions 0 to 2. 2: flexible. Offset -1 is the high watermark. A partition named twice is deleted
from twice and answered once, as last asked.

The answer tells where the partition starts now on every replica in sync. Better than Kafka's, that
is durable when answered: a broker that is killed in the next moment does not bring records back.
The records' files go with the next round of retention.
"""

from __future__ import annotations

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
    return _response(results)


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
