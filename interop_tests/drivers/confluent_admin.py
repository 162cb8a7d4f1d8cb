"""confluent-kafka's admin calls (see protocol.py)."""

from __future__ import annotations

from typing import Any

from confluent_kafka import ElectionType, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    OffsetSpec,
    ResourceType,
)
from protocol import OPERATION_TIMEOUT_S, ClientError, error_name


class ConfluentAdmin:
    """Stateless."""

    def create_partitions(self, bootstrap: str, topic: str, count: int) -> None:
        admin = _admin(bootstrap)
        _result(admin.create_partitions([NewPartitions(topic, count)])[topic])

    def delete_records(self, bootstrap: str, topic: str, offsets: dict[str, int]) -> dict[int, int]:
        wanted = [TopicPartition(topic, int(at), offset) for at, offset in offsets.items()]
        admin = _admin(bootstrap)
        answers = admin.delete_records(wanted)
        return {at.partition: _result(answer).low_watermark for at, answer in answers.items()}

    def describe_cluster(self, bootstrap: str) -> dict[str, Any]:
        admin = _admin(bootstrap)
        cluster = _result(admin.describe_cluster())
        return {
            "controller": cluster.controller.id,
            "nodes": [node.id for node in cluster.nodes],
            "cluster_id": cluster.cluster_id,
        }

    def describe_configs(self, bootstrap: str, topic: str) -> dict[str, str | None]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        admin = _admin(bootstrap)
        entries = _result(admin.describe_configs([resource])[resource])
        return {name: entry.value for name, entry in entries.items()}

    def alter_config(self, bootstrap: str, topic: str, key: str, value: str) -> None:
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin = _admin(bootstrap)
        _result(admin.incremental_alter_configs([resource])[resource])

    def elect_leaders(self, bootstrap: str, topic: str, partitions: list[int]) -> dict[int, str]:
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        admin = _admin(bootstrap)
        answers = _result(admin.elect_leaders(ElectionType.PREFERRED, wanted))
        return {
            at.partition: "NONE" if error is None else _name(error) for at, error in answers.items()
        }

    def list_offset(self, bootstrap: str, topic: str, partition: int, timestamp: int) -> int:
        spec = {-1: OffsetSpec.latest, -2: OffsetSpec.earliest, -3: OffsetSpec.max_timestamp}
        at = TopicPartition(topic, partition)
        admin = _admin(bootstrap)
        wanted = spec[timestamp]() if timestamp < 0 else OffsetSpec.for_timestamp(timestamp)
        return int(_result(admin.list_offsets({at: wanted})[at]).offset)


def _admin(bootstrap: str) -> AdminClient:
    """Its requests die with it: whoever waits for one holds on to it."""
    return AdminClient({"bootstrap.servers": bootstrap})


def _name(error: KafkaError) -> str:
    code = error.code()
    return error_name(code if code >= -1 else None, error.name())


def _result(future: Any) -> Any:
    try:
        return future.result(OPERATION_TIMEOUT_S)
    except KafkaException as error:
        raise ClientError(_name(error.args[0]), error.args[0].str()) from error
