"""The shared topics of seeds: the main one is always there, and each durability occurs."""

from simulator.plan import Plan
from simulator.workload.topics import MAIN, draw_topics


def test_topics_of_many_seeds() -> None:
    plans = [Plan.draw(seed) for seed in range(60)]
    drawn = [draw_topics(plan) for plan in plans]
    assert drawn == [draw_topics(plan) for plan in plans]
    for plan, topics in zip(plans, drawn, strict=True):
        assert topics[0].name == MAIN
        assert len(topics[0].partitions) == plan.options.partitions
        assert topics[0].is_flushed == (plan.options.flush_messages == 1)
    all_topics = [topic for topics in drawn for topic in topics]
    assert {topic.is_flushed for topic in all_topics} == {True, False}
    settings = {key for topic in all_topics for key, _ in topic.settings}
    assert {"segment.ms", "segment.index.bytes", "compression.type", "flush.ms"} <= settings
