"""Producers of the unchanged aiokafka library, with and without sequence numbers.

What the library gives up is unknown; one with sequence numbers is then made anew, under a name of
its own, as what follows a batch that was given up may be refused. That the broker has forgotten its
sequence numbers while nothing was lost is the broker's fault.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.history import at, shown
from simulator.invariant_error import InvariantError
from simulator.ledger import Bounds
from simulator.workload import aiokafka_client
from simulator.workload.aiokafka_client import Library, Metadata, Producer
from simulator.workload.requests import Partition
from simulator.workload.sending import Source

if TYPE_CHECKING:
    from simulator.world import World

REQUEST_TIMEOUT_MS = 12_000
RETRY_BACKOFF_MS = 500
METADATA_AGE_MS = 60_000
MOST_AT_ONCE = 4
LARGE_BYTES = 3_000
GLANCE_S = 0.2
"""How often is looked whether the broker is there."""


@dataclass(frozen=True, slots=True)
class Sent:
    """`life`: of the broker, when it was begun."""

    value: bytes
    partition: Partition
    since: Bounds
    life: int
    future: asyncio.Future[Metadata]


class AiokafkaProducer:
    """Mutable: `_clients` counts those that were made."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._source = Source(world, name, self._chance)
        self._library: Library = aiokafka_client.load()
        self._is_idempotent = self._chance.random() < 0.7
        self._clients = 0
        self._count = 0
        self._losses: dict[Partition, int] = {}

    async def prepare(self) -> None:
        self._world.ledger.producers_left += 1

    async def work(self) -> None:
        while not await self._one_client():
            pass
        self._world.ledger.producers_left -= 1

    async def check(self) -> None:
        pass

    async def _one_client(self) -> bool:
        """Until nothing more is to be sent (True), or it can go on no more."""
        client = self._make()
        if not await aiokafka_client.start(client, self._library):
            await asyncio.sleep(self._chance.uniform(0.5, 2))
            return False
        self._losses = {
            partition: self._world.ledger.bounds(partition).losses
            for partition in self._source.partitions
        }
        try:
            while True:
                was_finishing = self._world.finishing
                all_well = await self._burst(client)
                if was_finishing and all_well:
                    return True
                if self._is_idempotent and not all_well:
                    return False
                await self._rest()
        finally:
            await aiokafka_client.stop(client, self._library)

    async def _rest(self) -> None:
        """Until the next burst: sooner when the broker is gone, for what is sent then is sent on
        to its next life."""
        until_s = self._world.loop.now + self._source.pause_s()
        wants_a_fault = self._chance.random() < 0.5
        while self._world.loop.now < until_s:
            await asyncio.sleep(min(GLANCE_S, until_s - self._world.loop.now))
            if wants_a_fault and not self._world.machine.is_running:
                break

    def _make(self) -> Producer:
        self._clients += 1
        host, port = self._world.machine.address
        return self._library.producer(
            bootstrap_servers=f"{host}:{port}",
            client_id=f"{self.name}.{self._clients}",
            acks="all",
            enable_idempotence=self._is_idempotent,
            compression_type=self._chance.choice((None, None, None, "gzip")),
            linger_ms=self._chance.choice((0, 5)),
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            metadata_max_age_ms=METADATA_AGE_MS,
        )

    async def _burst(self, client: Producer) -> bool:
        """Send some and wait for their answers; whether all were acknowledged."""
        sent = [
            await self._send(client, self._chance.choice(self._source.partitions))
            for _ in range(self._chance.randint(1, MOST_AT_ONCE))
        ]
        fates = [each is not None and await self._is_acknowledged(each) for each in sent]
        return all(fates)

    async def _send(self, client: Producer, partition: Partition) -> Sent | None:
        """None: the library did not take it."""
        self._count += 1
        size = LARGE_BYTES if self._chance.random() < 0.1 else 40
        value = f"{self.name}/{self._count}".encode().ljust(size, b".")
        ledger, machine = self._world.ledger, self._world.machine
        ledger.history.sent(
            value,
            producer=f"{self.name}.{self._clients}",
            partition=partition,
            may_repeat=not self._is_idempotent,
        )
        since = ledger.bounds(partition)
        life = machine.lives if machine.is_running else -1
        topic, index = partition
        try:
            future = await client.send(
                topic, value, partition=index, timestamp_ms=machine.clock.now_ms()
            )
        except self._library.errors as error:
            self._failed(value, partition, error)
            return None
        return Sent(value, partition, since, life, future)

    async def _is_acknowledged(self, sent: Sent) -> bool:
        try:
            metadata = await sent.future
        except self._library.errors as error:
            self._failed(sent.value, sent.partition, error)
            return False
        if metadata.offset < 0:
            raise InvariantError(
                f"{self.name}: {shown(sent.value)} is said to be in {at(sent.partition, None)} "
                f"for long, and was sent now"
            )
        self._world.ledger.acknowledged(sent.value, sent.partition, metadata.offset, sent.since)
        self._world.counts["acknowledged"] += 1
        if sent.life != self._world.machine.lives:
            self._world.situations.saw("aiokafka produced through a fault")
        return True

    def _failed(self, value: bytes, partition: Partition, error: Exception) -> None:
        """InvariantError if it is the broker's memory that failed."""
        self._world.note(f"{self.name}: {shown(value)} is given up: {error!r}")
        self._world.counts["aiokafka gave up a record"] += 1
        ledger = self._world.ledger
        lost = ledger.bounds(partition).losses != self._losses[partition]
        lost = lost or partition in ledger.forgetful
        if isinstance(error, self._library.forgotten) and not lost:
            raise InvariantError(f"{self.name}: {shown(value)}: {error!r}, and nothing was lost")
