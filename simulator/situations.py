"""The named situations that runs are meant to reach, and how often one run has.

A situation that no seed of a test run reaches fails it: a harness that no longer gets somewhere
proves nothing about it.
"""

from __future__ import annotations

from collections import Counter

SITUATIONS: dict[str, str] = {
    "power lost": "The machine lost its power while the broker was serving.",
    "killed": "The process was killed while it was serving.",
}


class Situations:
    """Mutable: counts what happened."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def saw(self, name: str) -> None:
        assert name in SITUATIONS, name
        self.counts[name] += 1
