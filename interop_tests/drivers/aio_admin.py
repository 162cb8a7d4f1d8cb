"""aiokafka's admin calls (see protocol.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import (
    AIOKafkaAdminClient,
    NewPartitions,
    RecordsToDelete,
)
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from protocol import OPERATION_TIMEOUT_S, ClientError

T = TypeVar("T")


class AiokafkaAdmin:
    """`loop` is the driver's, which runs only while an operation does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def _ask(self, bootstrap: str, question: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        asked = asyncio.wait_for(_ask(bootstrap, question), OPERATION_TIMEOUT_S)
        try:
            return self._loop.run_until_complete(asked)
        except TimeoutError as error:
            raise ClientError("TIMED_OUT") from error

    def create_partitions(self, bootstrap: str, topic: str, count: int) -> None:
        wanted = {topic: NewPartitions(count)}
        self._ask(bootstrap, lambda admin: admin.create_partitions(wanted))

    def delete_records(self, bootstrap: str, topic: str, offsets: dict[str, int]) -> dict[int, int]:
        wanted = {
            TopicPartition(topic, int(at)): RecordsToDelete(before_offset=offset)
            for at, offset in offsets.items()
        }
        answers = self._ask(bootstrap, lambda admin: admin.delete_records(wanted))
        return {at.partition: low_watermark for at, low_watermark in answers.items()}

    def describe_cluster(self, bootstrap: str) -> dict[str, Any]:
        cluster = self._ask(bootstrap, lambda admin: admin.describe_cluster())
        return {
            "controller": cluster["controller_id"],
            "nodes": [broker["node_id"] for broker in cluster["brokers"]],
            "cluster_id": cluster["cluster_id"],
        }

    def describe_configs(self, bootstrap: str, topic: str) -> dict[str, str | None]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        [answer] = self._ask(bootstrap, lambda admin: admin.describe_configs([resource]))
        [(code, message, _kind, _name, entries)] = answer.resources
        if code:
            raise for_code(code)(message)
        return {entry[0]: entry[1] for entry in entries}

    def alter_config(self, bootstrap: str, topic: str, key: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: value})
        for answer in self._ask(bootstrap, lambda admin: admin.alter_configs([resource])):
            for code, message, *_ in answer.resources:
                if code:
                    raise for_code(code)(message)


async def _ask(bootstrap: str, question: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return await question(admin)
    finally:
        await admin.close()
