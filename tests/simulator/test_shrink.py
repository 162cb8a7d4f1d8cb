"""Shrinking leaves out all that a failure does not need."""

from collections.abc import Sequence

from simulator.many import Outcome
from simulator.plan import Plan
from simulator.run import Report
from simulator.shrink import Shrinking

SEED = next(seed for seed in range(100) if len(Plan.draw(seed).faults) >= 8)
WORKERS = ("producer-0", "reader-0", "reader-1")


def outcome(plan: Plan, failure: str | None) -> Outcome:
    workers = tuple(name for name in WORKERS if f"worker:{name}" not in plan.without)
    return Outcome(Report(plan, "", 1.0, {}, {}, failure, (), workers), 0.1)


def shrunk(fails, *, most_s: float = 60) -> tuple[Outcome, Shrinking]:
    def run_all(plans: Sequence[Plan]) -> list[Outcome]:
        return [outcome(plan, fails(plan)) for plan in plans]

    (failed,) = run_all([Plan.draw(SEED)])
    shrinking = Shrinking(failed, run_all, most_s=most_s, tell=lambda each: None)
    return shrinking.shrink(), shrinking


def test_only_the_parts_that_matter_stay() -> None:
    def fails(plan: Plan) -> str | None:
        numbers = {fault.number for fault in plan.faults}
        needed = {2, 5} <= numbers and "worker:reader-1" not in plan.without
        return f"InvariantError: lost-write: offset {plan.seed}" if needed else None

    found, shrinking = shrunk(fails)
    assert {fault.number for fault in found.report.plan.faults} == {2, 5}
    assert found.report.workers == ("reader-1",)
    assert shrinking.runs < 200


def test_another_failure_is_not_taken_for_it() -> None:
    def fails(plan: Plan) -> str:
        return "InvariantError: lost" if len(plan.faults) > 3 else "InvariantError: other"

    found, _ = shrunk(fails)
    assert len(found.report.plan.faults) == 4


def test_time_and_counts_go_down() -> None:
    def fails(plan: Plan) -> str | None:
        options = plan.options
        return "E: x" if options.safety_s >= 5 and options.partitions >= 1 else None

    options = shrunk(fails)[0].report.plan.options
    assert 5 <= options.safety_s < 7
    assert options.partitions == 1
    assert options.producers == 0


def test_it_ends_when_its_time_is_over() -> None:
    found, shrinking = shrunk(lambda plan: "E: x", most_s=0)
    assert shrinking.runs == 0
    assert found.report.plan == Plan.draw(SEED)
