"""Who takes part is drawn, has a name of its own, and can be left out."""

from simulator.workload.drawing import draw_workers
from tests.simulator.workload.lying import honest_run
from tests.simulator.world_harness import play


def test_everybody_has_a_name_of_its_own() -> None:
    async def scene(stage) -> None:
        names = [worker.name for worker in draw_workers(stage.world)]
        assert len(set(names)) == len(names)
        assert {"final", "group-0-member-1", "committer-0", "record-deleter"} <= set(names)

    play(scene, groups=1, members=2, committers=1, admins=2)


def test_a_run_goes_on_without_one() -> None:
    everybody = {"producers": 2, "groups": 1}
    without = ("worker:group-0-member-0", "worker:producer-1")
    report = honest_run(without=without, **everybody)
    assert report.failure is None
    assert set(honest_run(**everybody).workers) - set(report.workers) == {
        "group-0-member-0",
        "producer-1",
    }
