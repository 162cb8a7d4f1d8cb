"""A log read a piece at a time: what is appended, and what was cut."""

from simulator.log_scan import LogScan
from tests.simulator.world_harness import Stage, play


def test_what_is_appended_is_found_over_all_segments() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        disk, log = stage.world.machine.disk, stage.partition.log
        scan = LogScan(log)
        assert scan.update(disk) == []
        for count in (1, 25, 1):
            await stage.produce(count)
            found = list(scan.update(disk))
        assert [each.base_offset for each in found] == list(range(27))
        assert {each.leader_epoch for each in found} == {stage.partition.leader_epoch}
        assert len(list(log.segments)) > 1
        assert found == LogScan(log).update(disk)
        assert scan.cuts == 0

    play(scene)


def test_what_was_cut_is_there_no_more_and_what_took_its_place_is() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        disk, log = stage.world.machine.disk, stage.partition.log
        await stage.produce(5)
        scan = LogScan(log)
        before = list(scan.update(disk))
        log.truncate_to(3)
        assert scan.update(disk) == before[:3]
        assert scan.cuts == 1

    play(scene)
