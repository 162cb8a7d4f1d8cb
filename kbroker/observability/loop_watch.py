"""How long the event loop keeps others waiting: the length of its turns, and late timers.

A turn is what runs between two looks at the sockets: nobody else is served meanwhile. It is seen
from the selector, which asyncio lets us pass in; another loop (uvloop) has none, and shows the
lateness of timers only.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import cast

from kbroker.observability.meters import LATENCY_BOUNDS_S, Histogram

SLOW_TURN_S = 0.002
"""The most that a slice of work may take; a turn that serves many may well be longer."""

LAG_INTERVAL_S = 0.1

Event = tuple[selectors.SelectorKey, int]


class LoopTurns:
    """The turns of one loop. Mutable."""

    __slots__ = ("seconds", "slow")

    def __init__(self) -> None:
        self.seconds = Histogram(LATENCY_BOUNDS_S)
        self.slow = 0

    def observe(self, seconds: float) -> None:
        self.seconds.observe(seconds)
        if seconds > SLOW_TURN_S:
            self.slow += 1


class TurnSelector:
    """A selector that tells `turns` how long the loop was away; else the system's own. Mutable."""

    def __init__(self, turns: LoopTurns, now: Callable[[], float]) -> None:
        inner = selectors.DefaultSelector()
        self._select = inner.select
        self._observe = turns.observe
        self._now = now
        self._back_at: float | None = None
        self.register = inner.register
        self.unregister = inner.unregister
        self.modify = inner.modify
        self.get_key = inner.get_key
        self.close = inner.close
        self.get_map = inner.get_map

    def select(self, timeout: float | None = None) -> list[Event]:
        if self._back_at is not None:
            self._observe(self._now() - self._back_at)
        events = self._select(timeout)
        self._back_at = self._now()
        return events


def watched_loop(turns: LoopTurns, now: Callable[[], float]) -> asyncio.AbstractEventLoop:
    """asyncio's own loop, whose turns are measured."""
    return asyncio.SelectorEventLoop(cast(selectors.BaseSelector, TurnSelector(turns, now)))


class LagTimer:
    """Rings ten times a second and notes how late. Mutable."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds = Histogram(LATENCY_BOUNDS_S)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        due = self._loop.time() + LAG_INTERVAL_S
        self._timer = self._loop.call_at(due, self._ring, due)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, due: float) -> None:
        self.seconds.observe(max(0.0, self._loop.time() - due))
        self.start()
