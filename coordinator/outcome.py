"""What a coordinator's handler gives back: records to append, and the reply that waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class CoordinatorRecord:
    """One record of a coordinator's partition; a value of None is a tombstone."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """`records` are appended as one batch and then replayed, all or none; `reply` leaves once they
    are committed, at once where there are none."""

    records: tuple[CoordinatorRecord, ...]
    reply: R
