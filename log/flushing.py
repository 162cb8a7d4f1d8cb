"""What a flush of one log consists of, so that a thread can run it while the loop appends.

`PartitionLog.prepare_flush` makes a ticket on the loop, the flusher runs `sync` wherever it likes,
and `PartitionLog.complete_flush` or `fail_flush` takes the result, on the loop again.
"""

from __future__ import annotations

from dataclasses import dataclass

from log.file_system import File, FileSystem


@dataclass(frozen=True, slots=True)
class FlushTicket:
    """`files` are retained until the ticket is completed or failed; old segments come first.

    `truncation_count` and `directory_changes` say which state of the log the ticket speaks of.
    """

    file_system: FileSystem
    files: tuple[File, ...]
    directory: str | None
    end_offset: int
    truncation_count: int
    directory_changes: int

    def sync(self) -> None:
        """Make everything durable. An OSError is final: never retried, see `fail_flush`."""
        for file in self.files:
            file.flush()
        if self.directory is not None:
            # After the files: the entry of a new segment must not outlive its old segment's tail.
            self.file_system.sync_directory(self.directory)

    def release(self) -> None:
        for file in self.files:
            file.release()
