"""The `.txnindex` of a segment: the aborted transactions that ended in it.

On disk: Kafka's `AbortedTxn` entries of version, producer id, first offset, last offset and last
stable offset, big-endian, in the order of the last offsets. The file exists only if there is an
entry. What belongs to read_committed beside it is `log.producer_state`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from log.file_system import File, FileSystem

ENTRY = Struct(">hqqqq")
ENTRY_SIZE = ENTRY.size
VERSION = 0


@dataclass(frozen=True, slots=True)
class AbortedTransaction:
    """`last_offset` is that of the marker; `last_stable_offset` the one right after the marker."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """Mutable; owned by its segment. Loaded at the first use."""

    __slots__ = ("_entries", "_file", "_file_system", "exists", "path")

    def __init__(self, file_system: FileSystem, path: str, *, exists: bool) -> None:
        self.path = path
        self.exists = exists
        self._file_system = file_system
        self._file: File | None = None
        self._entries: list[AbortedTransaction] | None = None if exists else []

    def append(self, transaction: AbortedTransaction) -> None:
        entries = self._load()
        assert not entries or entries[-1].last_offset < transaction.last_offset
        self.file().append(
            ENTRY.pack(
                VERSION,
                transaction.producer_id,
                transaction.first_offset,
                transaction.last_offset,
                transaction.last_stable_offset,
            )
        )
        entries.append(transaction)

    def collect(self, start_offset: int, upper_bound_offset: int) -> Iterator[AbortedTransaction]:
        """Those that overlap `[start_offset, upper_bound_offset)`."""
        for transaction in self._load():
            if (
                transaction.last_offset >= start_offset
                and transaction.first_offset < upper_bound_offset
            ):
                yield transaction

    def is_complete_below(self, upper_bound_offset: int) -> bool:
        """Whether later segments can hold none that touches offsets below this one."""
        return any(entry.last_stable_offset >= upper_bound_offset for entry in self._load())

    def truncate(self, end_offset: int) -> None:
        """Drop the entries of transactions that ended at or past `end_offset`."""
        if not self.exists:
            return
        keep = [entry for entry in self._load() if entry.last_offset < end_offset]
        self.file().truncate(len(keep) * ENTRY_SIZE)
        self._entries = keep

    def clear(self) -> None:
        """Empty it, whatever the file held."""
        if self.exists:
            self.file().truncate(0)
        self._entries = []

    def file(self) -> File:
        if self._file is None:
            self._file = self._file_system.open(self.path, create=True)
            self.exists = True
        return self._file

    def forget(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._entries = None if self.exists else []

    def _load(self) -> list[AbortedTransaction]:
        if self._entries is None:
            file = self.file()
            data = file.read_at(0, file.size // ENTRY_SIZE * ENTRY_SIZE)
            file.close()
            self._file = None
            self._entries = [AbortedTransaction(*fields[1:]) for fields in ENTRY.iter_unpack(data)]
        return self._entries
