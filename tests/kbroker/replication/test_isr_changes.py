"""Changes of the ISR on their way to a metadata store that loses, refuses and delays, and back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine

import pytest

from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import (
    AdmissionState,
    BrokerAdmission,
    BrokerRegistration,
    PartitionRecord,
    decode_partition,
    encode_admission,
    encode_partition,
    encode_registration,
)
from kbroker.cluster.metadata_store import (
    Delete,
    KeyValue,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
)
from kbroker.replication.isr_changes import MAX_IN_FLIGHT, IsrChanges
from kbroker.replication.partition import Partition
from simulator.loop import SimulatedLoop
from tests.kbroker.cluster.cluster_harness import pass_time
from tests.kbroker.replication.partition_harness import changed
from tests.log.log_harness import NOW, LogOnDisk, batch
from wire.errors import ErrorCode

KEYS = Keys("main")
LAG_MS = 10_000
TOPIC_ID = bytes(16)  # of the logs of the harness
RECORD = PartitionRecord(
    replicas=(1, 2, 3), leader=1, leader_epoch=4, isr=(1, 2), min_isr=1, partition_epoch=6
)


class Way:
    """The leader's way to the store. Mutable: `fate` is what befalls the next transactions."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.fates: list[str] = []
        self.transactions = 0
        self.most_at_once = 0
        self._at_once = 0
        self.late: list[tuple] = []

    async def get(self, key: str) -> KeyValue | None:
        return await self._store.get(key)

    async def transact(self, *arguments):
        self.transactions += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        fate = self.fates.pop(0) if self.fates else ""
        await asyncio.sleep(0)
        self._at_once -= 1
        if fate == "unavailable":
            raise StoreUnavailableError("cut off")
        if fate == "late":
            self.late.append(arguments)
            raise OutcomeUnknownError("no answer")
        result = await self._store.transact(*arguments)
        if fate == "answer lost":
            raise OutcomeUnknownError("no answer")
        return result

    async def arrive(self) -> bool:
        """What was late arrives now; whether it was applied."""
        return (await self._store.transact(*self.late.pop(0))).succeeded


class Scene:
    """Broker 1 leads `partitions` with 2 in sync and 3 not. Mutable."""

    def __init__(self) -> None:
        self.store = MemoryStore(random.Random(1))
        self.way = Way(self.store)
        self.epochs: dict[int, int] = {}
        self.partitions: list[Partition] = []
        self.is_member = True
        self.changes = IsrChanges(
            self.way,  # type: ignore[arg-type]
            KEYS,
            node_id=1,
            broker_epoch=lambda: self.epochs[1] if self.is_member else None,
            active=lambda: self.epochs,
            partitions=lambda: self.partitions,
            spawn=self.spawn,
            now=lambda: asyncio.get_running_loop().time(),
            lag_max_ms=lambda: LAG_MS,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def begin(self, count: int = 1) -> None:
        for broker in (1, 2, 3):
            await self.register(broker)
        for index in range(count):
            await self.store_record(RECORD, index)
            kv = await self.store.get(KEYS.partition(TOPIC_ID, index))
            partition = Partition(
                topic="topic",
                index=index,
                node_id=1,
                record=decode_partition(kv.value, kv.mod_revision),
                log=LogOnDisk().open(),
                high_watermark=0,
                arm_flush=lambda partition: None,
            )
            self.partitions.append(partition)

    async def register(self, broker: int, state: AdmissionState = AdmissionState.ACTIVE) -> None:
        """A life of the broker, admitted."""
        registration = encode_registration(BrokerRegistration(broker, bytes(16)))
        key = KEYS.broker(broker)
        await self.store.transact([], [Delete(key)])
        result = await self.store.transact([], [Put(key, registration)])
        admission = encode_admission(BrokerAdmission(result.revision, state))
        await self.store.transact([], [Put(KEYS.admission(broker), admission)])
        self.epochs = {**self.epochs, broker: result.revision}

    async def store_record(self, record: PartitionRecord, index: int = 0) -> None:
        key = KEYS.partition(TOPIC_ID, index)
        await self.store.transact([], [Put(key, encode_partition(record))])

    async def stored(self, index: int = 0) -> PartitionRecord:
        kv = await self.store.get(KEYS.partition(TOPIC_ID, index))
        assert kv is not None
        return decode_partition(kv.value, kv.mod_revision)

    def fetch(self, broker: int, end: int | None = None, *, index: int = 0) -> None:
        """As the handler of a follower's Fetch."""
        partition = self.partitions[index]
        offset = partition.log.log_end_offset if end is None else end
        now = asyncio.get_running_loop().time()
        if partition.fetched_by_follower(broker, self.epochs[broker], offset, 0, now=now):
            self.changes.note(partition)

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        while self.tasks:
            tasks, self.tasks = self.tasks, []
            await asyncio.gather(*tasks)

    def append(self, index: int = 0) -> None:
        partition = self.partitions[index]
        partition.append_as_leader(batch(b"x"), now_ms=NOW, required_acks=1)
        ticket = partition.prepare_flush()
        ticket.sync()
        partition.complete_flush(ticket)


def run(scenario) -> None:
    loop = SimulatedLoop(random.Random(1))
    try:
        loop.run_until_complete(scenario(Scene()))
    finally:
        loop.close()


def test_a_follower_that_has_caught_up_joins() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        scene.fetch(2)
        assert not scene.tasks, "a member has nothing to ask for"
        scene.fetch(3)
        scene.fetch(3)
        await scene.settle()
        record = await scene.stored()
        assert record == scene.partitions[0].record
        assert (record.isr, record.partition_epoch) == ((1, 2, 3), 7)
        assert scene.way.transactions == 1

    run(scenario)


def test_a_member_that_lags_is_taken_out_and_nobody_else() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        scene.append()
        scene.fetch(2, 0)
        await scene.changes.look_for_lag()
        await pass_time(LAG_MS / 1000 + 1)
        assert scene.partitions[0].high_watermark == 0
        await scene.changes.look_for_lag()
        await scene.settle()
        assert (await scene.stored()).isr == (1,)
        assert scene.partitions[0].high_watermark == 1, "recomputed at once (KAFKA-13091)"

    run(scenario)


@pytest.mark.parametrize("what", ["restarted", "draining", "gone"])
def test_who_is_not_that_admitted_incarnation_any_more_does_not_join(what: str) -> None:
    """Rule broker-epoch-compared (KIP-841, 903): whatever the leader knows of it."""

    async def scenario(scene: Scene) -> None:
        await scene.begin()
        known = scene.epochs
        if what == "gone":
            await scene.store.transact([], [Delete(KEYS.broker(3))])
        else:
            state = AdmissionState.DRAINING if what == "draining" else AdmissionState.ACTIVE
            await scene.register(3, state)
            known = scene.epochs if what == "draining" else known
        scene.epochs = known
        scene.fetch(3)
        await pass_time(1)
        assert (await scene.stored()).isr == (1, 2)
        transactions = scene.way.transactions
        assert 2 <= transactions <= 5, "tried again, ever more slowly"
        scene.epochs = {1: known[1], 2: known[2]}
        await scene.settle()
        assert scene.partitions[0].in_sync.maximal_isr() == (1, 2)

    run(scenario)


def test_a_change_that_comes_too_late_is_not_repeated_but_what_is_stored_adopted() -> None:
    """KAFKA-2729."""

    async def scenario(scene: Scene) -> None:
        await scene.begin()
        elsewhere = changed(RECORD, leader=2, leader_epoch=5)
        await scene.store_record(elsewhere)
        scene.fetch(3)
        await scene.settle()
        assert scene.way.transactions == 1
        assert not scene.partitions[0].is_leader
        assert scene.partitions[0].leader_epoch == 5

    run(scenario)


def test_an_answer_that_is_lost_is_found_by_reading_again() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        scene.way.fates = ["answer lost"]
        scene.fetch(3)
        await pass_time(0.01)
        assert scene.partitions[0].in_sync.maximal_isr() == (1, 2, 3)
        await scene.settle()
        assert scene.way.transactions == 1
        assert scene.partitions[0].record.isr == (1, 2, 3)

    run(scenario)


def test_a_proposal_still_under_way_counts_although_the_record_reads_as_before() -> None:
    """Rule unknown-outcome-kept: it is applied afterwards, and nothing was committed without 3."""

    async def scenario(scene: Scene) -> None:
        await scene.begin()
        partition = scene.partitions[0]
        scene.way.fates = ["late", "late"]
        scene.fetch(3)
        await pass_time(0.15)
        assert scene.way.transactions == 2, "read again, and proposed again"
        scene.append()
        scene.fetch(2)
        assert partition.high_watermark == 0, "broker 3 may be in the ISR"
        assert await scene.way.arrive()
        assert not await scene.way.arrive()
        await scene.settle()
        assert partition.record.isr == (1, 2, 3)
        assert partition.high_watermark == 0
        scene.fetch(3)
        assert partition.high_watermark == 1

    run(scenario)


def test_what_cannot_be_sent_is_sent_again_and_less_and_less_often() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        scene.way.fates = ["unavailable"] * 5
        scene.fetch(3)
        await pass_time(1)
        assert scene.way.transactions <= 4
        await scene.settle()
        assert scene.way.transactions == 6
        assert scene.partitions[0].record.isr == (1, 2, 3)

    run(scenario)


def test_who_is_no_member_of_the_cluster_proposes_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        scene.is_member = False
        scene.fetch(3)
        assert not scene.tasks
        scene.is_member = True
        scene.way.fates = ["unavailable"]
        scene.fetch(3)
        scene.is_member = False
        await scene.settle()
        assert (await scene.stored()).isr == (1, 2)
        assert scene.partitions[0].in_sync.maximal_isr() == (1, 2)

    run(scenario)


def test_a_topic_that_is_deleted_meanwhile_is_let_go() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        await scene.store.transact([], [Delete(KEYS.partition(TOPIC_ID, 0))])
        scene.fetch(3)
        await pass_time(1)
        scene.partitions[0].stop(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        await scene.settle()

    run(scenario)


def test_many_partitions_change_at_once_but_not_all() -> None:
    async def scenario(scene: Scene) -> None:
        count = 3 * MAX_IN_FLIGHT
        await scene.begin(count)
        for index in range(count):
            scene.fetch(3, index=index)
        await scene.settle()
        assert scene.way.most_at_once == MAX_IN_FLIGHT
        assert {each.record.isr for each in scene.partitions} == {(1, 2, 3)}
        assert scene.way.transactions == count

    run(scenario)


async def awaited(scene: Scene) -> list[ErrorCode]:
    """Broker 3 has caught up but for the high watermark; what a producer is told that waits."""
    await scene.begin()
    scene.append()
    scene.fetch(3, 0)
    scene.append()
    scene.fetch(2)
    scene.fetch(3, 1)  # where the end was at its last Fetch
    scene.append()
    scene.fetch(2)
    codes: list[ErrorCode] = []
    partition = scene.partitions[0]
    partition.when_acknowledged(2, -1, codes.append)
    assert (partition.high_watermark, scene.way.transactions) == (2, 0)
    return codes


def test_who_stalls_just_before_it_joins_holds_producers_up_no_longer_than_the_lag() -> None:
    async def scenario(scene: Scene) -> None:
        codes = await awaited(scene)
        await scene.changes.look_for_lag()
        scene.changes.brokers_changed()
        assert codes == []
        await pass_time(LAG_MS / 1000 + 1)
        await scene.changes.look_for_lag()
        assert codes == [ErrorCode.NONE]
        assert scene.partitions[0].record.isr == (1, 2)

    run(scenario)


def test_who_is_gone_just_before_it_joins_is_waited_for_no_longer() -> None:
    async def scenario(scene: Scene) -> None:
        codes = await awaited(scene)
        del scene.epochs[3]
        scene.changes.brokers_changed()
        assert codes == [ErrorCode.NONE]

    run(scenario)


def test_what_happens_during_a_change_is_looked_at_after_it() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin()
        await scene.store_record(changed(RECORD, isr=(1,)))
        scene.partitions[0].apply(await scene.stored())
        scene.fetch(2)
        scene.fetch(3)
        await scene.settle()
        assert (await scene.stored()).isr == (1, 2, 3)
        assert scene.way.transactions == 2

    run(scenario)


def test_a_broker_that_stops_sends_nothing_more() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.begin(MAX_IN_FLIGHT + 3)
        for index in range(len(scene.partitions)):
            scene.fetch(3, index=index)
        tasks = list(scene.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert scene.tasks == tasks

    run(scenario)
