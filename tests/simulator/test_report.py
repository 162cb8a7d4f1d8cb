"""What is told of runs."""

from simulator.many import Outcome
from simulator.plan import Plan
from simulator.report import Totals, after, before, failures_told, kind_of
from simulator.run import Report
from simulator.situations import CLUSTER, SITUATIONS

NAME = next(iter(SITUATIONS))


def report(failure: str | None = None, **situations: int) -> Report:
    counts = {"acknowledged": 5, "fault: kill": 1}
    phases = {"safety": 0.0, "liveness": 30.0}
    return Report(Plan.draw(1), "abc", 60.0, situations, counts, failure, ("said",), (), phases)


def test_a_run_is_told_with_every_option_and_fault() -> None:
    plan = Plan.draw(4, (("partitions", "2"),))
    text = before(plan)
    assert text.startswith("seed 4, commit ")
    assert "partitions=2 (given)" in " ".join(text.split())
    assert all(str(fault) in text for fault in plan.faults)


def test_what_came_of_it() -> None:
    text = after(Outcome(report(), 0.5))
    assert "safety until 30.0 s, liveness until 60.0 s" in text
    assert "120 x real time" in text
    assert text.endswith("passed")


def test_a_failure_is_told_with_the_command_that_replays_it() -> None:
    text = after(Outcome(report("InvariantError: gone"), 0.5))
    assert "FAILED    InvariantError: gone" in text
    assert "  said" in text
    assert text.splitlines()[-1].endswith("python -m simulator --seed 1")


def test_failures_of_a_kind_differ_in_numbers_only() -> None:
    assert kind_of("E: lost-write: 17 at 3.5") == kind_of("E: lost-write: 9 at 1")
    assert kind_of("E: lost-write: 17") != kind_of("E: duplicate: 17")


def test_totals_add_up() -> None:
    totals = Totals()
    totals.add(Outcome(report(**{NAME: 2}), 0.1))
    totals.add(Outcome(report("E: x"), 0.2))
    assert (totals.seeds, totals.simulated_s, len(totals.failures)) == (2, 120.0, 1)
    assert totals.never_reached == [name for name in SITUATIONS if name != NAME]
    figures = totals.figures(seconds=9.0)
    assert figures["counts"] == {"acknowledged": 10, "fault: kill": 2}
    assert figures["times_real"] == 400
    table = totals.table(width=None)
    assert "never reached" in table
    assert f"1 of {len(SITUATIONS)} situations reached" in table
    assert failures_told(totals.failures).startswith("E: x\n  ")


def test_runs_of_clusters_are_to_reach_situations_of_their_own() -> None:
    totals = Totals(are_clusters=True)
    totals.add(Outcome(report(**{"leader lost": 1}), 0.1))
    assert totals.never_reached == [name for name in CLUSTER if name != "leader lost"]
    assert f"1 of {len(CLUSTER)} situations reached" in totals.table(width=None)
