"""What one run is like: everything that is drawn from its seed before it begins.

Each run turns on some kinds of faults and of load and leaves out others (a swarm): what only shows
without the rest is found as well. Each option is drawn by a chance of its own, so that a new one
leaves all others, and with them the seeds that once found something, as they were.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from typing import TypeVar


def chance_of(seed: int, name: str) -> random.Random:
    """The chance of one part of a run: leaving another part out does not move it."""
    return random.Random(f"{seed}/{name}")


@dataclass(frozen=True, slots=True)
class Options:
    """`--set name=value` changes one of them. Times are virtual seconds."""

    safety_s: float
    """How long faults happen."""
    liveness_s: float
    """How long everything may take to finish after the last fault is healed."""
    partitions: int
    flush_messages: int
    """1: flushed durability; more: the page cache, which a power loss may take with what was
    answered."""
    offsets_segment_bytes: int
    """Of the partitions that groups are stored in."""
    retention_check_ms: int
    file_delete_delay_ms: int
    producers: int
    idempotent_producers: int
    readers: int
    more_topics: int
    """Beside the one that is always there; some with durability of their own."""
    bursts: int
    """About how often each producer sends, and everybody else does something, in the safety
    phase."""
    groups: int
    members: int
    """Of each group, at most; they come and go."""
    committers: int
    """Clients that commit offsets without being members."""
    admins: int
    """Kinds of administration that go on, of those there are."""
    aiokafka: bool
    """The unchanged aiokafka client takes part, where it is installed."""


def draw_options(seed: int) -> Options:
    def chance(name: str) -> random.Random:
        return chance_of(seed, f"options/{name}")

    return Options(
        safety_s=round(chance("safety_s").uniform(40, 360), 1),
        liveness_s=120.0,
        partitions=chance("partitions").randint(1, 4),
        flush_messages=1 if chance("flush_messages").random() < 0.85 else 1_000_000,
        offsets_segment_bytes=chance("offsets_segment_bytes").choice([1 << 20, 100_000_000]),
        retention_check_ms=chance("retention_check_ms").choice([1_500, 5_000, 300_000]),
        file_delete_delay_ms=chance("file_delete_delay_ms").choice([0, 3_000, 60_000]),
        producers=chance("producers").randint(0, 2),
        idempotent_producers=chance("idempotent_producers").choice([1, 1, 2, 3]),
        readers=chance("readers").randint(0, 2),
        more_topics=chance("more_topics").choice([0, 0, 1, 2]),
        bursts=chance("bursts").randint(2, 8),
        groups=chance("groups").choice([0, 0, 1, 1, 2]),
        members=chance("members").choice([1, 1, 2, 3]),
        committers=chance("committers").choice([0, 0, 1]),
        admins=chance("admins").randint(0, 2),
        aiokafka=chance("aiokafka").random() < 0.05,
    )


TableT = TypeVar("TableT")


def changed(options: TableT, name: str, text: str) -> TableT:
    """A table with one option set from a command line. ValueError in one readable line."""
    kinds = {each.name: str(each.type) for each in fields(options)}  # type: ignore[arg-type]
    if name not in kinds:
        raise ValueError(f"{name} is no option; there are {', '.join(kinds)}")
    value: object = text
    try:
        if kinds[name] == "int":
            value = int(text)
        elif kinds[name] == "float":
            value = float(text)
        elif kinds[name] == "bool":
            value = {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise ValueError(f"{name} is of type {kinds[name]}, which {text!r} is not") from None
    return replace(options, **{name: value})  # type: ignore[type-var]


def shown(options: object) -> dict[str, str]:
    """Each option of a table and its value, as `--set` takes it."""
    texts = {each.name: getattr(options, each.name) for each in fields(options)}  # type: ignore[arg-type]
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in texts.items()
    }
