"""A whole run: it passes, tells its phases, and fails by whatever is raised within it."""

import dataclasses

import pytest

from simulator import run as module
from simulator.invariant_error import InvariantError
from simulator.plan import Plan
from simulator.run import run

SHORT = Plan.draw(3, (("safety_s", "5"), ("groups", "0"), ("aiokafka", "false")))


def test_phases_follow_each_other() -> None:
    report = run(SHORT)
    assert report.failure is None
    assert list(report.phases) == ["safety", "liveness", "after"]
    assert report.simulated_s >= 5
    assert report.counts["acknowledged"] > 0


@pytest.mark.parametrize(
    ("error", "words"),
    [(InvariantError("lost"), "InvariantError: lost"), (KeyError("bug"), "KeyError: 'bug'")],
)
def test_whatever_is_raised_is_the_failure(monkeypatch, error, words) -> None:
    async def broken(world, workers) -> None:
        raise error

    monkeypatch.setattr(module, "check_after", broken)
    report = run(SHORT)
    assert report.failure == words
    assert report.events


def test_a_part_that_is_left_out_takes_no_part() -> None:
    name = run(SHORT).workers[0]
    less = dataclasses.replace(SHORT, without=frozenset({f"worker:{name}"}))
    assert name not in run(less).workers
