"""Which segments go, from plain facts."""

from __future__ import annotations

from log.log_config import LogConfig
from log.retention import FAR_FUTURE_MS, SegmentFacts, plan_retention

NOW = 1_000_000
ALWAYS = LogConfig(retention_ms=-1, retention_bytes=-1)


def _facts(*stamps: int, size: int = 100, modified_ms: int = NOW) -> list[SegmentFacts]:
    """Segments of ten offsets each."""
    return [
        SegmentFacts((index + 1) * 10, size, stamp, modified_ms)
        for index, stamp in enumerate(stamps)
    ]


def _plan(
    segments: list[SegmentFacts],
    config: LogConfig,
    *,
    log_start_offset: int = 0,
    high_watermark: int = 1000,
) -> int:
    return plan_retention(
        segments,
        config=config,
        log_start_offset=log_start_offset,
        high_watermark=high_watermark,
        now_ms=NOW,
    )


def test_by_time_from_the_oldest_on_until_one_is_young() -> None:
    config = LogConfig(retention_ms=1000)
    assert _plan(_facts(NOW - 2000, NOW - 1001, NOW - 1000, NOW - 5000), config) == 2
    assert _plan(_facts(NOW - 2000, NOW - 2000), config) == 2
    assert _plan(_facts(NOW - 2000), LogConfig(retention_ms=-1)) == 0


def test_never_at_or_past_the_high_watermark() -> None:
    """KAFKA-5634."""
    config = LogConfig(retention_ms=1000, retention_bytes=0)
    assert _plan(_facts(0, 0, 0), config, high_watermark=29) == 2
    assert _plan(_facts(0, 0, 0), ALWAYS, high_watermark=19, log_start_offset=30) == 1


def test_a_record_from_the_far_future_or_without_time_counts_by_its_file() -> None:
    config = LogConfig(retention_ms=1000)
    future = NOW + FAR_FUTURE_MS + 1
    assert _plan(_facts(future, -1, modified_ms=NOW - 1001), config) == 2
    assert _plan(_facts(future, -1, modified_ms=NOW), config) == 0
    assert _plan(_facts(NOW + 5000, modified_ms=0), config) == 0


def test_by_size_as_long_as_the_rest_is_enough() -> None:
    for limit, count in ((0, 4), (99, 3), (100, 3), (101, 2), (300, 1), (400, 0)):
        config = LogConfig(retention_ms=-1, retention_bytes=limit)
        assert _plan(_facts(1, 2, 3, 4), config) == count


def test_what_lies_below_the_log_start_goes_whatever_the_policy() -> None:
    assert _plan(_facts(1, 2, 3), ALWAYS, log_start_offset=20) == 2
    assert _plan(_facts(1, 2, 3), ALWAYS, log_start_offset=19) == 1
    compact = LogConfig(cleanup_policy=frozenset({"compact"}), retention_ms=0, retention_bytes=0)
    assert _plan(_facts(1, 2, 3), compact, log_start_offset=10) == 1
