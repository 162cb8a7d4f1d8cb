"""What is not ours is told virtual time and seeded chance, and the rest of us is not."""

import random
import time

import pytest

from simulator.clock import EPOCH_MS
from simulator.virtual_time import virtual_time

CLOCKS = ("time", "monotonic", "perf_counter")


def functions() -> list:
    return [getattr(time, name) for name in CLOCKS]


def told() -> list[float]:
    return [clock() for clock in functions()]


def test_times_are_virtual_and_the_wall_begins_at_the_epoch() -> None:
    now = 0.0
    with virtual_time(lambda: now, "seed"):
        assert told() == [EPOCH_MS / 1000, 0.0, 0.0]
        now = 12.5
        assert told() == [EPOCH_MS / 1000 + 12.5, 12.5, 12.5]


def test_chance_begins_at_the_seed() -> None:
    def drawn(seed: str) -> list[int]:
        with virtual_time(lambda: 0.0, seed):
            return random.sample(range(1000), 10)

    assert drawn("a") == drawn("a")
    assert drawn("a") != drawn("b")


def test_all_is_as_it_was_whatever_was_raised() -> None:
    former, chance = functions(), random.getstate()

    def fail() -> None:
        with virtual_time(lambda: 1.0, "seed"):
            assert functions() != former
            random.random()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert functions() == former
    assert random.getstate() == chance
