"""Group commit: one flush serves every append that came before it, over all partitions.

`FlushScheduler` (on the loop) collects the partitions with appends past their durable end; while
one flush is under way, later appends gather for the next. `Flusher` is the seam: production is one
thread for each log directory, simulation a virtual delay. Only fsync runs in the thread: no state
of ours leaves the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from log.flushing import FlushTicket

OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
RETRY_DELAY_S = 0.1
"""After which a flush is tried again that could not be begun."""


class Syncable(Protocol):
    """What one flush of one log covers (`log.flushing.FlushTicket`)."""

    def sync(self) -> None: ...


FlushResults = Sequence[OSError | None]
"""One for each ticket: None where it is durable now."""


class Flusher(Protocol):
    """Makes tickets durable, elsewhere than on the loop."""

    def submit(self, tickets: Sequence[Syncable], done: Callable[[FlushResults], None]) -> None:
        """Sync every ticket and call `done` on the loop. Tickets keep their files open."""
        ...

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        ...


class Flushable(Protocol):
    """A partition as the scheduler sees it."""

    @property
    def is_stopped(self) -> bool: ...

    def prepare_flush(self) -> FlushTicket | None: ...

    def complete_flush(self, ticket: FlushTicket) -> None: ...

    def fail_flush(self, ticket: FlushTicket, error: OSError) -> None: ...


class FlushScheduler:
    """Arms, batches and completes the flushes of one log directory. Lives on the loop."""

    def __init__(
        self,
        flusher: Flusher,
        *,
        call_soon: Callable[[Callable[[], None]], object],
        on_error: Callable[[OSError], None],
        on_failed_flush: Callable[[OSError], None] | None = None,
        call_later: Callable[[float, Callable[[], None]], object] = lambda delay, callback: None,
        note_flushed: Callable[[Sequence[FlushTicket]], None] = lambda tickets: None,
    ) -> None:
        """`call_later` is for what could not be begun: without it that waits for an append.

        `note_flushed` gets what was synced before anybody is answered for it.
        """
        self._flusher = flusher
        self._call_soon = call_soon
        self._on_error = on_error
        self._on_failed_flush = on_failed_flush or on_error
        self._call_later = call_later
        self._note_flushed = note_flushed
        self._postponed: dict[Flushable, None] = {}
        self._dirty: dict[Flushable, None] = {}
        self._busy = False
        self._scheduled = False  # busy, but not under way yet

    @property
    def idle(self) -> bool:
        """Whether everything armed so far has been flushed."""
        return not self._busy

    def arm(self, partition: Flushable) -> None:
        """`partition` has appended past its durable end."""
        self._dirty[partition] = None
        if not self._busy:
            self._busy = self._scheduled = True
            self._call_soon(self.start_armed)

    def start_armed(self) -> None:
        """Start the flush of what is armed, unless one is under way. Whoever has appended to all
        partitions of a request need not wait for the end of the turn: the requests behind it are
        taken up while the disk works, and the next flush serves them all."""
        if self._scheduled:
            self._scheduled = False
            self._start()

    def _start(self) -> None:
        dirty, self._dirty = self._dirty, {}
        prepared = []
        for partition in dirty:
            try:
                ticket = partition.prepare_flush()
            except OSError as error:  # opening what is to be flushed
                self._on_error(error)
                self._again_later(partition)
                continue
            if ticket is not None:
                prepared.append((partition, ticket))
        if not prepared:
            self._end()
            return

        def done(results: FlushResults) -> None:
            outcomes = [(*each, error) for each, error in zip(prepared, results, strict=True)]
            self._note_flushed(
                [
                    ticket
                    for partition, ticket, error in outcomes
                    if error is None and not partition.is_stopped
                ]
            )
            self._complete(iter(outcomes))

        self._flusher.submit([ticket for _, ticket in prepared], done)

    def _complete(self, outcomes: Iterator[tuple[Flushable, FlushTicket, OSError | None]]) -> None:
        try:
            for partition, ticket, error in outcomes:
                self._complete_one(partition, ticket, error)
        finally:
            # Whatever one of them raised, the others are completed, and the next flush starts.
            rest = next(outcomes, None)
            if rest is not None:
                self._call_soon(lambda: self._complete(chain([rest], outcomes)))
            else:
                self._end()

    def _end(self) -> None:
        """A flush is over: the next one serves what was armed meanwhile."""
        if self._dirty:
            self._start()
        else:
            self._busy = False

    def _complete_one(
        self, partition: Flushable, ticket: FlushTicket, error: OSError | None
    ) -> None:
        if partition.is_stopped:
            ticket.release()  # deleted meanwhile: whether its files are durable is all the same
            return
        if error is not None and error.errno in OUT_OF_FILES:
            # No fsync says so: something could not be opened, and nothing was marked clean.
            ticket.release()
            self._on_error(error)
            self._again_later(partition)
            return
        if error is not None:
            # Never retried: the kernel has marked the pages clean, a second flush would lie.
            partition.fail_flush(ticket, error)
            self._on_failed_flush(error)
            return
        try:
            partition.complete_flush(ticket)
        except OSError as another:  # removing what the flush made needless
            self._on_error(another)

    def _again_later(self, partition: Flushable) -> None:
        """Somebody waits for this flush, and perhaps nobody appends again to arm it."""
        if not self._postponed:
            self._call_later(RETRY_DELAY_S, self._arm_postponed)
        self._postponed[partition] = None

    def _arm_postponed(self) -> None:
        postponed, self._postponed = self._postponed, {}
        for partition in postponed:
            if not partition.is_stopped:
                self.arm(partition)


class ThreadFlusher:
    """A thread of its own that calls fdatasync; an eventfd tells the loop that it is done.

    A submit through a queue and an eventfd costs half of what the loop's executor does.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[tuple[_Job, FlushResults]] = queue.SimpleQueue()
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) if _HAS_EVENTFD else None
        if self._event is not None:
            loop.add_reader(self._event, self._collect)
        self._thread = threading.Thread(target=self._run, name=f"flusher-{name}", daemon=True)
        self._thread.start()

    def submit(self, tickets: Sequence[Syncable], done: Callable[[FlushResults], None]) -> None:
        self._jobs.put((tickets, done))

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()
        if self._event is not None:
            self._loop.remove_reader(self._event)
            self._collect()
            os.close(self._event)
            self._event = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._finished.put((job, [_sync(ticket) for ticket in job[0]]))
            if self._event is not None:
                os.eventfd_write(self._event, 1)
            else:
                self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        if self._event is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)
        while not self._finished.empty():
            (_, done), results = self._finished.get_nowait()
            done(results)


_Job = tuple[Sequence[Syncable], Callable[[FlushResults], None]]

_HAS_EVENTFD = hasattr(os, "eventfd")


def _sync(ticket: Syncable) -> OSError | None:
    """In the flusher's thread: touches descriptors and nothing else."""
    try:
        ticket.sync()
    except OSError as error:
        return error
    return None
