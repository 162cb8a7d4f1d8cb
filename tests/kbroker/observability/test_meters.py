"""Plain counters: what they add up to."""

from __future__ import annotations

from kbroker.observability.meters import FlushMeter, Histogram, RequestMeters
from wire.messages.heartbeat import HeartbeatResponse


class Clock:
    """Seconds that a test moves. Mutable."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1, 2, 4))
    for value in (0, 1, 1.5, 2, 4, 5):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1, 1]
    assert histogram.total == 13.5


def test_an_answer_counts_with_its_bytes_its_time_and_its_error() -> None:
    clock = Clock()
    meters = RequestMeters(clock)
    started = meters.now()
    clock.now += 0.003
    response = HeartbeatResponse(error_code=25)
    meters.answered(12, started, 40, response, [b"head", b"and records"])
    meters.answered(12, started, 2, None, ())
    meter = meters.by_api[12]
    assert (meter.requests, meter.request_bytes, meter.response_bytes) == (2, 42, 15)
    assert meter.errors == {25: 1}
    assert meter.latency.counts[5] == 2, "between 2.5 and 5 ms"


class HeldFlusher:
    """Flushes when the test says so. Mutable."""

    def __init__(self) -> None:
        self.closed = False
        self.jobs: list = []

    def submit(self, tickets, done) -> None:
        self.jobs.append((tickets, done))

    def close(self) -> None:
        self.closed = True


def test_a_flush_is_measured_and_its_results_handed_on() -> None:
    clock = Clock()
    inner = HeldFlusher()
    meter = FlushMeter(inner, clock)
    results: list = []
    meter.submit(["a", "b", "c"], results.extend)  # type: ignore[list-item]
    clock.now += 0.2
    ((tickets, done),) = inner.jobs
    assert tickets == ["a", "b", "c"]
    error = OSError(5, "broken")
    done([None, error, None])
    assert results == [None, error, None]
    assert meter.seconds.counts[10] == 1, "between 0.1 and 0.25 s"
    assert meter.sizes.counts[2] == 1, "three or four logs"
    assert meter.failures == 1
    meter.close()
    assert inner.closed
