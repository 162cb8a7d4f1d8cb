"""Connections are cut, slowed and left half-open; when that is over, everybody is served."""

from __future__ import annotations

import pytest

from simulator.client import ConnectionGoneError
from simulator.faults.kinds import KINDS
from tests.simulator.world_harness import Stage, play

KINDS_HERE = [kind for kind, what in KINDS.items() if what.__module__.endswith(".connections")]


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_who_tries_again_is_served(kind: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        client = await stage.client()
        stage.fault(kind, strength=0.3)
        for _ in range(20):
            try:
                await stage.send(client)
                await stage.wait(0.5)
            except ConnectionGoneError:
                client = await stage.client()
        await stage.wait(20)
        await stage.produce()
        await stage.serve()
        await stage.world.machine.stop()
        stage.watch.look_at_the_end()

    play(scene)


def test_a_cut_is_over_after_a_while() -> None:
    async def scene(stage: Stage) -> None:
        world = stage.world
        client = await stage.client()
        stage.fault("partition", strength=0.1)
        assert world.network.route("10.0.0.1", world.machine.host).is_cut
        await stage.wait(4)
        assert not world.network.route("10.0.0.1", world.machine.host).is_cut
        client.close()

    play(scene)
