"""A data directory that has something of everything, left in each of the ways there are.

Two topics with rolled segments, idempotent producers and committed offsets; one of them with
deleted records, an aborted transaction and a segment that waits for its removal; a topic that was
deleted just before the end. It is made once; each cell works on a copy.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from simulator.clock import EPOCH_MS
from simulator.cluster import DATA, Machine
from simulator.disk import SimulatedDisk
from simulator.disk_faults import requests as ask
from simulator.disk_faults.kinds import LEDGER
from simulator.disk_faults.tampering import replace_content, write_back
from simulator.disk_faults.usage import GROUP, STEP_MS, TOPICS, Promised, Use
from simulator.loop import SimulatedLoop
from simulator.metadata_store import MetadataDisk
from simulator.network import Network
from wire.records.batch import build_batch
from wire.records.control import EndTransactionMarker, build_end_transaction_marker
from wire.records.record import Record

SETTINGS = {"offsets.topic.num.partitions": "1"}
TOPIC_SETTINGS = {"segment_ms": "500", "index_interval_bytes": "150"}
DELETED = 15
"""Where `ledger` starts: in the middle of a batch, in its second segment."""
UPKEEP_S = 400.0
"""In so long checkpoints are written and retention passes, with the intervals of Kafka."""

ResultT = TypeVar("ResultT")
Play = Callable[[Machine], Coroutine[None, None, ResultT]]


class When(Enum):
    RUNNING = "running"
    CLEAN = "stop"
    KILLED = "kill"
    POWER = "power"


@dataclass(frozen=True)
class Left:
    """What one life left behind."""

    disk: SimulatedDisk
    metadata: MetadataDisk
    promised: Promised

    def copy(self) -> Left:
        return Left(copy.deepcopy(self.disk), copy.deepcopy(self.metadata), self.promised.copy())


class _Least(random.Random):
    """The chance of a power cut after which nothing is there that was not flushed."""

    def choice(self, seq: Sequence[ResultT]) -> ResultT:  # type: ignore[override]
        return seq[0]

    def random(self) -> float:
        return 0.999


def run_world(play: Play[ResultT], seed: str = "matrix") -> ResultT:
    """Run it with a machine in a world of its own; whatever it raises comes out."""
    loop = SimulatedLoop(random.Random(f"{seed}/executor"))
    network = Network(loop, random.Random(f"{seed}/network"), lambda *_: None)
    machine = Machine(
        loop, network, node_id=1, settings=SETTINGS, chance=random.Random(f"{seed}/machine")
    )
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(play(machine))
    finally:
        tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


def make_scene() -> dict[When, Left]:
    """What a running broker starts on is what a clean stop left."""
    gc.disable()
    try:
        left = {when: run_world(_life(when)) for when in (When.CLEAN, When.KILLED, When.POWER)}
    finally:
        gc.enable()
    return left | {When.RUNNING: left[When.CLEAN]}


def _life(end: When) -> Play[Left]:
    async def play(machine: Machine) -> Left:
        assert await machine.start(), machine.failure
        promised = Promised()
        use = Use(machine.address, promised)
        client = await use.client()
        assert await ask.find_coordinator(client, GROUP) == 0
        for topic in TOPICS:
            await use.begin(topic, **TOPIC_SETTINGS)
            await use.produce(topic, 10)
        _abort_transaction(machine, promised)
        for topic in TOPICS:
            await use.produce(topic, 6)
            await use.commit(topic)
        await use.delete_records("ledger", DELETED)
        await asyncio.sleep(UPKEEP_S)
        replace_content(machine.disk, f"{LEDGER}/{0:020d}.500.log.aside", bytes(range(200)))
        for topic in TOPICS:
            await use.produce(topic, 9)
            await use.commit(topic)
        if end is When.POWER:
            write_back(machine.disk, DATA)
        for topic in TOPICS:
            await use.produce(topic)
            await use.commit(topic)
        await ask.create_topic(client, "gone")
        await ask.delete_topic(client, "gone")
        assert not use.errors, use.errors
        use.close()
        if end is When.CLEAN:
            await machine.stop()
            assert not machine.failure, machine.failure
        elif end is When.KILLED:
            machine.kill()
        else:
            machine._chance = _Least()
            machine.crash()
        await asyncio.sleep(1)
        return Left(machine.disk, machine.metadata, promised)

    return play


def _abort_transaction(machine: Machine, promised: Promised) -> None:
    """Transactions come with another version: here their records are put into the log as is."""
    assert machine.broker is not None
    partition = machine.broker.replicas.partition("ledger", 0)
    promised.batches += 1
    time_ms = EPOCH_MS + promised.batches * STEP_MS
    data = build_batch(
        [Record(0, time_ms, None, b"aborted", ())],
        producer_id=900,
        producer_epoch=0,
        base_sequence=0,
        is_transactional=True,
    )
    appended = partition.append_as_leader(
        memoryview(data), now_ms=time_ms, required_acks=1, transactional_id_given=True
    )
    promised.aborted["ledger", appended.base_offset] = 900
    marker = build_end_transaction_marker(
        EndTransactionMarker(is_commit=False, coordinator_epoch=0),
        producer_id=900,
        producer_epoch=0,
        timestamp_ms=time_ms,
    )
    partition.append_as_leader(memoryview(marker), now_ms=time_ms, required_acks=1, internal=True)
