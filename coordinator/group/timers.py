"""Named deadlines on the steady clock: scheduled, moved, cancelled, and taken when due.

A heartbeat moves its member's deadline, so moving it later is the frequent case and costs no more
than a dictionary's entry: the heap keeps the old place and finds the new one when it gets there.
"""

from __future__ import annotations

import heapq
from enum import Enum
from typing import NamedTuple

SLACK = 64
"""Places of the heap that may be out of date, beyond as many as there are timers."""


class TimerKind(Enum):
    """What a deadline is about."""

    SESSION = "session"
    """A member has not been heard of; for a pending one: it has not come back."""
    JOIN = "join"
    """The members that have joined go on without the others."""
    SYNC = "sync"
    """The members that have not asked for their assignment go."""


class TimerKey(NamedTuple):
    """One deadline: there is at most one of each kind for a group, or a member of it."""

    kind: TimerKind
    group_id: str
    member_id: str = ""


class Timers:
    """Deadlines by key, in ms of the steady clock. Mutable."""

    def __init__(self) -> None:
        self._deadlines: dict[TimerKey, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, TimerKey]] = []
        self._count = 0
        self.work = 0
        """Moves on the heap so far: what a test counts instead of time."""

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, key: TimerKey) -> bool:
        return key in self._deadlines

    def schedule(self, key: TimerKey, deadline_ms: int) -> None:
        """Set the deadline of `key`, in place of the one that it has."""
        before = self._deadlines.get(key)
        if before is not None and before[0] == deadline_ms:
            return
        self._count += 1
        self._deadlines[key] = (deadline_ms, self._count)
        if before is None or deadline_ms < before[0]:
            self._push(deadline_ms, key)
            if len(self._heap) > 2 * len(self._deadlines) + SLACK:
                self._rebuild()

    def cancel(self, key: TimerKey) -> None:
        """Forget the deadline of `key`; harmless when there is none."""
        self._deadlines.pop(key, None)

    def next_deadline_ms(self) -> int | None:
        """The earliest deadline, or None."""
        heap = self._heap
        while heap:
            place_ms, number, key = heap[0]
            found = self._deadlines.get(key)
            if found == (place_ms, number):
                return place_ms
            self.work += 1
            heapq.heappop(heap)
            if found is not None and found[0] >= place_ms:
                self._push(found[0], key)
        return None

    def take_due(self, now_ms: int) -> TimerKey | None:
        """Take the earliest deadline that has come, of equal ones the first that was set."""
        next_ms = self.next_deadline_ms()
        if next_ms is None or next_ms > now_ms:
            return None
        self.work += 1
        key = heapq.heappop(self._heap)[2]
        del self._deadlines[key]
        return key

    def _push(self, deadline_ms: int, key: TimerKey) -> None:
        self.work += 1
        heapq.heappush(self._heap, (deadline_ms, self._deadlines[key][1], key))

    def _rebuild(self) -> None:
        self.work += len(self._deadlines)
        self._heap = [(at_ms, number, key) for key, (at_ms, number) in self._deadlines.items()]
        heapq.heapify(self._heap)
