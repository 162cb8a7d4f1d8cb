"""DescribeLogDirs: the data directory, what its disk has, and what partitions take of it.

Versions 1 to 5. 2: flexible. 3: an error for the whole (KIP-784). 4: the disk's size and what of it
is free (KIP-827). 5: whether the directory takes new partitions (KIP-1066); it always does.

The size of a partition is that of its segments; what was deleted is there until retention has
removed its files. The only copy of a partition here is the one in use, so nothing lags. Where the
directory has failed, its error is in its result and not in that of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from kbroker.handler import Handler, RequestContext
from kbroker.replication.partition import Partition
from wire.errors import ErrorCode
from wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)


def handle(context: RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    """The one directory, with the partitions asked about; no list asks about all."""
    replicas = context.services.replicas
    if replicas.offline:
        return _response(_failed(replicas.directory_path))
    try:
        space = replicas.disk_space()
    except OSError:
        return _response(_failed(replicas.directory_path))
    partitions: Iterable[Partition] = replicas
    if request.topics is not None:
        wanted = {(asked.topic, index) for asked in request.topics for index in asked.partitions}
        partitions = [each for each in replicas if (each.topic, each.index) in wanted]
    return _response(
        DescribeLogDirsResult(
            error_code=0,
            log_dir=replicas.directory_path,
            topics=_by_topic(partitions),
            total_bytes=space.total_bytes,
            usable_bytes=space.usable_bytes,
        )
    )


def _by_topic(partitions: Iterable[Partition]) -> list[DescribeLogDirsTopic]:
    topics: dict[str, DescribeLogDirsTopic] = {}
    for partition in sorted(partitions, key=lambda each: (each.topic, each.index)):
        topic = topics.get(partition.topic)
        if topic is None:
            topic = DescribeLogDirsTopic(name=partition.topic, partitions=[])
            topics[partition.topic] = topic
        topic.partitions.append(
            DescribeLogDirsPartition(
                partition_index=partition.index,
                partition_size=partition.log.size_bytes,
                offset_lag=0,
                is_future_key=False,
            )
        )
    return list(topics.values())


def _failed(path: str) -> DescribeLogDirsResult:
    return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=path, topics=[])


def _response(result: DescribeLogDirsResult) -> DescribeLogDirsResponse:
    return DescribeLogDirsResponse(results=[result])


def error_response(
    request: DescribeLogDirsRequest, version: int, code: ErrorCode
) -> DescribeLogDirsResponse:
    """The whole request fails with `code`; below version 3 there is no place to say so."""
    return DescribeLogDirsResponse(error_code=code, results=[])


HANDLER = Handler(
    request=DescribeLogDirsRequest,
    versions=range(1, 6),
    handle=handle,
    error_response=error_response,
)
