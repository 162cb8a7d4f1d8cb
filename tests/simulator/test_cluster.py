"""A machine and its lives: what survives a stop, a kill and a power loss."""

import asyncio
import random

import pytest

from log.log_config import LogConfig
from simulator.cluster import Machine
from simulator.loop import SimulatedLoop
from simulator.network import Network
from tests.simulator.world_harness import TOPIC, Stage, play


def lives(scenario) -> Machine:
    """Play a scenario with a machine of its own."""
    loop = SimulatedLoop(random.Random(1))
    network = Network(loop, random.Random(2), lambda *each: None)
    settings = {"offsets.topic.num.partitions": "1"}
    asyncio.set_event_loop(loop)
    machine = Machine(loop, network, node_id=1, settings=settings, chance=random.Random(3))
    try:
        loop.run_until_complete(scenario(machine))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return machine


def test_a_stop_is_orderly_and_the_next_life_knows_it() -> None:
    async def scenario(machine: Machine) -> None:
        assert await machine.start()
        await machine.stop()
        assert not machine.is_running
        assert machine.broker is None
        assert await machine.start()
        await machine.stop()

    machine = lives(scenario)
    assert machine.lives == 2
    assert machine.failure == ""


def test_after_a_kill_or_a_power_loss_it_starts_on_what_survived() -> None:
    ends: list[str] = []

    async def scenario(machine: Machine) -> None:
        machine.on_dying = ends.append
        for end in (machine.kill, machine.crash, machine.kill):
            assert await machine.start(), machine.failure
            process, disk = machine.process, machine.disk
            end = machine.crash if end == machine.crash else machine.kill
            end()
            assert process.is_dead
            assert disk.is_dead
            assert not machine.is_running
        assert await machine.start(), machine.failure
        await machine.stop()

    lives(scenario)
    assert ends == ["killed", "power lost", "killed"]


@pytest.mark.parametrize("fails", [True, False])
def test_a_stop_whose_flush_failed_has_lost_what_the_page_cache_held(fails: bool) -> None:

    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        machine = stage.world.machine
        stage.partition.log.update_config(LogConfig(flush_messages=1000))
        stage.partition.config_changed()
        await stage.produce()
        assert stage.partition.log.recovery_point < stage.partition.log.log_end_offset
        told: list[bool] = []
        machine.account = lambda broker, *, pages_lost: told.append(pages_lost)
        if fails:
            machine.disk.fail("flush", f"*{TOPIC}-0/*.log")
        await machine.stop()
        assert told == [fails]

    play(scene)
