"""Requests that name partitions of several topics, and values that come back out of a batch."""

from simulator.workload.requests import (
    commit_request,
    fetch_request,
    make_batch,
    offset_fetch_request,
    produce_request,
    values_in,
)

PLACES = {("t", 1): 4, ("u", 0): 5, ("t", 0): 6}


def test_partitions_are_grouped_by_topic() -> None:
    assert [topic.name for topic in commit_request("g", PLACES).topics] == ["t", "u"]
    (fetched, _) = fetch_request(PLACES).topics
    assert [(each.partition, each.fetch_offset) for each in fetched.partitions] == [(1, 4), (0, 6)]
    produced = produce_request([(place, b"") for place in PLACES], acks=1)
    assert [len(topic.partition_data) for topic in produced.topic_data] == [2, 1]
    asked = offset_fetch_request("g", PLACES).groups[0].topics
    assert [topic.partition_indexes for topic in asked] == [[1, 0], [0]]


def test_values_come_back() -> None:
    data = make_batch([b"a", b"b"], timestamp_ms=5)
    assert values_in(memoryview(data)) == [(0, b"a"), (1, b"b")]
    assert values_in(None) == []
