"""The time and the chance of Python's own modules, for the while of one run: of foreign code in it.

What is not ours asks `time` and `random`, and cannot be handed a clock. It takes part in a few runs
only, and in all others nothing is touched. Counterpart: `workload.aiokafka_client`.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator

from simulator.clock import EPOCH_MS


@contextlib.contextmanager
def virtual_time(loop_time: Callable[[], float], seed: str) -> Iterator[None]:
    """`time.time`, `time.monotonic` and `time.perf_counter` tell virtual seconds, and the functions
    of `random` begin at `seed`. Afterwards all is as it was, whatever was raised.

    Who has imported one of the functions by name keeps the real one.
    """

    def wall() -> float:
        return EPOCH_MS / 1000 + loop_time()

    former = time.time, time.monotonic, time.perf_counter
    chance = random.getstate()
    time.time, time.monotonic, time.perf_counter = wall, loop_time, loop_time
    random.seed(seed)
    try:
        yield
    finally:
        time.time, time.monotonic, time.perf_counter = former
        random.setstate(chance)
