"""confluent-kafka under a soak: idempotent producers, members of a group, a reader that assigns.

Each is a thread with its own handle. A delivery report with an error leaves a send unknown; after a
fatal error the producer is made anew, under another name.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from tests.soak.scene import PARTITIONS, TOPIC, Scene, value_of

GROUP = "confluent-group"
FLUSH_S = 60.0
COMMIT_EVERY = 40
SENDS_A_SECOND = 60
COMMON = {
    "reconnect.backoff.max.ms": 500,
    "socket.timeout.ms": 10_000,
    "log_level": 2,  # that a broker is gone is no news here
}


def produce(scene: Scene, name: str, chance: random.Random) -> None:
    """Until told to stop; then every report must come within a bound."""
    generation = 0
    while not scene.stop_sending.is_set():
        _Sender(scene, f"{name}.{generation}", chance).run()
        generation += 1


class _Sender:
    """One handle, until it is told to stop or has a fatal error. Mutable."""

    def __init__(self, scene: Scene, name: str, chance: random.Random) -> None:
        self.scene = scene
        self.name = name
        self.chance = chance
        self.is_fatal = False
        self.numbers = [0] * PARTITIONS
        self.producer = Producer(
            {
                "bootstrap.servers": scene.bootstrap,
                "client.id": name,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": chance.choice(["none", "lz4", "zstd", "snappy"]),
                "delivery.timeout.ms": 60_000,
                "request.timeout.ms": 10_000,
                "error_cb": self._on_error,
                **COMMON,
            }
        )

    def run(self) -> None:
        while not self.is_fatal and not self.scene.stop_sending.is_set():
            self._send_one()
            self.producer.poll(0)
            self.scene.stop_sending.wait(self.chance.expovariate(SENDS_A_SECOND))
        if self.is_fatal:
            self.scene.count("fatal errors of producers")
            self.scene.note(f"{self.name} had a fatal error and is given up")
            self.producer.purge()
        if self.producer.flush(FLUSH_S):
            self.scene.broken.append(f"{self.name} has sends without a report after {FLUSH_S} s")

    def _send_one(self) -> None:
        partition = self.chance.randrange(PARTITIONS)
        size = 20_000 if self.chance.random() < 0.01 else self.chance.randrange(20, 300)
        value = value_of(self.name, partition, self.numbers[partition], size)
        self.numbers[partition] += 1
        self.scene.sent(value, self.name, partition, may_repeat=False)
        while not self.is_fatal and not self.scene.stop_sending.is_set():
            try:
                self.producer.produce(
                    TOPIC, value, partition=partition, on_delivery=self._on_delivery
                )
            except BufferError:
                self.producer.poll(0.1)
            except KafkaException as error:
                self.is_fatal = True
                self.scene.note(f"{self.name}: {error}")
            else:
                return

    def _on_delivery(self, error: Any, message: Any) -> None:
        if error is None:
            self.scene.acknowledged(message.value(), message.offset())
        else:
            self.scene.count("unknown")

    def _on_error(self, error: Any) -> None:
        if error.fatal():
            self.is_fatal = True
            self.scene.note(f"{self.name}: {error}")


def read(scene: Scene, name: str, chance: random.Random) -> None:
    """All partitions, by assignment, from the beginning."""
    with closing(_consumer(scene, name, "unused")) as consumer:
        consumer.assign([TopicPartition(TOPIC, index, 0) for index in range(PARTITIONS)])
        while not scene.stop_reading.is_set():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                record = (message.offset(), message.value())
                scene.polled(name, message.partition(), [record])


def be_a_member(scene: Scene, name: str, is_to_leave: Callable[[], bool]) -> None:
    """Polls and commits what it polled, until it is to leave."""
    member = _Member(scene, name)
    with closing(member.consumer):
        while not is_to_leave():
            member.poll()
        scene.note(f"{name} commits and leaves")  # where it does not come to an end: in which
        member.commit()
        scene.note(f"{name} closes")


class _Member:
    """Mutable: its assignments are counted, each is another reader."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.name = name
        self.assignments = 0
        self.polled = 0
        self.next_offsets: dict[int, int] = {}
        self.consumer = _consumer(scene, name, GROUP)
        self.consumer.subscribe([TOPIC], on_assign=self._on_assign, on_revoke=self._on_revoke)

    def poll(self) -> None:
        message = self.consumer.poll(0.2)
        if message is not None and message.error() is None:
            reader = f"{self.name}/{self.assignments}"
            record = (message.offset(), message.value())
            self.scene.polled(reader, message.partition(), [record], GROUP)
            self.next_offsets[message.partition()] = message.offset() + 1
            self.polled += 1
        if self.polled >= COMMIT_EVERY or (message is None and self.next_offsets):
            self.commit()

    def commit(self) -> None:
        if not self.next_offsets:
            return
        offsets, self.next_offsets, self.polled = self.next_offsets, {}, 0
        commits = self.scene.committing(GROUP, offsets, f"{self.name}/{self.assignments}")
        wanted = [TopicPartition(TOPIC, index, offset) for index, offset in offsets.items()]
        try:
            answers = self.consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException:
            self.scene.count("unknown commits")
            return
        good = {answer.partition for answer in answers if answer.error is None}
        self.scene.committed([each for each in commits if each.register[1][1] in good])

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self.assignments += 1
        self.next_offsets.clear()
        self.scene.count("assignments")

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self.commit()


def read_whole(scene: Scene, seconds: float) -> dict[int, list[tuple[int, bytes]]]:
    """Every partition from its start to its end, by assignment."""
    found: dict[int, list[tuple[int, bytes]]] = {index: [] for index in range(PARTITIONS)}
    with closing(_consumer(scene, "final", "unused")) as consumer:
        ends = {}
        for index in range(PARTITIONS):
            place = TopicPartition(TOPIC, index)
            _, ends[index] = consumer.get_watermark_offsets(place, timeout=seconds, cached=False)
        consumer.assign([TopicPartition(TOPIC, at, OFFSET_BEGINNING) for at in range(PARTITIONS)])
        missing = sum(ends.values())
        while missing > 0:
            messages = consumer.consume(min(missing, 1000), seconds)
            assert messages, f"the final read ends {missing} records before the end"
            for message in messages:
                assert message.error() is None, message.error()
                found[message.partition()].append((message.offset(), message.value()))
                missing -= 1
    return found


def _consumer(scene: Scene, name: str, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": scene.bootstrap,
            "client.id": name,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 100,
            "error_cb": lambda error: None,
            **COMMON,
        }
    )
