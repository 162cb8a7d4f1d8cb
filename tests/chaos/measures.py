"""When records were acknowledged, and what follows from it: fail-over, and times without (pure).

All times are seconds of one clock that never steps back.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BEYOND_LEASE_S = 2.0
"""What a fail-over may take after the lease of the leader has run out."""


@dataclass
class Acknowledgements:
    """Of each partition, in order. Mutable."""

    partitions: int
    _acked: list[list[float]] = field(init=False)
    _sent: list[list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self._acked = [[] for _ in range(self.partitions)]
        self._sent = [[] for _ in range(self.partitions)]

    def add(self, partition: int, sent_s: float, acked_s: float) -> None:
        self._acked[partition].append(acked_s)
        self._sent[partition].append(sent_s)

    def first_after(self, partition: int, moment_s: float) -> float | None:
        """When the first record was acknowledged that was sent after a moment: one sent before
        says nothing, its answer may have been under way."""
        acked, sent = self._acked[partition], self._sent[partition]
        for index in range(bisect_right(acked, moment_s), len(acked)):
            if sent[index] > moment_s:
                return acked[index]
        return None

    def longest_gap(self, partition: int, begin_s: float, end_s: float) -> float:
        """The longest time within these bounds in which nothing was acknowledged."""
        acked = self._acked[partition]
        inner = acked[bisect_right(acked, begin_s) : bisect_right(acked, end_s)]
        moments = [begin_s, *inner, end_s]
        return max(
            (after - before for before, after in pairwise(moments)),
            default=0.0,
        )


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share of them does not exceed; None: there are none."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def fail_over_figures(seconds: Sequence[float], lease_s: float) -> dict[str, float | bool]:
    """In milliseconds, and whether p99 is within the promise; empty without any."""
    p50, p99 = quantile(seconds, 0.5), quantile(seconds, 0.99)
    if p50 is None or p99 is None:
        return {"fail_overs": 0}
    return {
        "fail_overs": len(seconds),
        "fail_over_p50_ms": round(p50 * 1000),
        "fail_over_p99_ms": round(p99 * 1000),
        "fail_over_bound_ms": round((lease_s + BEYOND_LEASE_S) * 1000),
        "fail_over_is_within_bound": p99 <= lease_s + BEYOND_LEASE_S,
    }
