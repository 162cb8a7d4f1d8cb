"""What is held in memory is compared with a replay of the log, and a difference is told."""

from __future__ import annotations

from dataclasses import replace

from simulator.replays import wrong_groups, wrong_producers
from tests.simulator.world_harness import Stage, play
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)


def test_producers_after_a_restart_and_forgotten_ones() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        stage.fault("restart")
        await stage.serve()
        machine = stage.world.machine
        now_ms = machine.clock.now_ms()
        assert wrong_producers(stage.partition, machine.disk, now_ms) == ""
        entries = stage.partition.log.producer_state._entries
        entry = entries.pop(7)
        assert "has forgotten" in wrong_producers(stage.partition, machine.disk, now_ms)
        entries[7] = replace(entry, producer_epoch=1)
        assert "t-0 holds" in wrong_producers(stage.partition, machine.disk, now_ms)

    play(scene)


def test_an_offset_that_no_record_says() -> None:
    async def scene(stage: Stage) -> None:
        broker = stage.world.machine.broker
        assert broker is not None
        await stage.create_topic()
        groups = broker.services.group_coordinator
        await groups.ensure_topic()
        client = await stage.client()
        partition = OffsetCommitRequestPartition(
            partition_index=0, committed_offset=3, committed_metadata=None
        )
        topic = OffsetCommitRequestTopic(name="t", partitions=[partition])
        request = OffsetCommitRequest(
            group_id="g", generation_id_or_member_epoch=-1, member_id="", topics=[topic]
        )
        answer = await client.send(request, 8, OffsetCommitResponse)
        assert answer.topics[0].partitions[0].error_code == 0
        disk = stage.world.machine.disk
        assert wrong_groups(groups, disk) == ""
        hosted = next(iter(groups._shards.values()))
        hosted.shard.offsets.remove("g", "t", 0)
        assert "group g has committed" in wrong_groups(groups, disk)

    play(scene)
