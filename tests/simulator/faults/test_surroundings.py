"""The wall clock steps, the processor is slow, the metadata store refuses."""

from __future__ import annotations

from simulator.faults.surroundings import MOST_OFF_MS
from tests.simulator.world_harness import Stage, play


def test_clocks_step_both_ways_and_stay_within_a_week() -> None:
    async def scene(stage: Stage) -> None:
        clock = stage.world.machine.clock
        for number in range(60):
            stage.fault("clock step", strength=0.9, number=number)
            assert abs(clock.offset_ms) <= MOST_OFF_MS
        before_ms = clock.now_ms()
        stage.fault("clock drift", strength=1.0)
        assert clock.now_ms() == before_ms
        await stage.wait(10)
        assert clock.now_ms() - before_ms == 11_000

    stage = play(scene)
    assert stage.saw("clock stepped forward")
    assert stage.saw("clock stepped back")


def test_a_slow_processor_and_a_pause_are_over_after_a_while() -> None:
    async def scene(stage: Stage) -> None:
        loop = stage.world.loop
        usual_s, now = loop.creep_s, loop.now
        stage.fault("slow processor", strength=0.5)
        assert loop.creep_s > 0.01 > usual_s
        stage.fault("pause", strength=1.0)
        assert loop.now > now + 20
        await stage.wait(20)
        assert loop.creep_s == usual_s

    play(scene)


def test_a_start_goes_on_after_a_commit_that_failed() -> None:
    async def scene(stage: Stage) -> None:
        for kind in ("metadata refused", "metadata unknown"):
            stage.fault(kind)
            stage.fault("kill")
            await stage.nemesis._keep_running(until=stage.world.loop.now + 20)
            assert stage.nemesis._serves

    stage = play(scene)
    assert stage.saw("metadata refused") == stage.saw("metadata unknown") == 1
