"""Drives aiokafka (see protocol.py): one event loop, which runs only while an operation does.

Groups are in aio_groups.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiokafka
from aio_admin import AiokafkaAdmin
from aio_groups import AiokafkaMember, describe_group, group_offsets, list_groups
from aio_producer import AiokafkaSending
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code
from members import MemberOperations
from producers import ProducerOperations
from protocol import (
    OPERATION_TIMEOUT_S,
    ClientError,
    Deadline,
    Position,
    Received,
    error_name,
    received_of,
    serve,
)

T = TypeVar("T")


class AiokafkaDriver(ProducerOperations, MemberOperations):
    """Mutable: the loop and the open consumers by handle."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._consumers: dict[int, AIOKafkaConsumer] = {}
        self.admin = AiokafkaAdmin(self._loop)

    def _run(self, operation: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(operation, OPERATION_TIMEOUT_S))
        except TimeoutError as error:
            raise ClientError("TIMED_OUT") from error

    def hello(self) -> dict[str, str]:
        return {"version": aiokafka.__version__}

    def sending(self, bootstrap: str, topic: str, options: dict[str, Any]) -> AiokafkaSending:
        return AiokafkaSending(bootstrap, topic, options)

    def open_consumer(
        self, bootstrap: str, topic: str, positions: dict[int, Position], options: dict[str, Any]
    ) -> int:
        handle = len(self._consumers)
        opening = _open_consumer(bootstrap, topic, positions, options)
        self._consumers[handle] = self._run(opening)
        return handle

    def poll(self, handle: int, count: int) -> list[Received]:
        return self._run(_poll(self._consumers[handle], count))

    def close_consumer(self, handle: int) -> None:
        self._run(self._consumers[handle].stop())

    def list_offset(
        self, bootstrap: str, topic: str, partition: int, position: Position
    ) -> int | None:
        return self._run(_list_offset(bootstrap, TopicPartition(topic, partition), position))

    def metadata(self, bootstrap: str, topic: str | None) -> dict[str, Any]:
        return self._run(_metadata(bootstrap, topic))

    def create_topic(
        self, bootstrap: str, topic: str, partitions: int, configs: dict[str, str]
    ) -> None:
        self._run(_create_topic(bootstrap, _new_topic(topic, partitions, configs)))

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        self._run(_delete_topic(bootstrap, topic))

    def commit(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, tuple[int, str]]
    ) -> None:
        self._run(_commit(bootstrap, group, topic, offsets))

    def committed(
        self, bootstrap: str, group: str, topic: str, partitions: list[int]
    ) -> dict[int, tuple[int, str | None] | None]:
        return self._run(_committed(bootstrap, group, topic, partitions))

    def group_consumer(
        self, bootstrap: str, group: str, topic: str, options: dict[str, Any]
    ) -> AiokafkaMember:
        return AiokafkaMember(bootstrap, group, topic, options)

    def list_groups(self, bootstrap: str) -> dict[str, str | None]:
        return self._run(_with_admin(bootstrap, list_groups))

    def describe_group(self, bootstrap: str, group: str) -> dict[str, Any]:
        return self._run(_with_admin(bootstrap, describe_group, group))

    def group_offsets(self, bootstrap: str, group: str, topic: str) -> dict[int, int]:
        return self._run(_with_admin(bootstrap, group_offsets, group, topic))


async def _open_consumer(
    bootstrap: str, topic: str, positions: dict[int, Position], options: dict[str, Any]
) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=options["isolation"],
        fetch_max_bytes=options["max_bytes"],
        max_partition_fetch_bytes=options["max_partition_bytes"],
        auto_offset_reset="earliest",
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, partition) for partition in positions])
    for partition, position in positions.items():
        await _seek(consumer, TopicPartition(topic, partition), position)
    return consumer


async def _seek(consumer: AIOKafkaConsumer, at: TopicPartition, position: Position) -> None:
    """Resolves a position with the client's own means, so that what is produced from now on comes
    after it."""
    if position == "earliest":
        await consumer.seek_to_beginning(at)
    elif position == "latest":
        await consumer.seek_to_end(at)
    elif isinstance(position, int):
        consumer.seek(at, position)
    else:
        found = (await consumer.offsets_for_times({at: position[1]}))[at]
        if found is None:
            await consumer.seek_to_end(at)
        else:
            consumer.seek(at, found.offset)


async def _poll(consumer: AIOKafkaConsumer, count: int) -> list[Received]:
    deadline = Deadline()
    received: list[Received] = []
    while len(received) < count:
        deadline.check(f"{len(received)} of {count} records came")
        wanted = count - len(received)
        for batch in (await consumer.getmany(timeout_ms=500, max_records=wanted)).values():
            received.extend(received_of(record) for record in batch)
    return received


async def _list_offset(bootstrap: str, at: TopicPartition, position: Position) -> int | None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        if position == "earliest":
            return int((await consumer.beginning_offsets([at]))[at])
        if position == "latest":
            return int((await consumer.end_offsets([at]))[at])
        found = (await consumer.offsets_for_times({at: position[1]}))[at]
        return None if found is None else int(found.offset)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _with_admin(
    bootstrap: str, operation: Callable[..., Coroutine[Any, Any, T]], *arguments: str
) -> T:
    async with _admin(bootstrap) as admin:
        return await operation(admin, *arguments)


async def _metadata(bootstrap: str, topic: str | None) -> dict[str, Any]:
    async with _admin(bootstrap) as admin:
        brokers = (await admin.describe_cluster())["brokers"]
        topics = await admin.describe_topics(None if topic is None else [topic])
    return {
        "brokers": [f"{broker['host']}:{broker['port']}" for broker in brokers],
        "topics": {
            entry["topic"]: {
                "partitions": len(entry["partitions"]),
                "error": error_name(entry["error_code"], "") if entry["error_code"] else None,
            }
            for entry in topics
        },
    }


def _new_topic(topic: str, partitions: int, configs: dict[str, str]) -> NewTopic:
    """With as many replicas as the cluster makes by default, which older releases take with
    assignments alone: there are none."""
    return NewTopic(topic, partitions, -1, replica_assignments={}, topic_configs=configs)


async def _create_topic(bootstrap: str, topic: NewTopic) -> None:
    async with _admin(bootstrap) as admin:
        _check((await admin.create_topics([topic])).topic_errors)


async def _delete_topic(bootstrap: str, topic: str) -> None:
    async with _admin(bootstrap) as admin:
        _check((await admin.delete_topics([topic])).topic_error_codes)


def _check(errors: list[tuple[Any, ...]]) -> None:
    """aiokafka answers errors of the admin's requests as (name, code, message) instead of raising
    them."""
    for _name, code, *_message in errors:
        if code:
            raise for_code(code)(str(errors))


async def _commit(
    bootstrap: str, group: str, topic: str, offsets: dict[int, tuple[int, str]]
) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    async with consumer:
        consumer.assign([TopicPartition(topic, partition) for partition in offsets])
        await consumer.commit(
            {
                TopicPartition(topic, partition): (offset, metadata)
                for partition, (offset, metadata) in offsets.items()
            }
        )


async def _committed(
    bootstrap: str, group: str, topic: str, partitions: list[int]
) -> dict[int, tuple[int, str | None] | None]:
    """The consumer's own `committed` tells no metadata, the admin's listing does: both must agree
    on the offset."""
    wanted = [TopicPartition(topic, partition) for partition in partitions]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    async with consumer:
        consumer.assign(wanted)
        offsets = {at: await consumer.committed(at) for at in wanted}
    async with _admin(bootstrap) as admin:
        listed = await admin.list_consumer_group_offsets(group, partitions=wanted)
    answers: dict[int, tuple[int, str | None] | None] = {}
    for at in wanted:
        offset = listed[at].offset if listed[at].offset >= 0 else None
        assert offset == offsets[at], f"{at}: consumer says {offsets[at]}, admin {listed[at]}"
        answers[at.partition] = None if offset is None else (offset, listed[at].metadata)
    return answers


if __name__ == "__main__":
    serve(AiokafkaDriver())
