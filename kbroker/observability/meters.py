"""Plain counters for what cannot be read off the broker when somebody asks.

They exist only where the HTTP listener does. Adding is integer arithmetic in slots, on the loop's
thread, without locks; `metrics` reads them when it is scraped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from kbroker.flusher import Flusher, FlushResults, Syncable
from kbroker.observability.error_codes import ErrorCounter, error_counter
from kbroker.output import Part
from wire.schema import Response

LATENCY_BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
)  # fmt: skip
FLUSH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Partitions in one flush."""


class Histogram:
    """Counts by upper bound, inclusive; the last count is of what is above all bounds. Mutable."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class ApiMeter:
    """One API's requests. Mutable."""

    __slots__ = (
        "count_errors",
        "errors",
        "latency",
        "request_bytes",
        "requests",
        "response_bytes",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.errors: dict[int, int] = {}
        self.latency = Histogram(LATENCY_BOUNDS_S)
        self.count_errors: ErrorCounter | None = None


class RequestMeters:
    """Every answered request, by API; `now` is the loop's time in seconds. Mutable."""

    __slots__ = ("by_api", "now")

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.by_api: dict[int, ApiMeter] = {}

    def answered(
        self,
        api_key: int,
        started: float,
        request_bytes: int,
        response: Response | None,
        parts: Sequence[Part],
    ) -> None:
        """A request of `request_bytes`, begun at `started`, has its answer; None: it has none."""
        meter = self.by_api.get(api_key)
        if meter is None:
            meter = self.by_api[api_key] = ApiMeter()
        meter.requests += 1
        meter.request_bytes += request_bytes
        latency = meter.latency
        passed = self.now() - started
        latency.counts[bisect_left(LATENCY_BOUNDS_S, passed)] += 1
        latency.total += passed
        if response is not None:
            for part in parts:
                meter.response_bytes += len(part)
            count_errors = meter.count_errors
            if count_errors is None:
                count_errors = meter.count_errors = error_counter(type(response))
            count_errors(response, meter.errors)


class FlushMeter:
    """A `Flusher` around another one: how long each flush took, and how many logs it served.

    Mutable; on the loop.
    """

    def __init__(self, flusher: Flusher, now: Callable[[], float]) -> None:
        self.seconds = Histogram(LATENCY_BOUNDS_S)
        self.sizes = Histogram(FLUSH_BOUNDS)
        self.failures = 0
        self._flusher = flusher
        self._now = now

    def submit(self, tickets: Sequence[Syncable], done: Callable[[FlushResults], None]) -> None:
        started = self._now()

        def finished(results: FlushResults) -> None:
            self.seconds.observe(self._now() - started)
            self.sizes.observe(len(tickets))
            self.failures += sum(error is not None for error in results)
            done(results)

        self._flusher.submit(tickets, finished)

    def close(self) -> None:
        self._flusher.close()
