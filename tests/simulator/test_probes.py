"""What a life was at when it ended is told by name."""

from __future__ import annotations

from simulator.faults.machine import Trap
from tests.simulator.world_harness import Stage, play


def ended_at(operation: str, pattern: str, how: str = "power lost", skip: int = 0) -> Stage:
    """A producer is at work, and the life ends at this operation."""

    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce(1)
        stage.nemesis.set_trap(Trap(operation, pattern, skip, how), 100.0)
        client = await stage.client()
        for _ in range(20):
            stage.send(client)
            await stage.wait(0.3)
        await stage.serve()
        stage.watch.look_deeply()

    stage = play(scene)
    assert stage.saw(how) == 1
    return stage


def test_between_append_and_flush() -> None:
    assert ended_at("flush", "*.log").saw("between append and flush")


def test_amid_a_roll() -> None:
    assert ended_at("open", "*.log").saw("before a new segment's file")
    assert ended_at("append", "*index").saw("between append and index write")


def test_amid_a_checkpoint() -> None:
    assert ended_at("flush", "*-checkpoint.tmp", "killed").saw("amid a checkpoint")
    assert ended_at("rename", "*-checkpoint.tmp").saw("checkpoint not renamed")
    assert ended_at("rename", "*.snapshot.tmp").saw("amid a snapshot")


def test_what_the_broker_was_at_is_read_from_its_objects() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce(3)
        client = await stage.client()
        stage.send(client)
        flusher = stage.world.machine.flusher
        assert flusher is not None
        while not flusher.under_way:
            await stage.wait(0)
        stage.fault("kill")

    stage = play(scene)
    for name in ("killed", "flush under way", "waiters for a flush", "producers known"):
        assert stage.saw(name) == 1, name
    assert not stage.saw("fetches parked")


def test_a_failed_fsync_for_which_producers_wait() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        stage.world.machine.disk.fail("flush", "*.log", count=1)
        client = await stage.client()
        stage.send(client)
        await stage.wait(1)
        await stage.serve()

    stage = play(scene)
    assert stage.saw("fsync failed with waiters") == stage.saw("went down by itself") == 1


def test_a_half_open_connection_is_noticed_when_it_is_written_to() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        client = await stage.client()
        stage.send(client)
        await stage.wait(0)
        stage.fault("half-open", 1.0)
        await stage.wait(1)
        stage.probes.look()

    assert play(scene).saw("half-open noticed") == 1
