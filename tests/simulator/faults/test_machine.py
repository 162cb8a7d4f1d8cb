"""A life ends at a moment or at an operation, while starting and stopping too."""

from __future__ import annotations

import pytest

from simulator.faults.machine import Trap
from tests.simulator.world_harness import Stage, play


@pytest.mark.parametrize(
    ("kind", "situation"),
    [("power loss", "power lost"), ("kill", "killed"), ("restart", "stopped")],
)
def test_a_life_ends_and_the_next_one_has_all(kind: str, situation: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        stage.fault(kind, number=1)  # this one does not wait for an answer
        await stage.serve()
        assert stage.partition.log.log_end_offset == 5

    assert play(scene).saw(situation) == 1


def test_the_power_goes_as_soon_as_somebody_was_answered() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        stage.nemesis.crash_after_answer(0)
        await stage.produce(1)
        await stage.wait(0.01)
        await stage.serve()
        assert stage.partition.log.log_end_offset == 1

    assert play(scene).saw("power lost after an answer") == 1


@pytest.mark.parametrize("number", range(12))
def test_a_life_ends_while_it_starts_or_stops(number: int) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        for kind in ("power loss while starting", "power loss while stopping"):
            stage.fault(kind, strength=number / 12, number=number)
            await stage.serve()
        stage.watch.look_deeply()
        assert stage.partition.high_watermark == 5

    assert play(scene).world.machine.lives >= 2


def test_a_trap_counts_what_it_may_take() -> None:
    trap = Trap("flush", "*.log", 1, "killed")
    assert not trap.takes("append", "a.log")
    assert not trap.takes("flush", "a.index")
    assert not trap.takes("flush", "a.log")
    assert trap.takes("flush", "b.log")


def test_a_trap_may_wait_at_several_places_and_for_what_comes_behind() -> None:
    trap = Trap("flush", "*.log", 0, "killed", later=1, others=(("remove", "*"),))
    assert not trap.takes("append", "a.log")
    assert not trap.takes("remove", "a.index")
    assert trap.takes("append", "a.log")
