"""Requests cut by leader, and their answers put together again."""

import pytest

from simulator.routing import NO_LEADER, NOBODY, group_of, merged, refused, split
from simulator.workload.requests import (
    EARLIEST,
    commit_request,
    create_request,
    fetch_request,
    list_request,
    offset_fetch_request,
    produce_request,
)
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)

LEADERS = {("a", 0): 1, ("a", 1): 2, ("b", 0): 1}


def leader_of(partition: tuple[str, int]) -> int:
    return LEADERS.get(partition, NOBODY)


def test_each_leader_gets_its_partitions_and_nobody_the_rest() -> None:
    offsets = {("a", 0): 1, ("a", 1): 2, ("b", 0): 3, ("c", 0): 4}
    parts = split(fetch_request(offsets), leader_of)
    assert parts is not None
    found = {
        broker: [
            (topic.topic, part.partition, part.fetch_offset)
            for topic in part.topics
            for part in topic.partitions
        ]
        for broker, part in parts.items()
    }
    assert found == {NOBODY: [("c", 0, 4)], 1: [("a", 0, 1), ("b", 0, 3)], 2: [("a", 1, 2)]}


@pytest.mark.parametrize(
    "request_",
    [
        produce_request([(("a", 0), b"x"), (("a", 1), b"y"), (("b", 0), b"z")], acks=-1),
        fetch_request({("a", 0): 1, ("a", 1): 2, ("b", 0): 3}),
        list_request(("a", 1), EARLIEST),
        DeleteRecordsRequest(
            topics=[
                DeleteRecordsTopic(
                    name="b", partitions=[DeleteRecordsPartition(partition_index=0, offset=1)]
                )
            ],
            timeout_ms=1,
        ),
    ],
    ids=["produce", "fetch", "list offsets", "delete records"],
)
def test_the_answers_to_all_parts_are_the_answer_to_the_whole(request_) -> None:
    parts = split(request_, leader_of)
    assert parts is not None
    whole = merged([refused(part) for part in parts.values()])
    assert codes(whole) == codes(refused(request_))
    assert set(codes(whole)) == {NO_LEADER}


def codes(answer: object) -> list[int]:
    topics = getattr(answer, "responses", None) or getattr(answer, "topics", [])
    return [
        part.error_code
        for topic in topics
        for part in (getattr(topic, "partitions", None) or topic.partition_responses)
    ]


def test_what_is_about_a_group_names_it_and_the_rest_is_for_anybody() -> None:
    assert group_of(commit_request("g", {("a", 0): 1})) == "g"
    assert group_of(offset_fetch_request("g", [("a", 0)])) == "g"
    topic = create_request("t", partitions=1, settings={})
    assert group_of(topic) == ""
    assert split(topic, leader_of) is None
