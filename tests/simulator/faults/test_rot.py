"""A bit of an acknowledged record changes at rest: the start refuses, and both ways out work."""

from __future__ import annotations

import pytest

from log.flushed_ends import FLUSHED_ENDS
from simulator.cluster import DATA
from simulator.faults import rot
from simulator.invariant_error import InvariantError
from tests.simulator.world_harness import TOPIC, Stage, play


def after_rot(number: int) -> Stage:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        stage.world.ledger.promise((TOPIC, 0), is_flushed=True)
        stage.fault("rotten record", number=number)
        await stage.serve()
        stage.watch.look()
        stage.world.counts["log end"] = stage.partition.log.log_end_offset

    stage = play(scene)
    assert stage.saw("record rotted") == stage.saw("damage refused") == 1
    return stage


def test_the_file_comes_back_from_a_copy_or_the_loss_is_accepted() -> None:
    outcomes = [after_rot(number) for number in range(8)]
    accepted = [each for each in outcomes if each.saw("loss accepted")]
    restored = [each for each in outcomes if not each.saw("loss accepted")]
    assert accepted
    assert restored
    assert all(each.world.counts["log end"] == 5 for each in restored)
    assert all(each.world.counts["log end"] < 5 for each in accepted)
    assert all(each.world.ledger.promises[TOPIC, 0].losses == 1 for each in accepted)


def test_no_record_rots_of_which_the_hint_does_not_speak() -> None:
    """Where it could not be written, recovery is known to know less."""

    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        chance = stage.world.chance("test")
        assert rot.choose(stage.world, chance) is not None
        stage.world.machine.disk.remove(f"{DATA}/{FLUSHED_ENDS}")
        assert rot.choose(stage.world, chance) is None

    play(scene)


def test_a_start_that_does_not_notice_fails_the_run() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        await stage.produce()
        found = rot.choose(stage.world, stage.world.chance("test"))
        assert found is not None
        stage.nemesis._rot = found  # and no bit is changed
        stage.fault("kill")
        await stage.serve()

    with pytest.raises(InvariantError, match="the broker has started on it"):
        play(scene)
