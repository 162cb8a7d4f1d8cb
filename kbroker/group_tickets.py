"""Requests to a coordinator that wait: parked under a ticket, or answered but not yet safe.

Counterparts: `coordination`, which hands out the tickets, and `coordinator.outcome`, where a shard
names the ticket that it answers late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from coordinator.outcome import Ticket
from kbroker.replication.partition import Partition
from kbroker.watch import Deadlines, Deferred
from wire.errors import ErrorCode, KafkaError
from wire.schema import Response

R = TypeVar("R")

ALL_REPLICAS = -1

Teller = Callable[[ErrorCode], None]
"""Answers one request that waits for a write: NONE, or why the write is not safe."""


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


class CommitWait:
    """Answers that leave together, once what they tell of is committed. Mutable.

    One wait for each write, however many members it answers.
    """

    __slots__ = ("_as_error", "_bucket", "_deadlines", "_tellers")

    def __init__(
        self,
        tellers: Sequence[Teller],
        *,
        as_error: Callable[[ErrorCode], ErrorCode],
        deadlines: Deadlines,
    ) -> None:
        """`as_error` says what a failed write means to the clients of this coordinator."""
        self._tellers = tellers
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
        tellers, self._tellers = self._tellers, ()
        told = self._as_error(code) if code else code
        for tell in tellers:
            tell(told)

    def expire(self) -> None:
        """The records may or may not be committed one day; the members have to ask again."""
        self.committed(ErrorCode.REQUEST_TIMED_OUT)


def teller(deferred: Deferred[R], answer: R) -> Teller:
    """Gives `deferred` its answer, or the error that took its place."""

    def tell(code: ErrorCode) -> None:
        if code:
            deferred.fail(KafkaError(code))
        else:
            deferred.settle(answer)

    return tell
