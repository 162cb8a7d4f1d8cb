"""Answers that come later, and deadlines that never ring early, on virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.watch import DEADLINE_RESOLUTION_MS, Deadlines, Deferred
from tests.kbroker.connection_harness import TurnLoop


@pytest.fixture
def loop():
    made = TurnLoop()
    yield made
    made.close()


# --- deferred answers ---


@pytest.mark.parametrize("settled_first", [True, False])
def test_the_waiter_is_told_whether_the_answer_comes_before_or_after(settled_first: bool) -> None:
    deferred: Deferred[str] = Deferred(blocks=False)
    told: list[str] = []
    if settled_first:
        deferred.settle("answer")
    deferred.then(told.append)
    if not settled_first:
        assert told == []
        deferred.settle("answer")
    assert told == ["answer"]


def test_a_second_answer_is_ignored() -> None:
    deferred: Deferred[str] = Deferred(blocks=False)
    told: list[str] = []
    deferred.then(told.append)
    deferred.settle("flushed")
    deferred.settle("timed out")
    assert told == ["flushed"]


def test_an_abandoned_answer_goes_to_nobody_and_its_owner_lets_go_once() -> None:
    deferred: Deferred[str] = Deferred(blocks=True)
    told: list[str] = []
    unregistered: list[str] = []
    deferred.on_abandon = lambda: unregistered.append("done")
    deferred.then(told.append)
    deferred.abandon()
    deferred.abandon()
    deferred.settle("too late")
    assert told == []
    assert unregistered == ["done"]


def test_a_settled_answer_is_not_abandoned() -> None:
    deferred: Deferred[str] = Deferred(blocks=True)
    unregistered: list[str] = []
    deferred.on_abandon = lambda: unregistered.append("done")
    deferred.settle("answer")
    deferred.abandon()
    assert unregistered == []


# --- deadlines ---


def rang_at(loop: TurnLoop, deadlines: Deadlines, delay_ms: int) -> list[float]:
    times: list[float] = []
    deadlines.add(delay_ms, lambda: times.append(loop.time()))
    return times


@settings(max_examples=200, deadline=None)
@given(
    start_ms=st.floats(0, 1e10, allow_nan=False),
    delays=st.lists(st.one_of(st.integers(0, 50), st.integers(0, 2**31 - 1)), max_size=12),
)
def test_a_deadline_rings_once_never_early_and_at_most_its_resolution_late(
    start_ms: float, delays: list[int]
) -> None:
    loop = TurnLoop()
    loop.now = start_ms / 1000
    deadlines = Deadlines(loop)
    rung = [(delay, rang_at(loop, deadlines, delay)) for delay in delays]
    loop.advance(2**31 / 1000 + 1)
    for delay, times in rung:
        assert len(times) == 1
        late_ms = times[0] * 1000 - (start_ms + delay)
        # The loop's clock is a float, and deadlines count in whole milliseconds.
        assert -1 - 1e-3 <= late_ms <= DEADLINE_RESOLUTION_MS + 1e-3
    loop.close()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_deadlines_added_removed_and_rung_in_any_order(data) -> None:
    loop = TurnLoop()
    deadlines = Deadlines(loop)
    wanted: dict[int, tuple[float, int, object]] = {}
    rung: list[int] = []
    for number in range(data.draw(st.integers(1, 25))):
        action = data.draw(st.sampled_from(["add", "add", "remove", "advance"]))
        if action == "add":
            delay = data.draw(st.integers(0, 400))

            def ring(number: int = number) -> None:
                rung.append(number)
                del wanted[number]

            wanted[number] = (loop.now + delay / 1000, deadlines.add(delay, ring), ring)
        elif action == "remove" and wanted:
            _, bucket, ring = wanted.pop(data.draw(st.sampled_from(sorted(wanted))))
            deadlines.remove(bucket, ring)  # type: ignore[arg-type]
        else:
            loop.advance(data.draw(st.integers(0, 300)) / 1000)
            late = [due for due, _, _ in wanted.values() if due < loop.now - 0.011]
            assert not late
    loop.advance(1)
    assert not wanted
    assert len(rung) == len(set(rung))
    loop.close()


def test_an_earlier_deadline_overtakes_one_that_is_set(loop) -> None:
    deadlines = Deadlines(loop)
    late, early = rang_at(loop, deadlines, 1000), rang_at(loop, deadlines, 20)
    loop.advance(0.1)
    assert len(early) == 1
    assert late == []
    loop.advance(1)
    assert len(late) == 1


def test_many_requests_of_one_moment_share_a_timer(loop) -> None:
    deadlines = Deadlines(loop)
    for _ in range(1000):
        rang_at(loop, deadlines, 30_000)
    assert len(loop.timers) == 1


def test_a_deadline_added_by_another_as_it_rings_rings_too(loop) -> None:
    deadlines = Deadlines(loop)
    times: list[float] = []
    deadlines.add(10, lambda: deadlines.add(10, lambda: times.append(loop.time())))
    loop.advance(1)
    assert len(times) == 1


def test_a_removed_deadline_does_not_ring_and_removing_it_again_is_harmless(loop) -> None:
    deadlines = Deadlines(loop)
    times: list[float] = []

    def ring() -> None:
        times.append(loop.time())

    bucket = deadlines.add(50, ring)
    deadlines.remove(bucket, ring)
    deadlines.remove(bucket, ring)
    loop.advance(1)
    assert times == []


def test_a_negative_delay_rings_at_the_next_tick(loop) -> None:
    deadlines = Deadlines(loop)
    times = rang_at(loop, deadlines, -5)
    loop.advance(0.02)
    assert len(times) == 1
