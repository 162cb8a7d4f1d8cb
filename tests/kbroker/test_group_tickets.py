"""Parked requests are answered once or forgotten; answers to a write leave when it is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kbroker.group_tickets import CommitWait, Tickets, teller
from kbroker.watch import Deadlines, Deferred
from tests.kbroker.connection_harness import TurnLoop
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatResponse
from wire.schema import Response

ANSWER = HeartbeatResponse(error_code=0)
ANSWERS = [HeartbeatResponse(error_code=code) for code in range(3)]


@pytest.fixture
def loop() -> Iterator[TurnLoop]:
    made = TurnLoop()
    yield made
    made.close()


def test_a_ticket_is_never_given_out_twice() -> None:
    tickets = Tickets()
    given = [tickets.next() for _ in range(5)]
    assert len(set(given)) == 5


def test_a_parked_request_blocks_its_connection_until_it_is_taken_and_answered() -> None:
    tickets = Tickets()
    ticket = tickets.next()
    parked = tickets.park(ticket)
    told: list[Response | None] = []
    parked.then(told.append)
    assert parked.blocks
    taken = tickets.take(ticket)
    assert taken is parked
    taken.settle(ANSWER)
    assert told == [ANSWER]
    assert tickets.take(ticket) is None
    assert len(tickets) == 0


def test_a_request_whose_client_is_gone_leaks_nothing() -> None:
    tickets = Tickets()
    parked = [(ticket, tickets.park(ticket)) for ticket in (tickets.next(), tickets.next())]
    (first, gone), (second, stays) = parked
    gone.abandon()
    assert len(tickets) == 1
    assert tickets.take(first) is None
    assert tickets.take(second) is stays


class Written:
    """A partition as far as waiting for its commits goes. Mutable."""

    def __init__(self) -> None:
        self.waiters: list[tuple[int, Callable[[ErrorCode], None]]] = []

    def when_acknowledged(
        self, last_offset: int, required_acks: int, waiter: Callable[[ErrorCode], None]
    ) -> None:
        assert required_acks == -1
        self.waiters.append((last_offset, waiter))


class Told:
    """A deferred answer and what came of it. Mutable."""

    def __init__(self) -> None:
        self.deferred: Deferred[Response] = Deferred(blocks=True)
        self.answers: list[object] = []
        self.deferred.then(self.answers.append, on_error=self._failed)

    def _failed(self, error: Exception) -> None:
        assert isinstance(error, KafkaError)
        self.answers.append(error.code)


def started(loop: TurnLoop, *, count: int) -> tuple[Written, list[Told]]:
    partition = Written()
    told = [Told() for _ in range(count)]
    wait = CommitWait(
        [teller(each.deferred, ANSWERS[place]) for place, each in enumerate(told)],
        as_error=lambda code: ErrorCode(code + 1),
        deadlines=Deadlines(loop),
    )
    wait.start(partition, 7, timeout_ms=1000)  # type: ignore[arg-type]
    return partition, told


def test_everybody_is_answered_when_the_write_is_committed(loop: TurnLoop) -> None:
    partition, told = started(loop, count=3)
    ((last_offset, waiter),) = partition.waiters
    assert last_offset == 7
    assert [each.answers for each in told] == [[], [], []]
    waiter(ErrorCode.NONE)
    assert [each.answers for each in told] == [[each] for each in ANSWERS]
    loop.advance(2)
    assert [each.answers for each in told] == [[each] for each in ANSWERS]


def test_a_write_that_is_committed_is_timed_no_longer(loop: TurnLoop) -> None:
    partition, errors = Written(), []

    def as_error(code: ErrorCode) -> ErrorCode:
        errors.append(code)
        return code

    wait = CommitWait(
        [teller(Told().deferred, ANSWER)], as_error=as_error, deadlines=Deadlines(loop)
    )
    wait.start(partition, 7, timeout_ms=1000)  # type: ignore[arg-type]
    partition.waiters[0][1](ErrorCode.NONE)
    loop.advance(2)
    assert errors == []


def test_a_write_that_fails_is_told_in_the_coordinators_words(loop: TurnLoop) -> None:
    partition, told = started(loop, count=2)
    partition.waiters[0][1](ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert [each.answers for each in told] == [[7], [7]]


def test_a_write_that_takes_too_long_is_answered_and_a_late_commit_changes_nothing(
    loop: TurnLoop,
) -> None:
    partition, told = started(loop, count=2)
    loop.advance(0.99)
    assert told[0].answers == []
    loop.advance(0.1)
    assert told[0].answers == [ErrorCode(ErrorCode.REQUEST_TIMED_OUT + 1)]
    partition.waiters[0][1](ErrorCode.NONE)
    assert len(told[1].answers) == 1


def test_one_client_that_is_gone_does_not_keep_the_others_waiting(loop: TurnLoop) -> None:
    partition, told = started(loop, count=2)
    told[0].deferred.abandon()
    partition.waiters[0][1](ErrorCode.NONE)
    assert [each.answers for each in told] == [[], [ANSWERS[1]]]
