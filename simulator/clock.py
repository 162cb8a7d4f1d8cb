"""The wall clock of one simulated machine: it drifts, and steps when it is told to."""

from __future__ import annotations

from collections.abc import Callable

EPOCH_MS = 1_700_000_000_000
"""The time of day at which every simulation begins."""


class SteppingClock:
    """A `WallClock`. Mutable: `offset_ms` is how far it is off; it may go either way any time."""

    def __init__(self, loop_time: Callable[[], float], *, drift: float = 0.0) -> None:
        self.offset_ms = 0
        self._loop_time = loop_time
        self._rate_ms = 1000 * (1 + drift)

    def now_ms(self) -> int:
        return EPOCH_MS + self.offset_ms + int(self._loop_time() * self._rate_ms)

    def set_drift(self, drift: float) -> None:
        """From now on it goes so much faster than time does; what it shows now stays."""
        before_ms = self.now_ms()
        self._rate_ms = 1000 * (1 + drift)
        self.offset_ms += before_ms - self.now_ms()
