"""Each invariant of the state holds in a run, and notices when it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kbroker.replication.partition import Partition
from simulator.invariant_error import InvariantError
from tests.simulator.world_harness import Stage, play


def broken(change: Callable[[Partition], None]) -> str:
    """What is said once a partition was changed so, behind everyone's back."""

    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        stage.watch.look()
        change(stage.partition)
        stage.watch.look()

    with pytest.raises(InvariantError) as raised:
        play(scene)
    return str(raised.value)


def test_a_broker_that_is_used_and_restarted_breaks_none() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        for kind in ("restart", "kill", "power loss"):
            await stage.produce()
            stage.watch.look_deeply()
            stage.fault(kind)
            await stage.serve()
        stage.watch.look_deeply()
        assert len(stage.partition.log.segments) > 1
        await stage.world.machine.stop()
        stage.watch.look_at_the_end()

    assert play(scene).world.counts["looks at the state"] >= 4


def test_a_high_watermark_past_what_is_durable() -> None:
    def change(partition: Partition) -> None:
        partition.log.flushing.recovery_point = 3

    assert "durable is what lies below 3" in broken(change)


def test_a_high_watermark_past_the_log_end() -> None:
    def change(partition: Partition) -> None:
        partition.high_watermark = 99

    assert "start, stable, high watermark and end are [0, 99, 99, 5]" in broken(change)


def test_an_offset_that_falls_within_a_life() -> None:
    def change(partition: Partition) -> None:
        partition.high_watermark = 4

    assert "high_watermark fell" in broken(change)


def test_a_durable_end_that_the_disk_does_not_know() -> None:
    def change(partition: Partition) -> None:
        log = partition.log
        log.log_end_offset = log.flushing.recovery_point = 6

    assert "t-0 is durable up to 5, and says 6" in broken(change)


def test_a_history_of_epochs_that_does_not_ascend() -> None:
    def change(partition: Partition) -> None:
        partition.log.leader_epochs._epochs[:] = [3, 2]
        partition.log.leader_epochs._starts[:] = [0, 1]

    assert "leader epochs do not ascend" in broken(change)


def test_a_log_start_that_falls_over_lives() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        machine = stage.world.machine
        assert machine.broker is not None
        stage.partition.log.advance_log_start(3)
        await machine.broker.replicas.write_log_starts()
        stage.watch.look()
        stage.fault("power loss", number=1)
        machine.disk.remove("/data/log-start-offset-checkpoint")
        machine.disk.sync_directory("/data")
        await stage.serve()
        stage.watch.look()

    with pytest.raises(InvariantError, match="log start fell from 3 to 0"):
        play(scene)


def test_two_lives_that_lead_in_one_epoch() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        stage.watch.look()
        key = stage.partition.log.topic_id, 0
        stage.watch._epochs[key] = 9
        stage.fault("restart")
        await stage.serve()
        stage.watch.look()

    with pytest.raises(InvariantError, match="two lives lead in epoch 1"):
        play(scene)


def test_a_file_that_stays_open() -> None:
    async def scene(stage: Stage) -> None:
        stage.world.machine.disk.open("/data/meta.properties")
        await stage.world.machine.stop()
        stage.watch.look_at_the_end()

    with pytest.raises(InvariantError, match=r"meta\.properties"):
        play(scene)


def test_memory_of_connections_that_is_not_given_back() -> None:
    async def scene(stage: Stage) -> None:
        stage.watch.look()
        broker = stage.world.machine.broker
        assert broker is not None
        broker.server.memory._used_bytes = 10
        await stage.world.machine.stop()
        stage.watch.look_at_the_end()

    with pytest.raises(InvariantError, match="10 bytes are in use"):
        play(scene)


def test_a_task_of_a_dead_life() -> None:
    async def scene(stage: Stage) -> None:
        stage.world.machine.ended_lives.append(stage.world.loop.create_task(stage.nemesis.tend()))
        await stage.world.machine.stop()
        stage.watch.look_at_the_end()

    with pytest.raises(InvariantError, match="its tasks still wait"):
        play(scene)
