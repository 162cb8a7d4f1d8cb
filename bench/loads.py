"""What is measured, and the reach: the part of the floor's figure that kbroker should have."""

from __future__ import annotations

from dataclasses import dataclass

SMALL_REACH = 1 / 3
"""Of the floor's requests a second, where the cost of a request decides."""
LARGE_REACH = 0.7
"""Of the floor's bytes a second, where moving bytes decides."""
READY_SECONDS = 0.5
IDLE_BYTES = 50_000_000

REQUESTS = "requests_per_second"
BYTES = "bytes_per_second"


@dataclass(frozen=True, slots=True)
class Load:
    """One row: what the generator sends, and how its figure is judged."""

    name: str
    title: str
    kind: str
    """The generator's command: produce or fetch."""
    arguments: tuple[str, ...]
    unit: str
    """REQUESTS or BYTES: which figure of the generator counts."""
    reach: float
    is_flushed: bool = False
    warmup_seconds: float = 0.1
    max_total_bytes: int = 1_000_000_000
    """The measured part ends here at the latest: disk and page cache are finite."""
    prime_bytes: int = 0
    """Page cache to have used and freed just before (see `machine.prime_page_cache`)."""


@dataclass(frozen=True, slots=True)
class ProduceShape:
    name: str
    title: str
    arguments: tuple[str, ...]
    unit: str
    reach: float
    warmup_seconds: float
    max_total_bytes: int
    prime_bytes: int


def shape(record_bytes: int, records_per_batch: int, depth: int) -> tuple[str, ...]:
    return (
        f"--record-bytes={record_bytes}",
        f"--records-per-batch={records_per_batch}",
        f"--depth={depth}",
    )


PRODUCE_SHAPES = (
    ProduceShape(
        "100B-1", "100 B one by one", shape(100, 1, 1), REQUESTS, SMALL_REACH, 0.1, 10**9, 0
    ),
    ProduceShape(
        "100B-64", "100 B, 64 in flight", shape(100, 1, 64), REQUESTS, SMALL_REACH, 0.1, 10**9, 0
    ),
    # 143 records of 100 bytes make a batch of 15.4 KiB, just under a producer's usual limit.
    ProduceShape(
        "15KiB-16",
        "15 KiB, 16 in flight",
        shape(100, 143, 16),
        REQUESTS,
        SMALL_REACH,
        0.1,
        300_000_000,
        400_000_000,
    ),
    # 1,000 records make a batch of 1,000,000 bytes: the default max.message.bytes is 1,048,588.
    ProduceShape(
        "1MB-5",
        "1 MB, 5 in flight",
        shape(990, 1000, 5),
        BYTES,
        LARGE_REACH,
        0.03,
        400_000_000,
        500_000_000,
    ),
)


def produce_load(produced: ProduceShape, *, is_flushed: bool) -> Load:
    return Load(
        name=("flushed-" if is_flushed else "produce-") + produced.name,
        title=produced.title,
        kind="produce",
        arguments=produced.arguments,
        unit=produced.unit,
        reach=produced.reach,
        is_flushed=is_flushed,
        warmup_seconds=produced.warmup_seconds,
        max_total_bytes=produced.max_total_bytes,
        prime_bytes=min(produced.prime_bytes, 300_000_000) if is_flushed else produced.prime_bytes,
    )


def fetch_load(name: str, title: str, max_bytes: int, unit: str, reach: float) -> Load:
    arguments = (f"--max-bytes={max_bytes}",)
    return Load(f"fetch-{name}", title, "fetch", arguments, unit, reach, max_total_bytes=10**12)


FETCH_FILL = shape(100, 143, 16)
"""What fills the topic that is then fetched, hot, over and over."""
FETCH_FILL_BYTES = 64 << 20

LOADS = (
    *(produce_load(produced, is_flushed=False) for produced in PRODUCE_SHAPES),
    *(produce_load(produced, is_flushed=True) for produced in PRODUCE_SHAPES),
    fetch_load("1MiB", "1 MiB", 1 << 20, BYTES, LARGE_REACH),
    fetch_load("16KiB", "16 KiB", 16 << 10, REQUESTS, SMALL_REACH),
)

START = "start"
"""The name of the row that measures start time and idle memory."""
