"""How far each partition was flushed, written down at no fsync's cost: a lower bound after a crash.

Without it recovery cannot tell a batch that a power cut left bad, because no flush had covered it,
from one that was acknowledged and rotted (docs/decisions/0021). One file for a data directory, of
entries of 32 bytes: topic id, partition, flushed end, CRC-32 of these. After each flush, before its
answers leave, the entries of its partitions are appended; the kernel brings them to the disk when
it likes. After a kill they are all there, after a power cut some of them, possibly torn: whatever
entries are left are true, because an end only rises within one file. What lowers an end (a
truncation, an accepted loss) first puts a new file in its place, durably. Counterpart:
`log.checkpoint_writer`, whose recovery points are durable, and older.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping

from log.checkpoint_writer import CheckpointWriter
from log.checkpoints import TopicPartition
from log.directory_names import NO_ID
from log.file_system import TEMPORARY_SUFFIX, File
from log.flushing import FlushedEnd, FlushTicket
from log.partition_directory import StrayPartition
from log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

FLUSHED_ENDS = ".kbroker_flushed_ends"
ENTRY_BYTES = 32
"""Divides a sector: a torn write leaves each entry whole or not at all."""
MAX_BYTES = 1 << 18
"""Past it the file begins anew with the newest entries, unless these alone take a quarter of it."""
_KEY_BYTES = 20


def key_of(topic_id: bytes, partition: int) -> bytes:
    return topic_id + partition.to_bytes(4, "big")


def encode_entry(key: bytes, end_offset: int) -> bytes:
    content = key + end_offset.to_bytes(8, "big")
    return content + zlib.crc32(content).to_bytes(4, "big")


def decode_entries(data: bytes) -> dict[bytes, int]:
    """The largest end of each key. What is torn, zero or junk is passed over."""
    ends: dict[bytes, int] = {}
    for position in range(0, len(data) - ENTRY_BYTES + 1, ENTRY_BYTES):
        content = data[position : position + ENTRY_BYTES - 4]
        checksum = data[position + ENTRY_BYTES - 4 : position + ENTRY_BYTES]
        if zlib.crc32(content) == int.from_bytes(checksum, "big"):
            key, end = content[:_KEY_BYTES], int.from_bytes(content[_KEY_BYTES:], "big")
            if end > ends.get(key, -1):
                ends[key] = end
    return ends


class FlushedEnds:
    """The file of one data directory. Mutable: `_entries` are the newest ones, encoded.

    A failure to write it harms nobody: recovery then knows less. Only `lower` must succeed.
    """

    def __init__(
        self,
        checkpoints: CheckpointWriter,
    ) -> None:
        self._checkpoints = checkpoints
        self._file_system = checkpoints.file_system
        self._path = f"{checkpoints.path}/{FLUSHED_ENDS}"
        self._entries: dict[bytes, bytes] = {}
        self._file: File | None = None
        self._is_failing = False
        self.max_bytes = MAX_BYTES
        """Lower in simulation, where it is to happen."""

    def read(self) -> None:
        """Take over what the last owner left. A file that cannot be read says nothing."""
        ends: dict[bytes, int] = {}
        if self._file_system.exists(self._path):
            try:
                ends = decode_entries(self._file_system.read_file(self._path))
                self._make_durable()
            except OSError as error:
                logger.warning("%s cannot be read: %s", self._path, error)
        self._entries = {key: encode_entry(key, end) for key, end in ends.items()}

    def _make_durable(self) -> None:
        """A power loss during the start is not to take what a kill left. OSError. Its name becomes
        durable with the directory, before any log is opened."""
        file = self._file_system.open(self._path)
        try:
            file.flush()
        finally:
            file.close()

    def of(self, key: TopicPartition, topic_id: bytes) -> FlushedEnd:
        """What the log of this partition is told at its opening."""
        entry_key = key_of(topic_id, key[1])

        def lower(end_offset: int) -> None:
            self._checkpoints.lower(key, end_offset)
            self.lower(entry_key, end_offset)

        return FlushedEnd(entry_key, self._end_of(entry_key), lower)

    def ends(self) -> Iterator[tuple[bytes, int, int]]:
        """`(topic id, partition, flushed end)` of all that is known of."""
        for key in self._entries:
            topic_id, partition = key[:-4], int.from_bytes(key[-4:], "big")
            yield topic_id, partition, self._end_of(key)

    def restart(self, logs: Iterable[PartitionLog], strays: Iterable[StrayPartition]) -> None:
        """These are all logs: what is known of others is forgotten, but of strays.

        After a clean stop nothing is known, and what the checkpoints say, which know names only, is
        told here by id: a directory that goes missing is missed after a crash.
        """
        known, self._entries = self._entries, {}
        for stray in strays:
            key = key_of(stray.topic_id or NO_ID, stray.partition)
            if key in known:
                self._entries[key] = known[key]
        for log in logs:
            key = log.flushing.flushed_end.key
            self._entries[key] = encode_entry(key, log.recovery_point)
        # Of several entries the largest counts: where one is gone, or lower, it takes a new file.
        # A directory that is made anew for the same topic is not to be measured by an old end, nor
        # a log that recovery has cut below it, since only the page cache had been promised.
        if all(key in self._entries and known[key] <= self._entries[key] for key in known):
            self._append(b"".join(self._entries.values()))
        else:
            try:
                self._rewrite(self._entries)
            except OSError as error:
                logger.warning("%s is not written: %s", self._path, error)
                self._give_up()

    def note(self, tickets: Iterable[FlushTicket]) -> None:
        """These were synced. To be called before anybody is answered for it. Never raises."""
        added = []
        for ticket in tickets:
            flushing = ticket.flushing
            key = flushing.flushed_end.key
            if key and flushing.is_raised_by(ticket):
                self._entries[key] = entry = encode_entry(key, ticket.end_offset)
                added.append(entry)
        if added:
            self._append(added[0] if len(added) == 1 else b"".join(added))

    def lower(self, key: bytes, end_offset: int) -> None:
        """Make durable that nothing at or past this is promised. OSError: something may be."""
        if self._end_of(key) <= end_offset:
            return
        entries = self._entries | {key: encode_entry(key, end_offset)}
        self._rewrite(entries)
        self._entries = entries

    def _end_of(self, key: bytes) -> int:
        entry = self._entries.get(key)
        return 0 if entry is None else int.from_bytes(entry[_KEY_BYTES:-4], "big")

    def forget(self, log: PartitionLog) -> None:
        """It was deleted; its topic's id does not come again."""
        self._entries.pop(log.flushing.flushed_end.key, None)

    def remove(self) -> None:
        """Before a clean shutdown: the checkpoints say it all. The caller syncs the directory."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self._file_system.remove(self._path)

    def _append(self, data: bytes) -> None:
        try:
            file = self._file
            if file is None:
                file = self._file = self._open()
            size = file.size + len(data)
            if size > self.max_bytes and size > 4 * ENTRY_BYTES * len(self._entries):
                self._begin_anew()
            else:
                file.append(data)
        except OSError as error:
            if not self._is_failing:
                logger.warning("%s is not written: %s", self._path, error)
            self._is_failing = True
        else:
            self._is_failing = False

    def _open(self) -> File:
        file = self._file_system.open(self._path, create=True)
        if file.size % ENTRY_BYTES:
            file.truncate(file.size - file.size % ENTRY_BYTES)
        return file

    def _begin_anew(self) -> None:
        """Put the newest entries in the file's place. A power cut may leave anything of old and
        new: both are lower bounds. A kill leaves one of them, whole.
        """
        self.close()
        temporary = self._path + TEMPORARY_SUFFIX
        file = self._file_system.open(temporary, create=True)
        try:
            file.truncate(0)  # an earlier attempt
            file.append(b"".join(self._entries.values()))
        finally:
            file.close()
        self._file_system.rename(temporary, self._path)

    def _give_up(self) -> None:
        """Rather no hint than one that says too much: a start would be refused for it."""
        try:
            self.remove()
            self._file_system.sync_directory(self._checkpoints.path)
        except OSError as error:
            logger.warning("%s is not removed: %s", self._path, error)

    def _rewrite(self, entries: Mapping[bytes, bytes]) -> None:
        self.close()
        self._checkpoints.write_file(self._path, b"".join(entries.values()))

    def close(self) -> None:
        """Let go of the file; the next entry opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
