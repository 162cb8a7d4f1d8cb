"""Answers that come later, and the one timer that bounds how long they may take.

A handler that must wait returns a `Deferred`; whoever makes the awaited thing true settles it, and
the connection's slot is filled in the same turn of the loop: waiting costs an object, not a task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

DEADLINE_RESOLUTION_MS = 10
"""Deadlines are rounded up to this: one timer serves all the requests of the same bucket."""


class Deferred(Generic[T]):
    """One answer to come. Settled exactly once, or abandoned when nobody waits any longer.

    `blocks` tells the connection whether the request has yet to take effect: a parked Fetch
    blocks the requests behind it, an appended Produce does not (it only keeps its place in line).
    One that blocks first and waits on afterwards says so with `take_effect`. The value None means
    that the protocol has no answer here (acks=0).
    """

    __slots__ = (
        "_callback",
        "_error",
        "_on_effect",
        "_on_error",
        "_value",
        "blocks",
        "on_abandon",
        "settled",
    )

    def __init__(self, *, blocks: bool) -> None:
        self.blocks = blocks
        self.settled = False
        self.on_abandon: Callable[[], None] | None = None
        self._callback: Callable[[T | None], None] | None = None
        self._on_effect: Callable[[], None] | None = None
        self._on_error: Callable[[Exception], None] | None = None
        self._error: Exception | None = None
        self._value: T | None = None

    def settle(self, value: T | None) -> None:
        """Give the answer. A second answer is ignored: a flush and a deadline may race."""
        if self.settled:
            return
        callback, _ = self._let_go()
        if callback is not None:
            callback(value)
        else:
            self._value = value

    def fail(self, error: Exception) -> None:
        """There is no answer but this error; whoever waits makes one of it."""
        if self.settled:
            return
        callback, on_error = self._let_go()
        if callback is None:
            self._error = error
            return
        assert on_error is not None, "an error needs somebody to take it"
        on_error(error)

    def guard(self, work: Callable[[], None]) -> None:
        """Run a callback of ours: what it raises fails this request, and nobody else's."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed on to where errors become codes
            self.fail(error)

    def then(
        self,
        callback: Callable[[T | None], None],
        *,
        on_error: Callable[[Exception], None] | None = None,
        on_effect: Callable[[], None] | None = None,
    ) -> None:
        """Call `callback` with the answer, or `on_error`, at once if it is there already; and
        `on_effect` when the request ceases to block."""
        assert self._callback is None, "one waiter for each Deferred"
        if not self.settled:
            self._callback, self._on_error, self._on_effect = callback, on_error, on_effect
        elif self._error is not None:
            assert on_error is not None, "an error needs somebody to take it"
            on_error(self._error)
        else:
            callback(self._value)

    def take_effect(self) -> None:
        """The request has taken effect: those behind it may start, although it is not answered."""
        if self.blocks and not self.settled:
            self.blocks = False
            if self._on_effect is not None:
                self._on_effect()

    def abandon(self) -> None:
        """The client is gone: let the owner unregister what it watches."""
        if self.settled:
            return
        on_abandon = self.on_abandon
        self._let_go()
        if on_abandon is not None:
            on_abandon()

    def _let_go(
        self,
    ) -> tuple[Callable[[T | None], None] | None, Callable[[Exception], None] | None]:
        """Settled: forget everybody, so that no cycle of references waits for the collector."""
        self.settled = True
        callback, on_error = self._callback, self._on_error
        self._callback = self._on_error = self._on_effect = self.on_abandon = None
        return callback, on_error


class TimerLoop(Protocol):
    """The methods of an asyncio loop that deadlines need."""

    def time(self) -> float: ...

    def call_soon(self, callback: Callable[[], object]) -> object: ...

    def call_at(self, when: float, callback: Callable[[], object]) -> object: ...


class Deadlines:
    """Coarse timers: adding and removing one is a dictionary operation, not a heap operation.

    Produce adds and removes one for each request that waits, so a heap (asyncio's own timers, with
    their lazily removed corpses) would cost more than the append.
    """

    def __init__(self, loop: TimerLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, dict[Callable[[], None], None]] = {}
        self._armed_for: int | None = None

    def add(self, delay_ms: int, callback: Callable[[], None]) -> int:
        """Call `callback` once `delay_ms` have passed; returns the bucket that `remove` wants."""
        due = int(self._loop.time() * 1000) + max(delay_ms, 0)
        bucket = due // DEADLINE_RESOLUTION_MS + 1
        entries = self._buckets.get(bucket)
        if entries is None:
            entries = self._buckets[bucket] = {}
            if self._armed_for is None or bucket < self._armed_for:
                self._arm(bucket)
        entries[callback] = None
        return bucket

    def remove(self, bucket: int, callback: Callable[[], None]) -> None:
        """Forget `callback`; harmless when it has run already."""
        entries = self._buckets.get(bucket)
        if entries is not None:
            entries.pop(callback, None)
            if not entries:
                del self._buckets[bucket]

    def _arm(self, bucket: int) -> None:
        self._armed_for = bucket
        self._loop.call_at(bucket * DEADLINE_RESOLUTION_MS / 1000, lambda: self._ring(bucket))

    def _ring(self, armed_for: int) -> None:
        if armed_for != self._armed_for:
            return  # an earlier timer took over; that one re-arms
        now = int(self._loop.time() * 1000 + 0.5) // DEADLINE_RESOLUTION_MS
        self._armed_for = None
        due = [
            callback
            for bucket in sorted(self._buckets)
            if bucket <= now
            for callback in self._buckets.pop(bucket)
        ]
        if self._buckets:
            self._arm(min(self._buckets))
        # Armed first: a callback that raises ends its own turn of the loop, and nothing else.
        for callback in due:
            self._loop.call_soon(callback)
