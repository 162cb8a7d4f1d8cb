"""One answer made of several, of which some may still have to come.

For requests about many groups, whose shards answer each in its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError

P = TypeVar("P")
R = TypeVar("R")


def gather(
    parts: Sequence[P | Deferred[P]],
    combine: Callable[[list[P]], R],
    failed: Callable[[int, ErrorCode], P] | None = None,
) -> R | Deferred[R]:
    """`combine` of all parts, in their order; at once when none has to be waited for.

    `failed(place, code)` makes the part of one that fails while it waits; without it the whole
    fails.
    """
    waiting = [place for place, part in enumerate(parts) if isinstance(part, Deferred)]
    if not waiting:
        return combine([part for part in parts if not isinstance(part, Deferred)])
    gathered: Gathered[P, R] = Gathered(parts, combine, failed)
    gathered.start()
    return gathered


class Gathered(Deferred[R], Generic[P, R]):
    """The whole, while parts of it are to come. It does not block: the parts have taken effect."""

    __slots__ = ("_combine", "_failed", "_parts", "_remaining", "_values")

    def __init__(
        self,
        parts: Sequence[P | Deferred[P]],
        combine: Callable[[list[P]], R],
        failed: Callable[[int, ErrorCode], P] | None,
    ) -> None:
        super().__init__(blocks=False)
        self._parts = parts
        self._combine = combine
        self._failed = failed
        self._values: dict[int, P] = {}
        self._remaining = len(parts)
        self.on_abandon = self._abandon_parts

    def start(self) -> None:
        """Wait for each part."""
        for place, part in enumerate(self._parts):
            if isinstance(part, Deferred):
                self._wait_for(place, part)
            else:
                self._arrived(place, part)

    def _wait_for(self, place: int, part: Deferred[P]) -> None:
        def arrived(value: P | None) -> None:
            assert value is not None, "a part of an answer has a value"
            self._arrived(place, value)

        def fail(error: Exception) -> None:
            if self._failed is None:
                self._abandon_parts()
                self.fail(error)
                return
            code = error.code if isinstance(error, KafkaError) else ErrorCode.UNKNOWN_SERVER_ERROR
            self._arrived(place, self._failed(place, code))

        part.then(arrived, on_error=fail)

    def _arrived(self, place: int, value: P) -> None:
        self._values[place] = value
        self._remaining -= 1
        if self._remaining == 0:
            self._parts = ()
            values = [self._values[each] for each in sorted(self._values)]
            self.guard(lambda: self.settle(self._combine(values)))

    def _abandon_parts(self) -> None:
        parts, self._parts = self._parts, ()
        for part in parts:
            if isinstance(part, Deferred):
                part.abandon()
