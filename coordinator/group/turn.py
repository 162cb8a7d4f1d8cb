"""One turn of the shard: what a request or a due timer has decided so far.

Steps of the protocol call each other, and any of them may want a record written, a request
answered or a timer set; the turn collects it and makes the outcome.
"""

from __future__ import annotations

from typing import TypeVar

from coordinator.group.timers import Timers
from coordinator.outcome import CoordinatorRecord, Moment, Outcome, Reply, Ticket
from wire.schema import Response

ResponseT = TypeVar("ResponseT", bound=Response)


class Turn:
    """Collects records and replies. Mutable; lives for one call."""

    def __init__(self, now: Moment, timers: Timers) -> None:
        self.now = now
        self.timers = timers
        self.records: list[CoordinatorRecord] = []
        self._replies: dict[Ticket, Response] = {}

    def answer(self, ticket: Ticket | None, response: Response) -> None:
        """Answer the request under `ticket`, if there is one."""
        if ticket is not None:
            assert ticket not in self._replies, "a request is answered once"
            self._replies[ticket] = response

    def outcome(self, ticket: Ticket, kind: type[ResponseT]) -> Outcome[ResponseT]:
        """For a handler whose own request came under `ticket` and may be parked now."""
        own = self._replies.pop(ticket, None)
        assert own is None or isinstance(own, kind)
        return Outcome(tuple(self.records), own, self.replies())

    def replies(self) -> tuple[Reply, ...]:
        """The answers so far, in the order in which they were given."""
        return tuple(Reply(ticket, response) for ticket, response in self._replies.items())
