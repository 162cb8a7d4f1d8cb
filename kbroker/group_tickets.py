"""Requests to a coordinator that wait: parked under a ticket, or answered but not yet safe.

Counterparts: `coordination`, which hands out the tickets, and `coordinator.outcome`, where a shard
names the ticket that it answers late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from coordinator.outcome import Ticket
from kbroker.replication.partition import Partition
from kbroker.watch import Deadlines, Deferred
from wire.errors import ErrorCode, KafkaError
from wire.schema import Response

R = TypeVar("R")

ALL_REPLICAS = -1


class Tickets:
    """The requests that wait for other members. Mutable.

    A parked request blocks its connection, so there are never more than connections. One whose
    client is gone is forgotten here at once; the shard does not know and may answer it: nobody
    hears that.
    """

    def __init__(self) -> None:
        self._last = 0
        self._parked: dict[Ticket, Deferred[Response]] = {}

    def __len__(self) -> int:
        return len(self._parked)

    def next(self) -> Ticket:
        """A ticket that was never given out before."""
        self._last += 1
        return self._last

    def park(self, ticket: Ticket) -> Deferred[Response]:
        """The answer to come for `ticket`, until then the connection's later requests wait."""
        deferred: Deferred[Response] = Deferred(blocks=True)
        deferred.on_abandon = lambda: self._forget(ticket)
        self._parked[ticket] = deferred
        return deferred

    def take(self, ticket: Ticket) -> Deferred[Response] | None:
        """Who waits for the answer of `ticket`; None: nobody any more."""
        return self._parked.pop(ticket, None)

    def _forget(self, ticket: Ticket) -> None:
        self._parked.pop(ticket, None)


class CommitWait(Generic[R]):
    """Answers that leave together, once what they tell of is committed. Mutable.

    One wait for each write, however many members it answers.
    """

    __slots__ = ("_answers", "_as_error", "_bucket", "_deadlines")

    def __init__(
        self,
        answers: Sequence[tuple[Deferred[Any], object]],
        *,
        as_error: Callable[[ErrorCode], ErrorCode],
        deadlines: Deadlines,
    ) -> None:
        """`as_error` says what a failed write means to the clients of this coordinator."""
        self._answers = answers
        self._as_error = as_error
        self._deadlines = deadlines
        self._bucket = -1

    def start(self, partition: Partition, last_offset: int, *, timeout_ms: int) -> None:
        """Answer once `last_offset` is committed, with an error when that takes too long."""
        self._bucket = self._deadlines.add(timeout_ms, self.expire)
        partition.when_acknowledged(last_offset, ALL_REPLICAS, self.committed)

    def committed(self, code: ErrorCode) -> None:
        """The write is safe, or never will be."""
        self._deadlines.remove(self._bucket, self.expire)
        answers, self._answers = self._answers, ()
        for deferred, answer in answers:
            if code:
                deferred.fail(KafkaError(self._as_error(code)))
            else:
                deferred.settle(answer)

    def expire(self) -> None:
        """The records may or may not be committed one day; the members have to ask again."""
        self.committed(ErrorCode.REQUEST_TIMED_OUT)
