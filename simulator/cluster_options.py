"""What one run of a cluster is like: the options of its brokers, and how the others are drawn.

Counterpart: `options`, whose table holds for clusters too, drawn for shorter runs: as many brokers
take as many times the work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from simulator.options import Options, chance_of, draw_options


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """`--set name=value` changes one of them, as those of `Options`."""

    brokers: int
    replication_factor: int
    min_isr: int
    session_timeout_ms: int
    """How long a broker may be silent before the others go on without it."""
    replica_lag_ms: int
    """How far a follower may be behind in the ISR."""


def draw_cluster_options(seed: int) -> tuple[Options, ClusterOptions]:
    """Of the run, and of its brokers."""

    def chance(name: str) -> int:
        return chance_of(seed, f"cluster/{name}").getrandbits(32)

    def one_of(name: str, *values: int) -> int:
        return values[chance(name) % len(values)]

    base = draw_options(seed)
    options = replace(
        base,
        safety_s=round(base.safety_s / 3 + 20, 1),
        liveness_s=240.0,
        partitions=one_of("partitions", 1, 1, 2, 3),
        flush_messages=1 if one_of("flush_messages", *range(20)) < 17 else 1_000_000,
        producers=one_of("producers", 0, 0, 1),
        idempotent_producers=one_of("idempotent_producers", 1, 1, 2),
        readers=one_of("readers", 0, 1, 1),
        more_topics=one_of("more_topics", 0, 0, 1),
        bursts=one_of("bursts", 4, 8, 16, 32),
        groups=one_of("groups", 0, 1, 1),
        members=one_of("members", 1, 1, 2),
        admins=0,
        aiokafka=False,
    )
    brokers = ClusterOptions(
        brokers=one_of("brokers", 3, 3, 3, 4, 5),
        replication_factor=3,
        min_isr=one_of("min_isr", 2, 2, 2, 1),
        session_timeout_ms=one_of("session_timeout_ms", 2_000, 6_000, 6_000, 9_000),
        replica_lag_ms=one_of("replica_lag_ms", 1_500, 5_000, 10_000, 30_000),
    )
    return options, brokers
