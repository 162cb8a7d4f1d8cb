"""The disk refuses, fills up and forgets: the broker serves again, and nothing is missing."""

from __future__ import annotations

import pytest

from simulator.client import ConnectionGoneError
from simulator.faults import storage
from simulator.faults.kinds import KINDS
from tests.simulator.world_harness import Stage, play

REFUSALS = [
    "failed fsync",
    "append refused",
    "torn append",
    "read refused",
    "open refused",
    "rename refused",
    "directory sync refused",
    "disk full",
    "slow disk",
    "rotten cache",
]


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_was_acknowledged_outlives_it(kind: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        acknowledged = 0
        for number in range(4):
            stage.fault(kind, strength=0.1 * number, number=number)
            try:
                client = await stage.client()
                answers = [stage.send(client) for _ in range(4)]
                for answer in answers:
                    told = (await answer).responses[0].partition_responses[0]
                    if told.error_code == 0:
                        acknowledged = max(acknowledged, told.base_offset + 1)
            except ConnectionGoneError:
                await stage.wait(1)
            await stage.serve()
        stage.fault("power loss", number=1)
        await stage.serve()
        stage.watch.look_deeply()
        assert stage.partition.high_watermark >= acknowledged

    play(scene)


def test_these_are_all_of_the_disk() -> None:
    here = [kind for kind, what in KINDS.items() if what.__module__.endswith(".storage")]
    assert here == [*REFUSALS, "rotten record"]


def test_a_full_disk_has_room_again() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        stage.fault("disk full", strength=0.2)
        assert stage.world.machine.disk.capacity_bytes is not None
        await stage.wait(5)
        assert stage.world.machine.disk.capacity_bytes is None

    play(scene)


def test_a_snapshot_at_the_first_segment_is_no_cache() -> None:
    """Of producers whose records are gone nothing else is known."""
    logs = ["/data/t-0/00000000000000000007.log", "/data/t-0/00000000000000000009.log"]
    first, second = "/data/t-0/00000000000000000007.snapshot", logs[1].replace("log", "snapshot")
    gone = "/data/t-0/00000000000000000003.log.deleted"
    paths = sorted([*logs, first, second, gone, "/data/t-10/00000000000000000000.log"])
    assert [path for path in paths if storage._is_no_cache(path, paths)] == [first]
