"""aiokafka under a soak: producers with and without sequence numbers, members, a reader.

All of it is tasks of one event loop, in a thread of its own. As in confluent_load.py, an error
leaves a send unknown, and a producer that can go on no more is made anew under another name.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from tests.soak.scene import PARTITIONS, TOPIC, Scene, value_of

GROUP = "aiokafka-group"
FLUSH_S = 60.0
START_PAUSE_S = 0.5
SENDS_A_SECOND = 60
COMMIT_EVERY = 40
ERRORS = (KafkaError, OSError, TimeoutError, asyncio.TimeoutError)


def silence() -> None:
    """Its warnings about a broker that is gone are no news here."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


async def produce(scene: Scene, name: str, chance: random.Random, *, idempotent: bool) -> None:
    generation = 0
    while not scene.stop_sending.is_set():
        sender = _Sender(scene, f"{name}.{generation}", chance, idempotent=idempotent)
        generation += 1
        await sender.run()


class _Sender:
    """One producer, until it is told to stop or fails for good. Mutable."""

    def __init__(self, scene: Scene, name: str, chance: random.Random, *, idempotent: bool) -> None:
        self.scene = scene
        self.name = name
        self.chance = chance
        self.idempotent = idempotent
        self.failed = False
        self.open: set[asyncio.Future[Any]] = set()
        self.numbers = [0] * PARTITIONS
        self.producer = AIOKafkaProducer(
            bootstrap_servers=scene.bootstrap,
            client_id=name,
            acks="all",
            enable_idempotence=idempotent,
            compression_type=chance.choice([None, "gzip", "lz4", "zstd"]),
            linger_ms=5,
            request_timeout_ms=20_000,
        )

    async def run(self) -> None:
        if not await started(self.producer, self.scene.stop_sending.is_set):
            return
        try:
            while not self.failed and not self.scene.stop_sending.is_set():
                await self._send_one()
                await asyncio.sleep(self.chance.expovariate(SENDS_A_SECOND))
            if self.open:
                _, pending = await asyncio.wait(self.open, timeout=FLUSH_S)
                if pending:
                    words = f"{self.name} has {len(pending)} sends without an answer"
                    self.scene.broken.append(f"{words} after {FLUSH_S} s")
        finally:
            await stopped(self.producer)

    async def _send_one(self) -> None:
        partition = self.chance.randrange(PARTITIONS)
        size = 20_000 if self.chance.random() < 0.01 else self.chance.randrange(20, 300)
        value = value_of(self.name, partition, self.numbers[partition], size)
        self.numbers[partition] += 1
        self.scene.sent(value, self.name, partition, may_repeat=not self.idempotent)
        try:
            future = await self.producer.send(TOPIC, value, partition=partition)
        except ERRORS as error:
            self._failed(error)
            return
        self.open.add(future)
        future.add_done_callback(lambda done: self._done(done, value))

    def _done(self, future: asyncio.Future[Any], value: bytes) -> None:
        self.open.discard(future)
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self.scene.acknowledged(value, future.result().offset)
        else:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        """With sequence numbers, what follows a batch that was given up may be refused."""
        self.scene.count("unknown")
        if self.idempotent and not self.failed:
            self.failed = True
            self.scene.count("fatal errors of producers")
            self.scene.note(f"{self.name} is given up: {error!r}")


async def read(scene: Scene, name: str) -> None:
    consumer = _consumer(scene, name, None)
    if not await started(consumer, scene.stop_reading.is_set):
        return
    try:
        places = [TopicPartition(TOPIC, index) for index in range(PARTITIONS)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        while not scene.stop_reading.is_set():
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found = [(record.offset, record.value) for record in records]
                scene.polled(name, place.partition, found)
    finally:
        await stopped(consumer)


async def be_a_member(scene: Scene, name: str, is_to_leave: Callable[[], bool]) -> None:
    consumer = _consumer(scene, name, GROUP)
    member = _Member(scene, name, consumer)
    if not await started(consumer, is_to_leave):
        return
    try:
        consumer.subscribe([TOPIC], listener=member)
        while not is_to_leave():
            await member.poll()
        await member.commit()
    finally:
        await stopped(consumer)


class _Member(ConsumerRebalanceListener):
    """Mutable: its assignments are counted, each is another reader."""

    def __init__(self, scene: Scene, name: str, consumer: AIOKafkaConsumer) -> None:
        self.scene = scene
        self.name = name
        self.consumer = consumer
        self.assignments = 0
        self.polled = 0
        self.next_offsets: dict[int, int] = {}

    async def poll(self) -> None:
        before = self.assignments
        found = await self.consumer.getmany(timeout_ms=200, max_records=50)
        for place, records in found.items():
            pairs = [(record.offset, record.value) for record in records]
            if self.assignments == before:
                reader = f"{self.name}/{before}"
                self.next_offsets[place.partition] = pairs[-1][0] + 1
            else:
                reader = f"{self.name}/{before}, revoked meanwhile"
            self.scene.polled(reader, place.partition, pairs, GROUP)
            self.polled += len(pairs)
        if self.polled >= COMMIT_EVERY or (not found and self.next_offsets):
            await self.commit()

    async def commit(self) -> None:
        if not self.next_offsets:
            return
        offsets, self.next_offsets, self.polled = self.next_offsets, {}, 0
        commits = self.scene.committing(GROUP, offsets, f"{self.name}/{self.assignments}")
        wanted = {TopicPartition(TOPIC, index): offset for index, offset in offsets.items()}
        before = self._membership()
        try:
            await self.consumer.commit(wanted)
        except IllegalStateError:
            self.scene.refused(commits)  # it is assigned no more, and nothing was sent
        except ERRORS:
            self.scene.count("unknown commits")
            if before[1] == "" or self._membership()[1] != before[1]:
                self.scene.strayed(commits, is_acknowledged=False)
        else:
            if before[1] and self._membership() == before:
                self.scene.committed(commits)
            else:
                self.scene.strayed(commits, is_acknowledged=True)

    def _membership(self) -> tuple[int, str]:
        """Generation and member id. aiokafka resets them where a heartbeat is refused, and what it
        commits from then on until it has joined again, retries too, has no generation; a retry
        after that has the next one."""
        coordinator = self.consumer._coordinator
        return coordinator.generation, coordinator.member_id

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self.commit()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.assignments += 1
        self.next_offsets.clear()
        self.scene.count("assignments")


def _consumer(scene: Scene, name: str, group: str | None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=scene.bootstrap,
        client_id=name,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        fetch_max_wait_ms=100,
        request_timeout_ms=20_000,
    )


async def started(client: Any, is_over: Callable[[], bool]) -> bool:
    """It connects at its start, and gives up where there is no broker: so again and again."""
    while not is_over():
        try:
            await client.start()
        except ERRORS:
            await asyncio.sleep(START_PAUSE_S)
        else:
            return True
    return False


async def stopped(client: Any) -> None:
    """A stop that waits for a broker which is gone is given up."""
    try:
        await asyncio.wait_for(client.stop(), FLUSH_S)
    except ERRORS:
        return
