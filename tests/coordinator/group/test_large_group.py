"""A group of 200: the work grows with the members, never with their square for one of them.

Work is counted, not timed: lines of the coordinator that run. What a leader is sent, and what is
stored, names every member, so a rebalance of n members may cost n for each of those few answers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from coordinator.group.settings import Client
from tests.coordinator.host import Host
from tests.coordinator.requests import join_request, sync_request
from wire.errors import ErrorCode
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.join_group import JoinGroupResponse

MEMBERS = 200
LINES_PER_REQUEST = 250
"""Of one that concerns its member alone; measured: at most 130."""
LINES_PER_MEMBER = 250
"""Of a request that completes a rebalance: for each member; measured: at most 90."""


class Work:
    """Lines of the coordinator that have run. Mutable."""

    def __init__(self) -> None:
        self.lines = 0


@contextmanager
def counted() -> Iterator[Work]:
    work = Work()

    def line(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        work.lines += event == "line"
        return line

    def call(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        return line if "/coordinator/group/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield work
    finally:
        sys.settrace(before)


def join(host: Host, name: str, member_id: str = "") -> int:
    options = {"version": "3", "member": member_id, "session": "60000", "rebalance": "60000"}
    request, version = join_request("g", options)
    ticket, _ = host.ask(
        lambda ticket: host.shard.handle_join_group(
            request, version=version, client=Client(name, "/"), ticket=ticket, now=host.now
        )
    )
    return ticket


def sync(host: Host, member_id: str, generation: int, assign: str = "") -> int:
    options = {"member": member_id, "generation": str(generation), "assign": assign}
    request, version = sync_request("g", options)
    ticket, _ = host.ask(
        lambda ticket: host.shard.handle_sync_group(
            request, version=version, ticket=ticket, now=host.now
        )
    )
    return ticket


class Quiet(Host):
    """Does not compare with a rebuilt shard at every record: that is no work of the shard's."""

    def check_replay(self) -> None:
        pass


def test_two_hundred_join_are_assigned_beat_and_rebalance() -> None:
    host = Quiet()
    tickets = []
    for index in range(MEMBERS):
        with counted() as work:
            tickets.append(join(host, f"c{index}"))
        assert work.lines <= LINES_PER_REQUEST, f"join of member {index}"
    with counted() as work:
        host.due()
    assert work.lines <= LINES_PER_MEMBER * MEMBERS
    joined = [host.answers[ticket] for ticket in tickets]
    members = [each.member_id for each in joined if isinstance(each, JoinGroupResponse)]
    assert len(set(members)) == MEMBERS
    assert [len(each.members) for each in joined if isinstance(each, JoinGroupResponse)] == [
        MEMBERS,
        *[0] * (MEMBERS - 1),
    ]

    for member_id in members[1:]:
        with counted() as work:
            sync(host, member_id, 1)
        assert work.lines <= LINES_PER_REQUEST
    with counted() as work:
        sync(host, members[0], 1, ",".join(f"{each}:t" for each in members))
    assert work.lines <= LINES_PER_MEMBER * MEMBERS
    assert not host.parked

    moves = host.shard._timers.work
    with counted() as work:
        for member_id in members:
            request = HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id)
            outcome = host.shard.handle_heartbeat(request, now=host.now)
            assert outcome.reply is not None
            assert outcome.reply.error_code == ErrorCode.NONE
            host.shard.next_deadline_ms()
    assert work.lines <= LINES_PER_REQUEST * MEMBERS
    assert host.shard._timers.work - moves <= 2 * MEMBERS

    join(host, "late")
    for member_id in members[:-1]:
        with counted() as work:
            join(host, "", member_id)
        assert work.lines <= LINES_PER_REQUEST
    with counted() as work:
        last = join(host, "", members[-1])
    assert work.lines <= LINES_PER_MEMBER * MEMBERS
    answer = host.answers[last]
    assert isinstance(answer, JoinGroupResponse)
    assert answer.generation_id == 2


def test_the_sessions_of_two_hundred_end_at_once() -> None:
    host = Quiet()
    for index in range(MEMBERS):
        join(host, f"c{index}")
    host.due()
    with counted() as work:
        host.advance(60_000)
    assert work.lines <= LINES_PER_MEMBER * MEMBERS
    group = host.group("g")
    assert group is not None
    assert not group.members
