"""Which leader wrote from which offset on: the history that truncation relies on (KIP-101, 279).

Counterpart: `log.checkpoints`, which has the file's format (`leader-epoch-checkpoint`, Kafka's).
The history is a cache of what the batches say, but for epochs in which nothing was written; so it
need not be synced at every change. It must be on disk before a recovery point past its newest entry
is: recovery reads batches only from there on.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from log.checkpoints import decode_epochs, encode_epochs
from log.file_system import FileSystem, write_atomically

FILE_NAME = "leader-epoch-checkpoint"
UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class EpochStart(NamedTuple):
    epoch: int
    start_offset: int


class LeaderEpochs:
    """Epochs with their start offsets, both strictly ascending. Mutable; epoch 0 is a valid one."""

    def __init__(self, entries: Iterable[tuple[int, int]] = ()) -> None:
        self._epochs: list[int] = []
        self._starts: list[int] = []
        self.change_count = 0
        for epoch, start_offset in entries:
            self.assign(epoch, start_offset)
        self.change_count = 0
        self._written_count = 0

    @classmethod
    def load(cls, file_system: FileSystem, directory: str) -> "LeaderEpochs":
        """From the partition's directory, empty without a file; `CheckpointError` if malformed."""
        path = f"{directory}/{FILE_NAME}"
        if not file_system.exists(path):
            return cls()
        return cls(decode_epochs(file_system.read_file(path), path))

    def write_if_changed(self, file_system: FileSystem, directory: str) -> None:
        """Write the file if it lags behind. Durable on return."""
        if self.is_changed:
            change_count = self.change_count
            data = encode_epochs(self.entries)
            write_atomically(file_system, f"{directory}/{FILE_NAME}", data)
            self.note_written(change_count)

    @property
    def is_changed(self) -> bool:
        """Whether the file lags behind."""
        return self.change_count != self._written_count

    def note_written(self, change_count: int) -> None:
        """The file now says what was true at that count of changes."""
        self._written_count = change_count

    @property
    def entries(self) -> list[EpochStart]:
        pairs = zip(self._epochs, self._starts, strict=True)
        return [EpochStart(epoch, start_offset) for epoch, start_offset in pairs]

    @property
    def latest(self) -> EpochStart | None:
        return EpochStart(self._epochs[-1], self._starts[-1]) if self._epochs else None

    @property
    def latest_epoch(self) -> int | None:
        """The newest epoch known, None without any. (Not falsy-checked: 0 is one, KAFKA-10432.)"""
        return self._epochs[-1] if self._epochs else None

    def assign(self, epoch: int, start_offset: int) -> bool:
        """Note that `epoch` writes from `start_offset` on; True if that was news.

        The newest epoch keeps its first start. Entries that the new one contradicts (an epoch not
        below it, a start not below its own) go: they spoke of records that are no longer there.
        """
        assert epoch >= 0, f"epoch {epoch} of a leader"
        assert start_offset >= 0, f"epoch {epoch} starts at {start_offset}"
        if self._epochs and self._epochs[-1] == epoch and self._starts[-1] <= start_offset:
            return False
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start_offset):
            self._epochs.pop()
            self._starts.pop()
        self._epochs.append(epoch)
        self._starts.append(start_offset)
        self.change_count += 1
        return True

    def epoch_at(self, offset: int) -> int | None:
        """The epoch of the leader that wrote `offset`; None before the first one known."""
        index = bisect_right(self._starts, offset)
        return self._epochs[index - 1] if index else None

    def end_offset_for(self, epoch: int, *, log_end_offset: int) -> tuple[int, int]:
        """`(epoch, end offset)` as OffsetForLeaderEpoch answers (KIP-279).

        That is the largest known epoch up to the one asked for, and where the next one starts, or
        the log ends. For an epoch above all known ones, or -1, both are -1; below all of them, the
        epoch asked for and the first start known, so that a follower can begin there.
        """
        if epoch == UNDEFINED_EPOCH or not self._epochs or epoch > self._epochs[-1]:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if epoch == self._epochs[-1]:
            return epoch, log_end_offset
        index = bisect_right(self._epochs, epoch)
        if index == 0:
            return epoch, self._starts[0]
        return self._epochs[index - 1], self._starts[index]

    def truncate_from_end(self, end_offset: int) -> None:
        """Forget the epochs that start at or past the log's new end."""
        while self._starts and self._starts[-1] >= end_offset:
            self._epochs.pop()
            self._starts.pop()
            self.change_count += 1

    def truncate_from_start(self, start_offset: int) -> None:
        """Forget the epochs that ended before the log's new start; the one in force starts there.

        Its start may so move past the log's end, if all records are gone: it is still known.
        """
        index = bisect_right(self._starts, start_offset)
        if index == 0 or (index == 1 and self._starts[0] == start_offset):
            return
        del self._epochs[: index - 1]
        del self._starts[: index - 1]
        self._starts[0] = start_offset
        self.change_count += 1

    def clear(self) -> None:
        """Forget everything, as before a full truncation."""
        if self._epochs:
            self.change_count += 1
        self._epochs.clear()
        self._starts.clear()
