"""The flusher of a simulated broker: each flush takes virtual time.

A real fsync covers what was written before it began, and perhaps some of what came while it ran:
here it happens at its first or its last moment, by chance, so that neither can be relied on.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

from kbroker.flusher import FlushResults, Syncable


class SimulatedFlusher:
    """A `Flusher`: one at a time, in order. Mutable; `delay_s` are the bounds of what one takes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chance: random.Random,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_done` is called after each flush, once those who wait were told."""
        self.delay_s = (0.000_1, 0.01)
        self.under_way = 0
        """Submitted and not told to be done."""
        self._loop = loop
        self._chance = chance
        self._on_done = on_done
        self._waiting: deque[_Job] = deque()
        self._results: FlushResults | None = None

    def submit(self, tickets: Sequence[Syncable], done: Callable[[FlushResults], None]) -> None:
        self.under_way += 1
        self._waiting.append((tickets, done))
        if len(self._waiting) == 1:
            self._begin()

    def close(self) -> None:
        """Finish what was submitted, at once."""
        while self._waiting:
            self._end(self._waiting[0])

    def _begin(self) -> None:
        job = self._waiting[0]
        if self._chance.random() < 0.5:
            self._results = _sync_all(job[0])
        self._loop.call_later(self._chance.uniform(*self.delay_s), self._end, job)

    def _end(self, job: _Job) -> None:
        if not self._waiting or self._waiting[0] is not job:
            return  # finished by `close` already
        results = self._results if self._results is not None else _sync_all(job[0])
        self._results = None
        self._waiting.popleft()
        self.under_way -= 1
        if self._waiting:
            self._begin()
        job[1](results)
        self._on_done()


_Job = tuple[Sequence[Syncable], Callable[[FlushResults], None]]


def _sync_all(tickets: Sequence[Syncable]) -> FlushResults:
    return [_sync(ticket) for ticket in tickets]


def _sync(ticket: Syncable) -> OSError | None:
    try:
        ticket.sync()
    except OSError as error:
        return error
    return None
