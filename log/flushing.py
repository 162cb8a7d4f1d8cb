"""What a flush of one log consists of, so that a thread can run it while the loop appends.

`PartitionLog.prepare_flush` makes a ticket on the loop, the flusher runs `sync` wherever it likes,
and `PartitionLog.complete_flush` or `fail_flush` takes the result, on the loop again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from log.file_system import File, FileSystem, write_atomically
from log.segment import Segment
from log.segments import Segments

logger = logging.getLogger(__name__)


class DirectoryName:
    """Whether the name of a log's directory is still its own: a deleted topic gives it up, and one
    made anew takes it over. Mutable; `lock` is held while the name is used in a thread.
    """

    __slots__ = ("is_given_up", "lock", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_given_up = False
        self.lock = threading.Lock()

    def give_up(self) -> None:
        """On return no thread uses the name, nor will."""
        with self.lock:
            self.is_given_up = True


@dataclass(frozen=True, slots=True)
class FlushedEnd:
    """What a log knows of the hint of its flushed end (`log.flushed_ends`).

    `end_offset` is the one found at opening, 0 where nothing is known. `lower` makes durable, there
    and in the checkpoints, that no record at or past an offset is promised any more; OSError.
    """

    key: bytes = b""
    end_offset: int = 0
    lower: Callable[[int], None] = lambda offset: None


NO_FLUSHED_END = FlushedEnd()


@dataclass(frozen=True, slots=True)
class FlushTicket:
    """`files` are retained until the ticket is completed or failed; old segments come first.

    `sealed` are the segments that are durable then together with their indexes.

    `truncation_count` and `directory_changes` say which state of the log the ticket speaks of.
    `snapshots` are `(path, content)` of the producer state at the rolls since the last flush.
    Of a log that was deleted meanwhile only the open files are flushed.
    """

    flushing: Flushing
    file_system: FileSystem
    files: tuple[File, ...]
    sealed: tuple[Segment, ...]
    directory: DirectoryName
    directory_is_changed: bool
    snapshots: tuple[tuple[str, bytes], ...]
    end_offset: int
    truncation_count: int
    directory_changes: int

    def sync(self) -> None:
        """Make everything durable. An OSError is final: never retried, see `fail_flush`."""
        for file in self.files:
            file.flush()
        if self.directory_is_changed or self.snapshots:
            with self.directory.lock:
                if not self.directory.is_given_up:
                    self._sync_names()

    def _sync_names(self) -> None:
        if self.directory_is_changed:
            # After the files: the entry of a new segment must not outlive its old segment's tail.
            self.file_system.sync_directory(self.directory.path)
        _write_snapshots(self.file_system, self.snapshots)

    def release(self) -> None:
        for file in self.files:
            file.release()


class Flushing:
    """How far one log is durable, and what has to be flushed to get further. Mutable.

    `snapshots` wait to be written with the next ticket. `failed` is final.
    """

    __slots__ = (
        "_directory",
        "_file_system",
        "_segments",
        "_synced_directory_changes",
        "_truncation_count",
        "failed",
        "flushed_end",
        "recovery_point",
        "snapshots",
    )

    def __init__(
        self,
        file_system: FileSystem,
        directory: str,
        segments: Segments,
        recovery_point: int,
        flushed_end: FlushedEnd,
    ) -> None:
        self.recovery_point = recovery_point
        self.flushed_end = flushed_end
        self.failed: OSError | None = None
        self.snapshots: list[tuple[str, bytes]] = []
        self._file_system = file_system
        self._directory = DirectoryName(directory)
        self._segments = segments
        self._truncation_count = 0
        self._synced_directory_changes = 0

    def prepare(self, end_offset: int) -> FlushTicket:
        """A ticket for everything up to the log end."""
        segments = self._segments
        active = segments.active
        files = [file for segment in segments.unflushed for file in segment.files()]
        files.append(active.log())
        if active.transaction_index.exists:
            files.append(active.transaction_index.file())
        for file in files:
            file.retain()
        snapshots, self.snapshots = tuple(self.snapshots), []
        changes = segments.directory_changes
        return FlushTicket(
            self,
            self._file_system,
            tuple(files),
            tuple(segments.unflushed),
            self._directory,
            changes != self._synced_directory_changes,
            snapshots,
            end_offset,
            self._truncation_count,
            changes,
        )

    def run(self, ticket: FlushTicket) -> None:
        """Sync and take the outcome, in the caller's thread. Raises OSError; `failed` then."""
        try:
            ticket.sync()
        except OSError as error:
            self.fail(ticket, error)
            raise
        self.complete(ticket)

    def write_snapshots(self) -> None:
        """Those that wait for the next ticket, at once."""
        snapshots, self.snapshots = self.snapshots, []
        _write_snapshots(self._file_system, snapshots)

    def is_raised_by(self, ticket: FlushTicket) -> bool:
        """Whether the recovery point rises with the success of `ticket`."""
        return (
            ticket.end_offset > self.recovery_point
            and ticket.truncation_count == self._truncation_count
            and self.failed is None
        )

    def complete(self, ticket: FlushTicket) -> None:
        ticket.release()
        if self.failed is not None:
            return
        self._synced_directory_changes = max(
            self._synced_directory_changes, ticket.directory_changes
        )
        if ticket.truncation_count == self._truncation_count:
            if ticket.end_offset > self.recovery_point:
                self.recovery_point = ticket.end_offset
            if ticket.sealed:
                self._segments.note_flushed(ticket.sealed)
            return
        for path, _ in ticket.snapshots:
            # It is of records that are gone.
            with contextlib.suppress(FileNotFoundError):
                self._file_system.remove(path)

    def fail(self, ticket: FlushTicket, error: OSError) -> None:
        """Never retried: the kernel has marked the pages clean, so that a second fsync would
        succeed without having written them.
        """
        ticket.release()
        if self.failed is None:
            self.failed = error

    def truncated(self, end_offset: int) -> None:
        """Tickets that are under way do not count any more."""
        self._truncation_count += 1
        self.recovery_point = min(self.recovery_point, end_offset)
        self.snapshots.clear()

    def give_up(self, reason: OSError) -> None:
        """The log was deleted: tickets under way touch no name any more, and there is no other."""
        self._directory.give_up()
        self.failed = reason
        self.snapshots.clear()


def _write_snapshots(file_system: FileSystem, snapshots: Iterable[tuple[str, bytes]]) -> None:
    for path, data in snapshots:
        try:
            write_atomically(file_system, path, data)
        except OSError as error:
            # It is a cache: what it holds can be read from the log.
            logger.warning("%s was not written: %s", path, error)
