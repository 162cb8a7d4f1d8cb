"""confluent-kafka as a member of a group, and its group administration (see confluent.py)."""

from __future__ import annotations

from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from members import POLL_S
from protocol import OPERATION_TIMEOUT_S, ClientError, Received, error_name, plain_headers

RESETS = {"earliest": "earliest", "latest": "latest", "none": "error"}


class ConfluentMember:
    """Mutable: the consumer, which tells of its rebalances."""

    def __init__(self, bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> None:
        self.rebalances = 0
        self._topic = topic
        static = {"group.instance.id": options["instance"]} if options["instance"] else {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": options["client_id"],
                "enable.auto.commit": False,
                "auto.offset.reset": RESETS[options["reset"]],
                "partition.assignment.strategy": options["assignor"],
                "session.timeout.ms": options["session_ms"],
                "heartbeat.interval.ms": options["heartbeat_ms"],
                "reconnect.backoff.max.ms": 500,
                **static,
            }
        )
        self._consumer.subscribe([topic], on_assign=self._on_assign)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self.rebalances += 1

    def poll(self) -> list[Received]:
        return [received(message) for message in self._consumer.consume(500, POLL_S)]

    def assignment(self) -> list[int]:
        return sorted(at.partition for at in self._consumer.assignment())

    def commit(self) -> None:
        self._consumer.commit(asynchronous=False)

    def seek(self, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(self._topic, partition, offset))

    def committed(self, partition: int) -> int | None:
        wanted = [TopicPartition(self._topic, partition)]
        [found] = self._consumer.committed(wanted, timeout=OPERATION_TIMEOUT_S)
        return found.offset if found.offset >= 0 else None

    def position(self, partition: int) -> int:
        [found] = self._consumer.position([TopicPartition(self._topic, partition)])
        return int(found.offset)

    def close(self) -> None:
        self._consumer.close()


class ConfluentGroups:
    """The administration of groups. It deletes no offsets, and removes no members."""

    def list_groups(self, bootstrap: str) -> dict[str, str | None]:
        admin = _admin(bootstrap)  # its requests die with it
        listing = result_of(admin.list_consumer_groups())
        if listing.errors:
            raise client_error(listing.errors[0])
        return {each.group_id: _state(each.state) for each in listing.valid}

    def describe_group(self, bootstrap: str, group: str) -> dict[str, Any]:
        admin = _admin(bootstrap)
        found = result_of(admin.describe_consumer_groups([group])[group])
        return {
            "state": _state(found.state),
            "protocol": found.partition_assignor,
            "members": [
                [
                    member.client_id,
                    sorted(at.partition for at in member.assignment.topic_partitions),
                ]
                for member in found.members
            ],
        }

    def delete_group(self, bootstrap: str, group: str) -> None:
        admin = _admin(bootstrap)
        result_of(admin.delete_consumer_groups([group])[group])

    def group_offsets(self, bootstrap: str, group: str, topic: str) -> dict[int, int]:
        wanted = [ConsumerGroupTopicPartitions(group)]
        admin = _admin(bootstrap)
        found = result_of(admin.list_consumer_group_offsets(wanted)[group])
        return {at.partition: at.offset for at in found.topic_partitions if at.topic == topic}

    def alter_group_offsets(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, int]
    ) -> None:
        places = [TopicPartition(topic, partition, at) for partition, at in offsets.items()]
        wanted = [ConsumerGroupTopicPartitions(group, places)]
        admin = _admin(bootstrap)
        answer = result_of(admin.alter_consumer_group_offsets(wanted)[group])
        for at in answer.topic_partitions:
            if at.error is not None:
                raise client_error(at.error)


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


def _state(state: Any) -> str:
    """PREPARING_REBALANCING is librdkafka's own name of PreparingRebalance."""
    words = str(state.name).split("_")
    return "".join(word.capitalize() for word in words).replace("Rebalancing", "Rebalance")


def result_of(future: Any) -> Any:
    try:
        return future.result(OPERATION_TIMEOUT_S)
    except KafkaException as error:
        raise client_error(error.args[0]) from error


def client_error(error: KafkaError) -> ClientError:
    """librdkafka's own errors are negative, and -1 is both Kafka's and its own."""
    code = error.code()
    return ClientError(error_name(code if code >= -1 else None, error.name()), error.str())


def received(message: Any) -> Received:
    if message.error() is not None:
        raise client_error(message.error())
    return Received(
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=plain_headers(message.headers()),
    )
