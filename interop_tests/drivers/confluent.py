"""Drives confluent-kafka, that is librdkafka's newest (see protocol.py). Groups are in
confluent_groups.py."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import confluent_kafka
from confluent_admin import ConfluentAdmin
from confluent_groups import (
    ConfluentGroups,
    ConfluentMember,
    client_error,
    received,
    result_of,
)
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from members import MemberOperations
from producers import ProducerOperations
from protocol import (
    OPERATION_TIMEOUT_S,
    ClientError,
    Deadline,
    Position,
    Received,
    Record,
    Sent,
    error_name,
    serve,
)


class ConfluentDriver(ProducerOperations, MemberOperations, ConfluentGroups):
    """Mutable: the open consumers by handle."""

    def __init__(self) -> None:
        super().__init__()
        self._consumers: dict[int, Consumer] = {}
        self.admin = ConfluentAdmin()

    def hello(self) -> dict[str, str]:
        version, library = confluent_kafka.__version__, confluent_kafka.libversion()[0]
        return {"version": f"{version} (librdkafka {library})"}

    def sending(self, bootstrap: str, topic: str, options: dict[str, Any]) -> ConfluentSending:
        return ConfluentSending(bootstrap, topic, options)

    def open_consumer(
        self, bootstrap: str, topic: str, positions: dict[int, Position], options: dict[str, Any]
    ) -> int:
        consumer = _consumer(
            bootstrap,
            {
                "isolation.level": options["isolation"],
                "fetch.max.bytes": options["max_bytes"],
                "max.partition.fetch.bytes": options["max_partition_bytes"],
                # librdkafka wants room for a message in a fetch, and for a fetch in an answer.
                "message.max.bytes": min(1_000_000, options["max_bytes"]),
                "receive.message.max.bytes": max(100_000_000, options["max_bytes"] + 512),
            },
        )
        starts = [
            TopicPartition(topic, partition, _start(consumer, topic, partition, position))
            for partition, position in positions.items()
        ]
        consumer.assign(starts)
        handle = len(self._consumers)
        self._consumers[handle] = consumer
        return handle

    def poll(self, handle: int, count: int) -> list[Received]:
        deadline = Deadline()
        records: list[Received] = []
        while len(records) < count:
            deadline.check(f"{len(records)} of {count} records came")
            for message in self._consumers[handle].consume(count - len(records), 0.5):
                records.append(received(message))
        return records

    def close_consumer(self, handle: int) -> None:
        self._consumers[handle].close()

    def list_offset(
        self, bootstrap: str, topic: str, partition: int, position: Position
    ) -> int | None:
        with closing(_consumer(bootstrap, {})) as consumer:
            if isinstance(position, str):
                return _watermark(consumer, topic, partition, position)
            return _offset_for_time(consumer, topic, partition, position[1])

    def metadata(self, bootstrap: str, topic: str | None) -> dict[str, Any]:
        # A consumer's handle asks without auto-creation, a producer's with it.
        with closing(_consumer(bootstrap, {})) as consumer:
            listing = consumer.list_topics(topic, timeout=OPERATION_TIMEOUT_S)
        return {
            "brokers": [f"{broker.host}:{broker.port}" for broker in listing.brokers.values()],
            "topics": {
                name: {
                    "partitions": len(entry.partitions),
                    "error": entry.error and error_name(entry.error.code(), entry.error.name()),
                }
                for name, entry in listing.topics.items()
            },
        }

    def create_topic(
        self, bootstrap: str, topic: str, partitions: int, configs: dict[str, str]
    ) -> None:
        admin = _admin(bootstrap)  # its requests die with it
        wanted = NewTopic(topic, partitions, -1, config=configs)
        result_of(admin.create_topics([wanted])[topic])

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        admin = _admin(bootstrap)
        result_of(admin.delete_topics([topic])[topic])

    def commit(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, tuple[int, str]]
    ) -> None:
        wanted = [
            TopicPartition(topic, partition, offset, metadata)
            for partition, (offset, metadata) in offsets.items()
        ]
        with closing(_consumer(bootstrap, {"group.id": group})) as consumer:
            consumer.assign(wanted)
            try:
                answers = consumer.commit(offsets=wanted, asynchronous=False)
            except KafkaException as error:
                raise client_error(error.args[0]) from error
        for answer in answers:
            if answer.error is not None:
                raise client_error(answer.error)

    def committed(
        self, bootstrap: str, group: str, topic: str, partitions: list[int]
    ) -> dict[int, tuple[int, str | None] | None]:
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        with closing(_consumer(bootstrap, {"group.id": group})) as consumer:
            answers = consumer.committed(wanted, timeout=OPERATION_TIMEOUT_S)
        for answer in answers:
            if answer.error is not None:
                raise client_error(answer.error)
        return {
            answer.partition: (answer.offset, answer.metadata) if answer.offset >= 0 else None
            for answer in answers
        }

    def group_consumer(
        self, bootstrap: str, group: str, topic: str, options: dict[str, Any]
    ) -> ConfluentMember:
        return ConfluentMember(bootstrap, group, topic, options)


class ConfluentSending:
    """Mutable: how many records it was given, and what became of them."""

    def __init__(self, bootstrap: str, topic: str, options: dict[str, Any]) -> None:
        self._topic = topic
        self._count = 0
        self._sent: dict[int, Sent] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": options["codec"],
                "acks": options["acks"],
                "enable.idempotence": options["idempotence"],
                "message.max.bytes": options["max_request_bytes"],
                "batch.size": options["batch_bytes"],
                "linger.ms": 5,
                # Else a fatal error is raised out of flush(), and no record's fate is told.
                "error_cb": lambda error: None,
                "reconnect.backoff.max.ms": 500,
                "message.timeout.ms": options["metadata_wait_ms"],
                # Else an unknown topic counts as "perhaps just being created" for 30 s.
                "topic.metadata.propagation.max.ms": options["metadata_wait_ms"] // 2,
            }
        )

    def send(self, records: list[Record]) -> None:
        for record in records:
            place = {} if record.partition is None else {"partition": record.partition}
            self._producer.produce(
                self._topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                timestamp=record.timestamp_ms or 0,
                on_delivery=lambda error, message, index=self._count: self._sent.update(
                    {index: _sent(error, message)}
                ),
                **place,
            )
            self._count += 1

    def finish(self) -> list[Sent]:
        self._producer.flush(OPERATION_TIMEOUT_S)
        if len(self._sent) < self._count:
            delivered = f"{len(self._sent)} of {self._count} records delivered"
            raise ClientError("TIMED_OUT", delivered)
        return [self._sent[index] for index in range(self._count)]

    def close(self) -> None:
        """Nothing to do: it ends with the object."""


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


def _consumer(bootstrap: str, settings: dict[str, Any]) -> Consumer:
    """A group id is compulsory here, even for a consumer that never commits."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # By default it waits up to 10 s before it tries a broker that restarts again.
            "reconnect.backoff.max.ms": 500,
            **settings,
        }
    )


def _start(consumer: Consumer, topic: str, partition: int, position: Position) -> int:
    if isinstance(position, int):
        return position
    if position == "earliest":
        return int(OFFSET_BEGINNING)
    if position == "latest":
        return _watermark(consumer, topic, partition, "latest")
    found = _offset_for_time(consumer, topic, partition, position[1])
    return _watermark(consumer, topic, partition, "latest") if found is None else found


def _watermark(consumer: Consumer, topic: str, partition: int, position: str) -> int:
    at = TopicPartition(topic, partition)
    low, high = consumer.get_watermark_offsets(at, timeout=OPERATION_TIMEOUT_S, cached=False)
    return int(low if position == "earliest" else high)


def _offset_for_time(consumer: Consumer, topic: str, partition: int, time_ms: int) -> int | None:
    wanted = [TopicPartition(topic, partition, time_ms)]
    [answer] = consumer.offsets_for_times(wanted, timeout=OPERATION_TIMEOUT_S)
    if answer.error is not None:
        raise client_error(answer.error)
    return answer.offset if answer.offset >= 0 else None


def _sent(error: KafkaError | None, message: Any) -> Sent:
    if error is not None:
        return Sent(error=client_error(error).name)
    return Sent(message.partition(), message.offset())


if __name__ == "__main__":
    serve(ConfluentDriver())
