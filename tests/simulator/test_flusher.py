"""Flushes in virtual time: one at a time, in order, at their first or their last moment."""

import asyncio
import random

from simulator.flusher import SimulatedFlusher
from simulator.loop import SimulatedLoop


class Ticket:
    """Notes when it is synced."""

    def __init__(self, loop: SimulatedLoop, error: OSError | None = None) -> None:
        self.moments: list[float] = []
        self._loop, self._error = loop, error

    def sync(self) -> None:
        self.moments.append(self._loop.now)
        if self._error is not None:
            raise self._error


def started(seed: int) -> tuple[SimulatedLoop, SimulatedFlusher]:
    loop = SimulatedLoop(random.Random(seed))
    return loop, SimulatedFlusher(loop, random.Random(seed))


def finish(loop: SimulatedLoop, flusher: SimulatedFlusher, done: asyncio.Future) -> None:
    loop.run_until_complete(done)
    flusher.close()
    loop.close()


def test_all_are_told_in_order_and_errors_come_back() -> None:
    loop, flusher = started(1)
    error = OSError(5, "no")
    told: list[tuple[int, list]] = []
    done = loop.create_future()
    flusher.submit([Ticket(loop), Ticket(loop, error)], lambda found: told.append((1, found)))
    flusher.submit([Ticket(loop)], lambda found: (told.append((2, found)), done.set_result(None)))
    assert flusher.under_way == 2
    finish(loop, flusher, done)
    assert told == [(1, [None, error]), (2, [None])]
    assert flusher.under_way == 0


def test_it_syncs_at_the_beginning_or_at_the_end() -> None:
    moments = set()
    for seed in range(20):
        loop, flusher = started(seed)
        ticket, done = Ticket(loop), loop.create_future()
        flusher.submit([ticket], done.set_result)
        finish(loop, flusher, done)
        assert len(ticket.moments) == 1
        moments.add(ticket.moments[0] == 0.0)
    assert moments == {True, False}


def test_closing_finishes_what_was_submitted() -> None:
    loop, flusher = started(3)
    told: list[list] = []
    for _ in range(3):
        flusher.submit([Ticket(loop)], told.append)
    flusher.close()
    assert told == [[None]] * 3
    loop.close()
