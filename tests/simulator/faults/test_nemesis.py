"""Whoever makes the faults happen starts the broker again, and knows what explains an end."""

from __future__ import annotations

import asyncio

import pytest

from simulator.invariant_error import InvariantError
from tests.simulator.world_harness import Stage, play


def test_it_tends_the_broker_for_ever() -> None:
    async def scene(stage: Stage) -> None:
        tending = asyncio.create_task(stage.nemesis.tend())
        for _ in range(3):
            stage.world.machine.kill()
            await stage.wait(5)
            assert stage.world.machine.broker is not None
        tending.cancel()

    assert play(scene).world.machine.lives == 4


def test_a_broker_that_goes_down_for_no_reason_fails_the_run() -> None:
    async def scene(stage: Stage) -> None:
        broker = stage.world.machine.broker
        assert broker is not None
        broker.request_stop("I do not feel like it")
        await stage.wait(1)

    with pytest.raises(InvariantError, match="the broker went down: I do not feel like it"):
        play(scene)


def test_a_start_that_is_refused_for_no_reason_fails_the_run() -> None:
    async def scene(stage: Stage) -> None:
        machine = stage.world.machine
        stage.nemesis.at_next_start(lambda: machine.settings.update({"node.id": "2"}))
        stage.fault("kill")
        await stage.serve()

    with pytest.raises(InvariantError, match="the broker does not start"):
        play(scene)
