"""What a link expects of a broker, and what it finds wrong with one: without any."""

from __future__ import annotations

from collections import Counter
from struct import pack

import pytest

from tests.fuzz.broker_inputs import HANG_UP, Learned, broker_input, is_heavy
from tests.fuzz.broker_link import Heavy, Link
from wire.frame import request_frame, response_frame
from wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from wire.messages.produce import ProduceRequest


class Wire:
    """A transport that keeps what is written. Mutable."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        pass


def link_with(findings: list[str]) -> Link:
    link = Link(1, Learned(), Counter(), lambda: None, findings.append)
    link.connection_made(Wire())  # type: ignore[arg-type]
    return link


def joined(parts) -> bytes:
    return b"".join(map(bytes, parts))


def heartbeat(number: int) -> bytes:
    request = HeartbeatRequest(group_id="g", generation_id=1, member_id="m")
    return joined(request_frame(request, 4, number, "x"))


def answer(number: int) -> bytes:
    return joined(response_frame(HeartbeatResponse(error_code=0), 4, number))


def test_right_answers_in_their_order_are_no_finding() -> None:
    findings: list[str] = []
    link = link_with(findings)
    data = heartbeat(1) + heartbeat(2)
    link.send(data[:7])
    assert not link.waits_for_answer
    link.send(data[7:])
    assert link.waits_for_answer
    answers = answer(1) + answer(2)
    link.data_received(answers[:5])
    link.data_received(answers[5:])
    assert not link.waits_for_answer
    assert findings == []


@pytest.mark.parametrize(
    "answers",
    [
        answer(2),
        answer(1) + answer(2),
        answer(1) + answer(1),
        pack(">ii", 4, 1),
        pack(">i", len(answer(1)) - 3) + answer(1)[4:] + b"x",
    ],
    ids=["out of order", "unasked", "twice", "cut", "too long"],
)
def test_wrong_answers_are_found(answers: bytes) -> None:
    findings: list[str] = []
    link = link_with(findings)
    link.send(heartbeat(1))
    link.data_received(answers)
    assert len(findings) == 1


@pytest.mark.parametrize(
    ("data", "doomed"),
    [
        (heartbeat(1), False),
        (pack(">i", -1), True),
        (pack(">i", (100 << 20) + 1), True),
        (pack(">ihhihb", 11, 0, 99, 1, 0, 0), True),
        (pack(">ihhihb", 11, 999, 0, 1, 0, 0), True),
        (pack(">ihhihb", 11, 18, 99, 1, 0, 0), False),
        (pack(">ihhih", 10, 12, 0, 1, 0), True),
        (b"\0\0", False),
    ],
)
def test_what_ends_a_connection(data: bytes, doomed: bool) -> None:
    findings: list[str] = []
    link = link_with(findings)
    link.send(data)
    assert link.is_doomed is doomed
    link.connection_lost(None)
    assert bool(findings) is not doomed


def test_a_version_of_api_versions_that_nobody_knows_is_answered_in_version_0() -> None:
    findings: list[str] = []
    link = link_with(findings)
    link.send(pack(">ihhihb", 11, 18, 99, 5, 0, 0))
    response = ApiVersionsResponse(error_code=35, api_keys=[])
    link.data_received(joined(response_frame(response, 0, 5)))
    assert findings == []
    assert not link.expected


def test_acks_0_may_be_answered_by_silence_or_by_the_end() -> None:
    findings: list[str] = []
    link = link_with(findings)
    silent = ProduceRequest(acks=0, timeout_ms=1, topic_data=[])
    link.send(joined(request_frame(silent, 9, 1, "x")) + heartbeat(2))
    link.data_received(answer(2))
    link.send(joined(request_frame(silent, 9, 3, "x")))
    link.connection_lost(None)
    assert findings == []


def test_who_left_expects_nothing() -> None:
    findings: list[str] = []
    link = link_with(findings)
    link.send(heartbeat(1))
    link.leave()
    link.connection_lost(None)
    assert findings == []
    assert not link.waits_for_answer


def test_what_the_disk_would_take_long_for_is_not_sent() -> None:
    topic = CreatableTopic(
        name="t", num_partitions=1000, replication_factor=1, assignments=[], configs=[]
    )
    request = CreateTopicsRequest(topics=[topic])
    assert is_heavy(request)
    assert not is_heavy(ApiVersionsRequest())
    link = link_with([])
    with pytest.raises(Heavy):
        link.send(joined(request_frame(request, 7, 1, "x")))
    assert not link.expected


def test_inputs_are_a_function_of_seed_and_index() -> None:
    for index in range(50):
        assert broker_input(3, index, Learned()) == broker_input(3, index, Learned())
    parts = [part for index in range(300) for part in broker_input(3, index, Learned())[1]]
    assert HANG_UP in parts
    assert len({part[4:6] for part in parts}) > 30, "requests of many APIs"
