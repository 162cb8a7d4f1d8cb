"""A wall clock that drifts, and steps either way."""

from simulator.clock import EPOCH_MS, SteppingClock


def test_it_drifts_and_steps() -> None:
    now = [0.0]
    clock = SteppingClock(lambda: now[0], drift=0.01)
    assert clock.now_ms() == EPOCH_MS
    now[0] = 100.0
    assert clock.now_ms() == EPOCH_MS + 101_000
    clock.offset_ms = -200_000
    assert clock.now_ms() == EPOCH_MS - 99_000
