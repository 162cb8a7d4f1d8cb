"""Drives kafka-python, 2.2 and 3.0 alike (see protocol.py).
Groups are in kafka_python_groups.py."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata
from kafka_python_admin import KafkaPythonAdmin
from kafka_python_groups import KafkaPythonGroups, KafkaPythonMember
from members import MemberOperations
from producers import ProducerOperations
from protocol import (
    OPERATION_TIMEOUT_S,
    Deadline,
    Position,
    Received,
    Record,
    Sent,
    error_name,
    received_of,
    serve,
)

OPERATION_TIMEOUT_MS = int(OPERATION_TIMEOUT_S * 1000)


class KafkaPythonDriver(ProducerOperations, MemberOperations, KafkaPythonGroups):
    """Mutable: the open consumers by handle."""

    def __init__(self) -> None:
        super().__init__()
        self._consumers: dict[int, KafkaConsumer] = {}
        self.admin = KafkaPythonAdmin()

    def hello(self) -> dict[str, str]:
        return {"version": kafka.__version__}

    def sending(self, bootstrap: str, topic: str, options: dict[str, Any]) -> KafkaPythonSending:
        return KafkaPythonSending(bootstrap, topic, options)

    def open_consumer(
        self, bootstrap: str, topic: str, positions: dict[int, Position], options: dict[str, Any]
    ) -> int:
        consumer = _consumer(
            bootstrap,
            isolation_level=options["isolation"],
            fetch_max_bytes=options["max_bytes"],
            max_partition_fetch_bytes=options["max_partition_bytes"],
            auto_offset_reset="earliest",
        )
        consumer.assign([TopicPartition(topic, partition) for partition in positions])
        for partition, position in positions.items():
            _seek(consumer, TopicPartition(topic, partition), position)
        handle = len(self._consumers)
        self._consumers[handle] = consumer
        return handle

    def poll(self, handle: int, count: int) -> list[Received]:
        deadline = Deadline()
        received: list[Received] = []
        while len(received) < count:
            deadline.check(f"{len(received)} of {count} records came")
            wanted = count - len(received)
            for batch in self._consumers[handle].poll(500, max_records=wanted).values():
                received.extend(received_of(record) for record in batch)
        return received

    def close_consumer(self, handle: int) -> None:
        self._consumers[handle].close()

    def list_offset(
        self, bootstrap: str, topic: str, partition: int, position: Position
    ) -> int | None:
        at = TopicPartition(topic, partition)
        with closing(_consumer(bootstrap)) as consumer:
            if position == "earliest":
                return consumer.beginning_offsets([at])[at]
            if position == "latest":
                return consumer.end_offsets([at])[at]
            found = consumer.offsets_for_times({at: position[1]})[at]
            return None if found is None else found.offset

    def metadata(self, bootstrap: str, topic: str | None) -> dict[str, Any]:
        with closing(_admin(bootstrap)) as admin:
            brokers = admin.describe_cluster()["brokers"]
            topics = admin.describe_topics(None if topic is None else [topic])
        return {
            "brokers": [f"{broker['host']}:{broker['port']}" for broker in brokers],
            "topics": {_topic_name(entry): _topic_entry(entry) for entry in topics},
        }

    def create_topic(
        self, bootstrap: str, topic: str, partitions: int, configs: dict[str, str]
    ) -> None:
        with closing(_admin(bootstrap)) as admin:
            admin.create_topics(
                [_new_topic(topic, partitions, configs)],
                timeout_ms=OPERATION_TIMEOUT_MS,
            )

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        with closing(_admin(bootstrap)) as admin:
            admin.delete_topics([topic], timeout_ms=OPERATION_TIMEOUT_MS)

    def commit(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, tuple[int, str]]
    ) -> None:
        with closing(_consumer(bootstrap, group_id=group)) as consumer:
            consumer.assign([TopicPartition(topic, partition) for partition in offsets])
            consumer.commit(
                {
                    TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata, -1)
                    for partition, (offset, metadata) in offsets.items()
                }
            )

    def committed(
        self, bootstrap: str, group: str, topic: str, partitions: list[int]
    ) -> dict[int, tuple[int, str | None] | None]:
        answers: dict[int, tuple[int, str | None] | None] = {}
        with closing(_consumer(bootstrap, group_id=group)) as consumer:
            consumer.assign([TopicPartition(topic, partition) for partition in partitions])
            for partition in partitions:
                found = consumer.committed(TopicPartition(topic, partition), metadata=True)
                known = found is not None and found.offset >= 0
                answers[partition] = (found.offset, found.metadata) if known else None
        return answers

    def group_consumer(
        self, bootstrap: str, group: str, topic: str, options: dict[str, Any]
    ) -> KafkaPythonMember:
        return KafkaPythonMember(bootstrap, group, topic, options)


class KafkaPythonSending:
    """Mutable: what it was given."""

    def __init__(self, bootstrap: str, topic: str, options: dict[str, Any]) -> None:
        codec = options["codec"]
        self._topic = topic
        self._futures: list[Any] = []
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            acks={0: 0, 1: 1, -1: "all"}[options["acks"]],
            compression_type=None if codec == "none" else codec,
            enable_idempotence=options["idempotence"],
            max_request_size=options["max_request_bytes"],
            batch_size=options["batch_bytes"],
            linger_ms=5,
            # A producer waits this long for an unknown topic's metadata before it gives up.
            max_block_ms=options["metadata_wait_ms"],
            delivery_timeout_ms=OPERATION_TIMEOUT_MS,
            request_timeout_ms=OPERATION_TIMEOUT_MS // 3,
        )

    def send(self, records: list[Record]) -> None:
        for record in records:
            self._futures.append(
                self._producer.send(
                    self._topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                )
            )

    def finish(self) -> list[Sent]:
        return [_sent(future) for future in self._futures]

    def close(self) -> None:
        self._producer.close()


def _new_topic(topic: str, partitions: int, configs: dict[str, str]) -> NewTopic:
    """With as many replicas as the cluster makes by default, which older releases take with
    assignments alone: there are none."""
    return NewTopic(topic, partitions, -1, replica_assignments={}, topic_configs=configs)


def _admin(bootstrap: str) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=OPERATION_TIMEOUT_MS)


def _consumer(bootstrap: str, **settings: Any) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        # 2.2 allows answers of 1 MB, less than it asks for by default, and reconnects in between.
        receive_message_max_bytes=100_000_000,
        **settings,
    )


def _seek(consumer: KafkaConsumer, at: TopicPartition, position: Position) -> None:
    """Resolves a position with the client's own means, so that what is produced from now on comes
    after it."""
    if position == "earliest":
        consumer.seek_to_beginning(at)
    elif position == "latest":
        consumer.seek_to_end(at)
    elif isinstance(position, int):
        consumer.seek(at, position)
    else:
        found = consumer.offsets_for_times({at: position[1]})[at]
        if found is None:
            consumer.seek_to_end(at)
        else:
            consumer.seek(at, found.offset)
    consumer.position(at)


def _sent(future: Any) -> Sent:
    try:
        place = future.get(timeout=OPERATION_TIMEOUT_S)
    except kafka.errors.KafkaError as error:
        return Sent(error=error_name(getattr(error, "errno", None), type(error).__name__))
    return Sent(place.partition, place.offset if place.offset >= 0 else None)


def _topic_name(entry: dict[str, Any]) -> str:
    """3.0 names a topic's field as Kafka's schema does, 2.2 in its own way."""
    return str(entry.get("name") or entry["topic"])


def _topic_entry(entry: dict[str, Any]) -> dict[str, Any]:
    code = entry["error_code"]
    return {
        "partitions": len(entry["partitions"]),
        "error": None if code == 0 else error_name(code, ""),
    }


if __name__ == "__main__":
    serve(KafkaPythonDriver())
