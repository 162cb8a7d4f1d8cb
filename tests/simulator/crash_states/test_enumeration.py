"""Moments times outcomes: counted, different, deterministic, and made again by their names."""

from __future__ import annotations

import pytest

from simulator.crash_states import enumeration
from simulator.crash_states.enumeration import StateName, Tally, check_one, enumerate_states
from simulator.crash_states.recorder import Moment


def _enumerate(count: int, *workloads: str, max_failures: int = 1) -> Tally:
    return enumerate_states(
        count,
        seed=3,
        workloads=list(workloads),
        progress=lambda tally: None,
        max_failures=max_failures,
    )


def test_a_state_is_named_by_what_makes_it_again() -> None:
    name = StateName("rolls", 4, 17, 0x1F)
    assert str(name) == "rolls:4:17:1f"
    assert StateName.parse("rolls:4:17:1f") == name
    assert check_one(name) is None
    for wrong in ("rolls:4:17", "nothing:4:17:1f", "rolls:x:17:1f"):
        with pytest.raises(ValueError, match=r"no workload|unpack|invalid literal"):
            StateName.parse(wrong)


def test_different_states_are_counted_and_equal_ones_are_not_opened_again() -> None:
    tally = _enumerate(150, "flush_rounds", "topics")
    assert tally.states == 150 == sum(tally.by_workload.values())
    assert tally.drawn > tally.states
    assert tally.failures == []
    again = _enumerate(150, "flush_rounds", "topics")
    assert (again.drawn, again.moments) == (tally.drawn, tally.moments)


def test_a_finding_is_named_and_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(moment: Moment, bits: int) -> str | None:
        return "lost" if moment.operation.startswith("flush") else None

    monkeypatch.setattr(enumeration, "check_state", check)
    tally = _enumerate(5000, "rolls", max_failures=2)
    assert [wrong for _, wrong in tally.failures] == ["lost", "lost"]
    name, _ = tally.failures[0]
    assert check_one(name) == "lost"


def test_a_workload_that_raises_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(recorder: object) -> None:
        raise OSError("refused")

    monkeypatch.setitem(enumeration.WORKLOADS, "rolls", stumble)
    tally = _enumerate(10, "rolls")
    assert [wrong for _, wrong in tally.failures] == ["the workload itself: OSError: refused"]
