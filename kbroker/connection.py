"""One client's connection: frames in, answers out, in the order of the requests.

A request starts as soon as the previous one has taken effect; its answer keeps its place in a queue
of slots. Only a request that waits *before* its effect (a parked Fetch, a join) blocks the requests
behind it. Counterparts: `receive_buffer` cuts the frames, `output` writes the answers, `dispatch`
runs the requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from kbroker.config.listeners import Listener
from kbroker.output import OutputQueue, Part
from kbroker.receive_buffer import FrameReader, FrameTooLarge, ReceiveMemory
from wire.records.file_slice import FileSlice

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`slots`: requests whose answers are still to come; more are not read. `held_bytes`: of those
    requests, and of answers that wait for those before them. The turn's limits are what one
    connection may do before the loop serves the others."""

    slots: int = 256
    held_bytes: int = 32 * 1024 * 1024
    turn_requests: int = 64
    turn_bytes: int = 1024 * 1024


class Abandonable(Protocol):
    def abandon(self) -> None: ...


class Slot:
    """The place of one answer in the order of requests."""

    __slots__ = ("blocks", "filled", "held_bytes", "parts", "waiting_for")

    def __init__(self, *, blocks: bool, held_bytes: int) -> None:
        self.blocks = blocks
        self.filled = False
        self.held_bytes = held_bytes
        self.parts: list[Part] = []
        self.waiting_for: Abandonable | None = None


class ConnectionOwner(Protocol):
    """What a connection needs of the server that made it."""

    memory: ReceiveMemory
    limits: ConnectionLimits
    dispatch: Callable[[memoryview, Connection], None]
    """Runs one request, which answers through `answer`, or `reserve` and `fill`."""

    def opened(self, connection: Connection) -> bool:
        """Whether one more connection may be served."""
        ...

    def closed(self, connection: Connection) -> None: ...

    def hung_up(self, reason: str) -> None:
        """The connection is closed because of what its client sent: `reason` is counted."""
        ...


class Connection(asyncio.BufferedProtocol):
    """The state of one connection. Everything happens in the loop's callbacks, without a task."""

    def __init__(
        self, owner: ConnectionOwner, listener: Listener, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.listener = listener
        self.local_address: tuple[str, int] = ("", 0)
        self.peer_address: tuple[str, int] = ("", 0)
        self.active = True  # something came or left since the last look for idle connections
        self.idle_looks = 0  # how many looks in a row found nothing
        self._owner = owner
        self._loop = loop
        self._reader = FrameReader(owner.memory)
        self._slots: deque[Slot] = deque()
        self._blockers = 0
        self._frame_bytes = 0  # of the request just dispatched
        self._held_bytes = 0
        self._pausing = False  # the socket is not read
        self._parked = False  # memory is held, and its holder does not read
        self._finishing = False  # no new request is started
        self._closing = False
        self._continue_scheduled = False

    @property
    def is_closing(self) -> bool:
        """Whether it was hung up on, although it may still take what was answered."""
        return self._closing

    @property
    def waiting(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._slots)

    def waits(self) -> Iterator[Abandonable | None]:
        """What each request waits for that is begun and not answered, where that is known."""
        return (slot.waiting_for for slot in self._slots if not slot.filled)

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.local_address = _address(transport.get_extra_info("sockname"))
        self.peer_address = _address(transport.get_extra_info("peername"))
        self._output = OutputQueue(self._transport, self._loop, on_drained=self._proceed)
        if not self._owner.opened(self):
            self.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.active = True
        self._reader.received(nbytes)
        self._process()

    def eof_received(self) -> bool:
        return False  # close; what is still to be written is written first

    def pause_writing(self) -> None:
        self._output.pause()

    def resume_writing(self) -> None:
        self.active = True  # a slow reader is not an idle one
        self._output.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._owner.closed(self)
        self._owner.memory.forget(self._proceed)
        self._park(False)
        slots, self._slots = self._slots, deque()
        for slot in slots:
            _release(slot.parts)
            if not slot.filled and slot.waiting_for is not None:
                self._blockers -= slot.blocks
                slot.blocks = False
                slot.waiting_for.abandon()
        self._output.abandon()
        if not self._blockers:  # a blocking request may still look at its frame
            self._reader.drop()

    # The dispatcher's side.

    def answer(self, parts: list[Part]) -> None:
        """Answer the request just dispatched, at once."""
        if self._slots:
            slot = Slot(blocks=False, held_bytes=_size_in_memory(parts))
            slot.filled = True
            slot.parts = parts
            self._slots.append(slot)
            self._held_bytes += slot.held_bytes
        else:
            self._output.put(parts)

    def reserve(self, *, blocks: bool, waiting_for: Abandonable | None) -> Slot:
        """Keep the place of the request just dispatched; `fill` answers it."""
        slot = Slot(blocks=blocks, held_bytes=self._frame_bytes)
        slot.waiting_for = waiting_for
        self._slots.append(slot)
        self._held_bytes += self._frame_bytes
        if blocks:
            self._blockers += 1
        return slot

    def fill(self, slot: Slot, parts: list[Part]) -> None:
        """The answer of `slot` is there; `parts` is empty where none is sent (acks=0)."""
        assert not slot.filled, "a request is answered once"
        slot.filled = True
        slot.waiting_for = None
        if slot.blocks:
            self._blockers -= 1
        if self._closing:
            _release(parts)
            if not self._blockers:
                self._reader.drop()
            return
        slot.parts = parts
        if slot.blocks or self._slots[0] is slot:
            # A flush makes many answers ready in one turn: write them together.
            self._schedule_proceed()
        else:
            size = _size_in_memory(parts)
            slot.held_bytes += size
            self._held_bytes += size

    def unblock(self, slot: Slot) -> None:
        """The request of `slot` has taken effect, although its answer is still to come."""
        if slot.blocks and not slot.filled:
            slot.blocks = False
            self._blockers -= 1
            if not self._closing:
                self._schedule_proceed()

    def close(self) -> None:
        """Hang up, after what was answered already has been written."""
        if not self._closing:
            self._move_ready_slots()
            self._closing = True
            self._output.close()

    def hang_up(self, reason: str) -> None:
        """Close the connection for what its client did; `reason` is counted."""
        self._owner.hung_up(reason)
        self.close()

    def finish(self) -> None:
        """Hang up as soon as what has taken effect is answered; start nothing more.

        A client whose batch was appended gets to know it: a retry after a restart would be out of
        order where the producer's state remembers only its last batch.
        """
        self._finishing = True
        for slot in self._slots:
            if slot.blocks and not slot.filled and slot.waiting_for is not None:
                # Parked: it has had no effect, and asks again elsewhere or later.
                slot.waiting_for.abandon()
                self.fill(slot, [])
        self._proceed()

    def abort(self) -> None:
        """Hang up at once."""
        self._closing = True
        self._transport.abort()

    # The machinery.

    def _schedule_proceed(self) -> None:
        if not self._continue_scheduled:
            self._continue_scheduled = True
            self._loop.call_soon(self._proceed)

    def _proceed(self) -> None:
        """Write what is ready, then take up the frames that had to wait."""
        self._continue_scheduled = False
        if self._closing:
            return
        self._move_ready_slots()
        self._process()

    def _process(self) -> None:
        reader = self._reader
        dispatch = self._owner.dispatch
        limits = self._owner.limits
        turn_requests, turn_bytes = limits.turn_requests, limits.turn_bytes
        slot_limit, held_limit = limits.slots, limits.held_bytes
        requests, size = 0, 0
        slots = self._slots
        output = self._output
        may_start = self._may_start()
        try:
            while may_start:
                frame = reader.next_frame()
                if frame is None:
                    break
                self._frame_bytes = frame_bytes = len(frame)
                dispatch(frame, self)
                requests += 1
                size += frame_bytes
                if (
                    requests >= turn_requests
                    or size >= turn_bytes
                    or output.queued_bytes >= turn_bytes
                ):
                    self._schedule_proceed()
                    break
                # What a request can change; the rest of `_may_start` holds for the turn.
                may_start = (
                    not self._blockers
                    and not self._closing
                    and len(slots) < slot_limit
                    and self._held_bytes < held_limit
                )
        except FrameTooLarge as error:
            logger.warning("%s:%d announces a frame of %s bytes: closed", *self.peer_address, error)
            self.hang_up("too_large")
        if self._closing:
            return
        # A blocking request may still read its frame: it stays where it is, in an own buffer.
        if not (self._blockers and reader.owns_frames):
            reader.keep_rest()
        output.drain()
        if self._finishing and not slots:
            self.close()
            return
        self._choose_reading()

    def _may_start(self) -> bool:
        return not (
            self._blockers
            or self._finishing
            or self._closing
            or len(self._slots) >= self._owner.limits.slots
            or self._held_bytes >= self._owner.limits.held_bytes
            or self._output.congested
        )

    def _choose_reading(self) -> None:
        """Read on, unless what is there already has to be worked off first."""
        owns = self._reader.owns_frames
        self._park(owns and (self._continue_scheduled or not self._may_start()))
        # Where nothing is kept, whatever comes finds room.
        pausing = owns and (self._parked or self._must_wait())
        if pausing is not self._pausing:
            self._pausing = pausing
            if pausing:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _must_wait(self) -> bool:
        return self._owner.memory.must_wait(self._proceed, self._reader.growth_bytes)

    def _park(self, parked: bool) -> None:
        """Tell the memory whether this connection holds some without reading."""
        if parked is not self._parked:
            self._parked = parked
            self._owner.memory.park(1 if parked else -1)

    def _move_ready_slots(self) -> None:
        slots = self._slots
        put = self._output.put
        while slots and slots[0].filled:
            slot = slots.popleft()
            self._held_bytes -= slot.held_bytes
            put(slot.parts)


def _size_in_memory(parts: list[Part]) -> int:
    """Bytes that an answer takes up while it waits: what is in a file takes none."""
    if len(parts) == 1:
        return len(parts[0])  # records are never all of an answer
    return sum(len(part) for part in parts if type(part) is not FileSlice)


def _release(parts: list[Part]) -> None:
    for part in parts:
        if isinstance(part, FileSlice):
            part.release()


def _address(name: object) -> tuple[str, int]:
    """Host and port of a socket name; empty where the transport has none."""
    if isinstance(name, tuple) and len(name) >= 2:
        return str(name[0]), int(name[1])
    return "", 0
