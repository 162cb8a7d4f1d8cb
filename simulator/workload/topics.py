"""The topics that a run's producers, groups and readers share: drawn from the seed, never deleted.

Records carry the time of the broker's clock when they were made. No retention by age and no limit
to timestamps: clocks step in a simulation, and neither may take records then.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.options import chance_of
from simulator.plan import Plan

if TYPE_CHECKING:
    from simulator.workload.requests import Partition

MAIN = "load"
FOREVER_MS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """`settings` are the topic's own. `is_flushed`: a power loss may take nothing answered."""

    name: str
    partition_count: int
    settings: tuple[tuple[str, str], ...]
    is_flushed: bool

    @property
    def partitions(self) -> list[Partition]:
        return [(self.name, index) for index in range(self.partition_count)]


def draw_topics(plan: Plan) -> tuple[TopicPlan, ...]:
    """The first one is always there, with the broker's durability."""
    options = plan.options
    chance = chance_of(plan.seed, "topics")
    topics = [_draw_topic(chance, MAIN, options.partitions, options.flush_messages)]
    for number in range(options.more_topics):
        name = f"more-{number}"
        topics.append(_draw_topic(chance, name, chance.randint(1, 2), options.flush_messages))
    return tuple(topics)


def _draw_topic(
    chance: random.Random, name: str, partition_count: int, flush_messages: int
) -> TopicPlan:
    settings = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(FOREVER_MS)}
    if chance.random() < 0.4:
        settings["segment.ms"] = str(chance.choice([1_000, 5_000, 20_000]))
    if chance.random() < 0.3:
        settings["index.interval.bytes"] = "0"
        settings["segment.index.bytes"] = str(chance.choice([24, 48, 120]))
    if chance.random() < 0.25:
        settings["compression.type"] = chance.choice(["gzip", "snappy", "lz4", "zstd"])
    if chance.random() < 0.2:
        settings["message.timestamp.type"] = "LogAppendTime"
    if name != MAIN and chance.random() < 0.5:
        flush_messages = 1 if flush_messages != 1 else chance.choice([7, 1_000_000])
        settings["flush.messages"] = str(flush_messages)
    if flush_messages != 1 and chance.random() < 0.3:
        settings["flush.ms"] = str(chance.choice([100, 3_000]))
    return TopicPlan(name, partition_count, tuple(settings.items()), flush_messages == 1)
