"""Cuts the bytes of a connection into frames, with one receive buffer for all connections.

A socket is read into the loop's shared buffer; whole frames are handed out as views of it, with no
copy. Only what is left at the end of the turn (a cut frame, or frames behind a request that blocks)
moves to a buffer of the connection's own, which grows as bytes arrive: a client that announces
100 MB and sends nothing costs nothing. Own buffers are charged to a budget; past it, connections
stop reading until others are done.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

SHARED_BUFFER_BYTES = 256 * 1024
"""Large enough for many small frames in one system call, small enough that the cut first part of a
large frame is cheap to move."""

GROWTH_FACTOR = 4
"""An own buffer is at most this many times what has arrived."""

LEAST_OWN_BYTES = 4096
"""Where an own buffer begins."""

POOL_BUFFERS = 8
POOLED_BUFFER_BYTES = 2 * 1024 * 1024
"""Own buffers up to this size are kept for the next large frame, this many of them."""

_LENGTH = Struct(">i")


def least_growth(held: int, whole: int) -> int:
    """The least buffer that one with `held` bytes is moved to, so that the copies of a frame add
    up to a few times its size, also where many share what is left of the budget."""
    return min(whole, held + held // 2 + LEAST_OWN_BYTES)


class FrameTooLarge(Exception):
    """A length prefix below 0 or above `socket.request.max.bytes`: the client is hung up on."""


class ReceiveMemory:
    """The memory that all connections of one loop receive into; a budget of -1 is no limit."""

    def __init__(self, *, budget_bytes: int, max_frame_bytes: int) -> None:
        self.shared = memoryview(bytearray(SHARED_BUFFER_BYTES))
        self.max_frame_bytes = max_frame_bytes
        self.budget_bytes = budget_bytes
        self._used_bytes = 0
        self._holders = 0
        self._parked = 0
        self._pool: list[bytearray] = []
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def used_bytes(self) -> int:
        """Bytes of own buffers in use now."""
        return self._used_bytes

    @property
    def exhausted(self) -> bool:
        """Whether more is in use than the budget allows."""
        return 0 <= self.budget_bytes < self._used_bytes

    def must_wait(self, resume: Callable[[], None], growth: int = 0) -> bool:
        """Whether a connection with a partial frame has to stop reading; `resume` is then called
        once there is room. `growth` is the buffer that it cannot read on without, 0 where it can.
        The last holder that still reads never waits: somebody has to finish."""
        if self._has_room(growth) or self._has_one_reader():
            return False
        self._waiting[resume] = None
        return True

    def _has_room(self, size: int) -> bool:
        return not 0 <= self.budget_bytes < self._used_bytes + size

    def _has_one_reader(self) -> bool:
        return len(self._waiting) + 1 >= self._holders - self._parked

    def granted(self, *, held: int, wanted: int, whole: int) -> int:
        """How large a buffer may grow that holds `held` bytes of a frame of `whole`. Past the
        budget it is no more than what has to be kept, but for the last one that reads: it has its
        frame at once, so that nothing is held twice while it grows."""
        if self._has_room(wanted):
            return wanted
        if self._holders and self._has_one_reader():
            return whole
        least = least_growth(held, whole)
        if self._has_room(least):
            return max(least, self.budget_bytes - self._used_bytes)
        return min(whole, held + LEAST_OWN_BYTES)

    def park(self, change: int) -> None:
        """`change` (+1 or -1) holders wait for something else than bytes: a flush, a long poll."""
        self._parked += change
        self._resume_waiting()

    def take(self, size: int) -> bytearray:
        """A buffer of at least `size` bytes, charged to the budget."""
        buffer = None
        if size <= POOLED_BUFFER_BYTES:
            for index, candidate in enumerate(self._pool):
                if len(candidate) >= size:
                    buffer = self._pool.pop(index)
                    break
        if buffer is None:
            buffer = bytearray(size)
        self._used_bytes += len(buffer)
        self._holders += 1
        return buffer

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer; no view of it may be alive."""
        self._used_bytes -= len(buffer)
        self._holders -= 1
        is_poolable = SHARED_BUFFER_BYTES <= len(buffer) <= POOLED_BUFFER_BYTES
        if is_poolable and len(self._pool) < POOL_BUFFERS:
            self._pool.append(buffer)
        self._resume_waiting()

    def _resume_waiting(self) -> None:
        reading = self._holders - self._parked - len(self._waiting)
        if self._waiting and (not self.exhausted or reading <= 0):
            waiting, self._waiting = self._waiting, {}
            for resume in waiting:
                resume()

    def forget(self, resume: Callable[[], None]) -> None:
        """The connection closed: it waits no longer."""
        self._waiting.pop(resume, None)


class FrameReader:
    """The incoming bytes of one connection.

    Use: `buffer()` → the socket writes → `received(n)` → `next_frame()` until it gives None, or the
    connection wants to stop → `keep_rest()`. A frame is valid until `keep_rest` or the next
    `buffer()`. A request that outlives its turn must copy what it needs, or block its connection
    with the frame in an own buffer (`owns_frames`), where it stays until `keep_rest` is called.
    """

    __slots__ = (
        "_current",
        "_end",
        "_max_frame_bytes",
        "_memory",
        "_own",
        "_own_view",
        "_start",
    )

    def __init__(self, memory: ReceiveMemory) -> None:
        self._memory = memory
        self._max_frame_bytes = memory.max_frame_bytes
        self._own: bytearray | None = None
        self._own_view: memoryview | None = None
        self._current = memory.shared
        self._start = 0
        self._end = 0

    @property
    def owns_frames(self) -> bool:
        """Whether the frames handed out lie in a buffer that no other connection writes to."""
        return self._own is not None

    @property
    def partial_bytes(self) -> int:
        """Bytes kept from earlier turns that are not a frame yet."""
        return self._end - self._start if self._own is not None else 0

    @property
    def growth_bytes(self) -> int:
        """The buffer that is needed before anything can be read; 0 where there is room."""
        if self._own is None or self._end < len(self._own):
            return 0
        rest = self._current[self._start : self._end]
        return least_growth(len(rest), self._room_for(rest))

    def buffer(self) -> memoryview:
        """Where the socket is to write next; never empty."""
        if self._own is None:
            self._start = self._end = 0
            self._current = self._memory.shared
            if self._memory.exhausted:
                # What is cut has to be kept: many newcomers must not do so with much each.
                return self._current[:LEAST_OWN_BYTES]
            return self._current
        if self._start:
            self._compact()
        assert self._own_view is not None
        total = self._frame_size(self._own_view, self._end)
        if self._end == len(self._own):
            self._adopt(self._own_view[: self._end])  # grow: the frame goes on
        # Never past the frame: the next one starts in the shared buffer again.
        return self._own_view[self._end : min(total, len(self._own))]

    def received(self, count: int) -> None:
        """`count` bytes were written to `buffer()`."""
        self._end += count

    def next_frame(self) -> memoryview | None:
        """The next whole frame without its length prefix; raises FrameTooLarge."""
        start = self._start
        available = self._end - start
        if available < 4:
            return None
        (size,) = _LENGTH.unpack_from(self._current, start)
        if not 0 <= size <= self._max_frame_bytes:
            raise FrameTooLarge(size)
        if available - 4 < size:
            return None
        self._start = start + 4 + size
        return self._current[start + 4 : start + 4 + size]

    def keep_rest(self) -> None:
        """End of the turn: what was not handed out moves out of the shared buffer."""
        rest = self._end - self._start
        if self._own is None:
            if rest:
                self._adopt(self._current[self._start : self._end])
        elif not rest:
            self.drop()

    def drop(self) -> None:
        """Give the own buffer back: nothing is kept."""
        if self._own is not None:
            assert self._own_view is not None
            own, self._own, self._own_view = self._own, None, None
            self._memory.give_back(own)
        self._current = self._memory.shared
        self._start = self._end = 0

    def _compact(self) -> None:
        assert self._own_view is not None
        self._adopt(self._own_view[self._start : self._end])

    def _frame_size(self, front: memoryview, available: int) -> int:
        """Bytes of the frame at the front of a buffer, prefix included (4 if not yet known)."""
        if available < 4:
            return 4
        (size,) = _LENGTH.unpack_from(front, 0)
        if not 0 <= size <= self._memory.max_frame_bytes:
            raise FrameTooLarge(size)
        return 4 + int(size)

    def _room_for(self, rest: memoryview) -> int:
        try:
            return self._frame_size(rest, len(rest))
        except FrameTooLarge:
            return len(rest)  # `next_frame` says so when its turn comes

    def _adopt(self, rest: memoryview) -> None:
        """Move `rest` to the front of an own buffer with room for more of its frame."""
        size = len(rest)
        total = self._room_for(rest)
        wanted = min(total, max(GROWTH_FACTOR * size, LEAST_OWN_BYTES))
        granted = self._memory.granted(held=size, wanted=wanted, whole=total)
        own = self._memory.take(max(size, granted))
        own[:size] = rest
        old = self._own
        self._own, self._own_view = own, memoryview(own)
        self._current = self._own_view
        self._start, self._end = 0, size
        if old is not None:
            self._memory.give_back(old)
