"""What a coordinator's handler gives back: records to append, and replies that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from wire.schema import Response

R = TypeVar("R")

Ticket = int
"""Names a request that may be answered later; the host gives it out, and never twice."""


class Moment(NamedTuple):
    """The time of a call, on both clocks."""

    wall_ms: int
    """For what is stored: commit timestamps, the expiry of offsets."""
    steady_ms: int
    """For timers: never steps back."""


@dataclass(frozen=True, slots=True)
class CoordinatorRecord:
    """One record of a coordinator's partition; a value of None is a tombstone."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The late answer of a request that was parked under `ticket`; error codes are inside."""

    ticket: Ticket
    response: Response


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """`records` are appended as one batch and then replayed, all or none.

    `reply` answers the request handled; None means that it is parked under its ticket. `replies`
    answer requests parked earlier. Both leave once `records` are committed, at once where there
    are none. Where the append fails, whoever waits for either gets the host's error: the shard has
    let go of their tickets.
    """

    records: tuple[CoordinatorRecord, ...]
    reply: R | None
    replies: tuple[Reply, ...] = ()
