"""aiokafka as a member of a group, with an event loop of its own, and its group administration (see
aio.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code
from members import POLL_S
from protocol import Received, received_of

T = TypeVar("T")
ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}
POLL_MS = int(POLL_S * 1000)


class AiokafkaMember(ConsumerRebalanceListener):
    """Mutable: the loop, which runs while the member polls, and the consumer."""

    def __init__(self, bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> None:
        self.rebalances = 0
        self._topic = topic
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._consumer = self._run(self._start(bootstrap, group, options))
        self._consumer.subscribe([topic], listener=self)

    def _run(self, operation: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(operation)

    @staticmethod
    async def _start(bootstrap: str, group: str, options: dict[str, Any]) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            client_id=options["client_id"],
            group_instance_id=options["instance"],
            enable_auto_commit=False,
            auto_offset_reset=options["reset"],
            partition_assignment_strategy=[ASSIGNORS[options["assignor"]]],
            session_timeout_ms=options["session_ms"],
            heartbeat_interval_ms=options["heartbeat_ms"],
        )
        await consumer.start()
        return consumer

    def on_partitions_revoked(self, revoked: Any) -> None: ...

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.rebalances += 1

    def poll(self) -> list[Received]:
        batches = self._run(self._consumer.getmany(timeout_ms=POLL_MS))
        return [received_of(record) for batch in batches.values() for record in batch]

    def assignment(self) -> list[int]:
        return sorted(at.partition for at in self._consumer.assignment())

    def commit(self) -> None:
        self._run(self._consumer.commit())

    def seek(self, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    def committed(self, partition: int) -> int | None:
        found = self._run(self._consumer.committed(TopicPartition(self._topic, partition)))
        return None if found is None else int(found)

    def position(self, partition: int) -> int:
        return int(self._run(self._consumer.position(TopicPartition(self._topic, partition))))

    def close(self) -> None:
        self._run(self._consumer.stop())
        self._loop.close()


async def list_groups(admin: AIOKafkaAdminClient) -> dict[str, str | None]:
    return {group: None for group, *_ in await admin.list_consumer_groups()}


async def describe_group(admin: AIOKafkaAdminClient, group: str) -> dict[str, Any]:
    """aiokafka hands out the answer as it came."""
    [answer] = await admin.describe_consumer_groups([group])
    [(error, _, state, _, protocol, members, *_)] = answer.groups
    if error:
        raise for_code(error)(str(answer))
    return {
        "state": state,
        "protocol": protocol,
        # member id, [group instance id,] client id, client host, metadata, assignment
        "members": [[member[-4], _partitions(member[-1])] for member in members],
    }


async def group_offsets(admin: AIOKafkaAdminClient, group: str, topic: str) -> dict[int, int]:
    found = await admin.list_consumer_group_offsets(group)
    return {at.partition: kept.offset for at, kept in found.items() if at.topic == topic}


def _partitions(assignment: bytes) -> list[int]:
    if not assignment:
        return []
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return sorted(at for _topic, partitions in decoded.assignment for at in partitions)
