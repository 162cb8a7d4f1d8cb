"""What a shard is rebuilt from: slices of any size, and what cannot be read is passed over."""

from __future__ import annotations

from tests.kbroker.broker_harness import World, run, running
from tests.kbroker.handlers.requests import Target, find_coordinator, offset_commit, offset_fetch
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
            client.close()
        async with running(world, offsets_topic_num_partitions="1") as broker:
            client = await broker.client()
            for group, offset in (("g", 1), ("h", 2)):
                answer = await client.ask(offset_fetch(target, 8, group=group), 8)
                assert answer.groups[0].topics[0].partitions[0].committed_offset == offset
            client.close()

    run(scenario)


def _keyed(key: bytes) -> memoryview:
    return memoryview(build_batch([Record(0, 0, key, b"value", ())]))
