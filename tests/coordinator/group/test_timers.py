"""Deadlines by name: what is due comes in order, and moving one later costs next to nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.group.timers import SLACK, TimerKey, TimerKind, Timers


def key(name: str) -> TimerKey:
    return TimerKey(TimerKind.SESSION, "g", name)


def taken(timers: Timers, now_ms: int) -> list[str]:
    found = []
    while (due := timers.take_due(now_ms)) is not None:
        found.append(due.member_id)
    return found


def test_what_is_due_comes_by_its_time_and_of_equals_the_first_set() -> None:
    timers = Timers()
    for name, at_ms in (("late", 30), ("b", 20), ("a", 20), ("early", 10)):
        timers.schedule(key(name), at_ms)
    assert timers.next_deadline_ms() == 10
    assert taken(timers, 9) == []
    assert taken(timers, 20) == ["early", "b", "a"]
    assert timers.next_deadline_ms() == 30


def test_a_deadline_is_moved_not_doubled() -> None:
    timers = Timers()
    timers.schedule(key("a"), 10)
    timers.schedule(key("a"), 30)
    assert timers.next_deadline_ms() == 30
    timers.schedule(key("a"), 20)
    assert taken(timers, 100) == ["a"]
    assert timers.next_deadline_ms() is None


def test_what_is_cancelled_is_never_due_also_when_it_is_set_again() -> None:
    timers = Timers()
    timers.schedule(key("a"), 10)
    timers.cancel(key("a"))
    timers.cancel(key("nobody"))
    assert timers.next_deadline_ms() is None
    timers.schedule(key("a"), 50)
    assert taken(timers, 49) == []
    assert taken(timers, 50) == ["a"]


def test_heartbeats_do_not_grow_the_heap() -> None:
    timers = Timers()
    for now_ms in range(10_000):
        for name in "abcdefgh":
            timers.schedule(key(name), now_ms + 45_000)
    assert timers.work <= 8
    assert len(timers) == 8
    assert len(timers._heap) == 8


def test_deadlines_that_come_earlier_and_go_are_cleared_away() -> None:
    timers = Timers()
    for at_ms in range(10_000, 0, -1):
        timers.schedule(key("a"), at_ms)
    assert len(timers._heap) <= 2 + SLACK
    for index in range(10_000):
        timers.schedule(key(str(index)), index)
        timers.cancel(key(str(index)))
    assert len(timers._heap) <= 2 + SLACK


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 20)), st.booleans()),
    max_size=60,
)


@given(operations=OPERATIONS)
def test_it_is_a_dictionary_of_deadlines_sorted(operations) -> None:
    timers = Timers()
    model: dict[str, tuple[int, int]] = {}
    for number, (name, at_ms, take) in enumerate(operations):
        if take:
            due = sorted((at, order, who) for who, (at, order) in model.items() if at <= number)
            assert taken(timers, number) == [who for _, _, who in due]
            for _, _, who in due:
                del model[who]
        elif at_ms is None:
            timers.cancel(key(name))
            model.pop(name, None)
        else:
            timers.schedule(key(name), at_ms)
            if model.get(name, (None, 0))[0] != at_ms:
                model[name] = (at_ms, number)
        assert timers.next_deadline_ms() == min((at for at, _ in model.values()), default=None)
        assert len(timers) == len(model)
        assert all((key(who) in timers) == (who in model) for who in "abc")
