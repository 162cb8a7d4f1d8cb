"""What one run is like: everything that is drawn from its seed before it begins.

Each run turns on some kinds of faults and of load and leaves out others (a swarm): what only shows
without the rest is found as well.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace


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
    producers: int
    idempotent_producers: int
    readers: int


def draw_options(seed: int) -> Options:
    chance = chance_of(seed, "options")
    return Options(
        safety_s=round(chance.uniform(30, 300), 1),
        liveness_s=120.0,
        partitions=chance.randint(1, 4),
        flush_messages=1 if chance.random() < 0.85 else 1_000_000,
        producers=chance.randint(0, 2),
        idempotent_producers=chance.randint(1, 3),
        readers=chance.randint(0, 2),
    )


def changed(options: Options, name: str, text: str) -> Options:
    """With one option set from a command line. Raises ValueError in one readable line."""
    for each in fields(Options):
        if each.name == name:
            kind = type(getattr(options, name))
            return replace(options, **{name: kind(text)})
    raise ValueError(f"{name} is no option: {', '.join(each.name for each in fields(Options))}")
