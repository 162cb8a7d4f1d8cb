"""What a shard is rebuilt from: slices of any size, and what cannot be read is passed over."""

from __future__ import annotations

import asyncio

import pytest

from coordinator.group.records import offset_commit_record
from kbroker.group_replay import RECORDS_TOGETHER, replay
from simulator.disk import SimulatedDisk
from tests.kbroker.broker_harness import World, run, running
from tests.kbroker.handlers.requests import Target, find_coordinator, offset_commit, offset_fetch
from wire.messages.offset_records import OffsetCommitKey, OffsetCommitValue
from wire.records.batch import build_batch
from wire.records.record import Record

GROUP_TOPIC = "__consumer_offsets"


def test_a_shard_that_does_not_fit_one_read_is_rebuilt_whole() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            for number in range(400):
                request = offset_commit(target, 8, group=f"g{number}", offset=number)
                request.topics[0].partitions[0].committed_metadata = "m" * 4000
                client.send(request, 8)
            for _ in range(400):
                await client.receive()
            client.close()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            for number in (0, 1, 200, 261, 262, 399):
                answer = await client.ask(offset_fetch(target, 8, group=f"g{number}"), 8)
                found = answer.groups[0].topics[0].partitions[0].committed_offset
                assert found == number
            client.close()

    run(scenario)


def test_nothing_is_replayed_that_is_not_committed_yet() -> None:
    """Rule 8: what only this leader has may be gone with it, after somebody was told of it."""

    async def scenario() -> None:
        world = World()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            await client.ask(offset_commit(target, 8, offset=1), 8)
            partition = broker.broker.replicas.partition(GROUP_TOPIC, 0)
            partition.epoch_start_offset = partition.high_watermark + 1
            replaying = asyncio.ensure_future(replay(Shard(), partition))  # type: ignore[arg-type]
            for _ in range(20):
                await asyncio.sleep(0)
            assert not replaying.done()
            await client.ask(offset_commit(target, 8, offset=2), 8)
            await replaying
            client.close()

    run(scenario)


class Shard:
    """Takes whatever is replayed."""

    def replay(self, key: bytes, value: bytes | None) -> None:
        pass


def test_an_unreadable_record_does_not_lock_groups_out() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            await client.ask(offset_commit(target, 8, offset=1), 8)
            partition = broker.broker.replicas.partition(GROUP_TOPIC, 0)
            for key in (b"\x00\x01\x00\x63", b"\x00", b"\x00\x63other"):
                partition.append_as_leader(
                    _keyed(key), now_ms=world.clock.now_ms(), required_acks=-1, internal=True
                )
            await client.ask(offset_commit(target, 8, group="h", offset=2), 8)
            # Nor is what stands behind it in its batch passed over.
            key = OffsetCommitKey(group="i", topic="t", partition=0)
            value = OffsetCommitValue(offset=3, metadata="", commit_timestamp=0, topic_id=bytes(16))
            good = offset_commit_record(key, value)
            bad = Record(0, 0, b"\x00\x01\x00\x63", b"value", ())
            batch = build_batch([bad, Record(1, 0, good.key, good.value, ())])
            partition.append_as_leader(
                memoryview(batch), now_ms=world.clock.now_ms(), required_acks=-1, internal=True
            )
            client.close()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            for group, offset in (("g", 1), ("h", 2), ("i", 3)):
                answer = await client.ask(offset_fetch(target, 8, group=group), 8)
                assert answer.groups[0].topics[0].partitions[0].committed_offset == offset
            client.close()

    run(scenario)


def test_a_commit_that_the_disk_has_changed_is_not_believed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One bit of the offset: the record is as readable as before, the checksum tells."""

    async def scenario() -> None:
        disk = SimulatedDisk()
        world = World(file_system=disk)
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(find_coordinator(target, 4), 4)
            for offset in (1000, 2000):
                await client.ask(offset_commit(target, 8, offset=offset), 8)
            path = broker.broker.replicas.partition(GROUP_TOPIC, 0).log.segments.active.path(".log")
            client.close()
        at = disk.read_file(path).rindex((2000).to_bytes(8, "big"))
        disk.corrupt(path, at + 3, b"\1")
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            answer = await client.ask(offset_fetch(target, 8), 8)
            assert answer.groups[0].topics[0].partitions[0].committed_offset == 1000
            client.close()

    run(scenario)
    assert "the checksum does not match" in caplog.text


def test_others_have_the_loop_between_a_few_records() -> None:
    """However many there are, in one batch or in many."""

    async def scenario() -> None:
        world = World()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            await client.ask(find_coordinator(Target("", b""), 4), 4)
            partition = broker.broker.replicas.partition(GROUP_TOPIC, 0)
            for count in (1000, *[1] * 1000):
                records = [Record(at, 0, b"\x00\x63other", b"", ()) for at in range(count)]
                partition.append_as_leader(
                    memoryview(build_batch(records)), now_ms=0, required_acks=-1, internal=True
                )
            shard = CountingShard()
            task = asyncio.ensure_future(replay(shard, partition))  # type: ignore[arg-type]
            before = most = 0
            while not task.done():
                await asyncio.sleep(0)
                most, before = max(most, shard.count - before), shard.count
            assert shard.count == 2000
            assert most <= RECORDS_TOGETHER
            client.close()

    run(scenario)


class CountingShard:
    """Counts what is replayed. Mutable."""

    def __init__(self) -> None:
        self.count = 0

    def replay(self, key: bytes, value: bytes | None) -> None:
        self.count += 1


def _keyed(key: bytes) -> memoryview:
    return memoryview(build_batch([Record(0, 0, key, b"value", ())]))
