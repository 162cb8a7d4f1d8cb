"""Partitions that lost records to damage, which nobody but this directory knows of yet.

Before a log is cut at its damage, or begins anew, its partition is named in a file, durably: a
start that ends before the loss was told would otherwise leave logs that look sound to the next one
(`lossy-until-admitted`). The file goes once the loss is on record elsewhere. Lines: a version, a
topic id and a partition for each, the CRC-32 of these. Counterpart: `log.log_directory`.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Iterable

from log.checkpoint_writer import CheckpointWriter
from log.checkpoints import CheckpointError, decode_uuid, encode_uuid

logger = logging.getLogger(__name__)

DAMAGED_PARTITIONS = ".kbroker_damaged_partitions"
VERSION_LINE = "version: 0"

TopicIdPartition = tuple[bytes, int]


def encode_damaged(partitions: Iterable[TopicIdPartition]) -> bytes:
    """The file, with its checksum."""
    lines = [f"{encode_uuid(topic_id)} {number}" for topic_id, number in sorted(partitions)]
    content = "\n".join([VERSION_LINE, *lines, ""]).encode()
    return content + f"crc32: {zlib.crc32(content):08x}\n".encode()


def decode_damaged(data: bytes, path: str) -> frozenset[TopicIdPartition]:
    """The reverse. CheckpointError; `path` is for its text."""
    *lines, last = data.splitlines(keepends=True) or [b""]
    checksum = f"crc32: {zlib.crc32(b''.join(lines)):08x}\n".encode()
    if last != checksum or not lines:
        raise CheckpointError(f"{path}: its checksum is not that of its content")
    try:
        version, *entries = (line.decode().rstrip("\n") for line in lines)
        pairs = (entry.partition(" ") for entry in entries)
        found = [(decode_uuid(topic_id, path), int(number)) for topic_id, _, number in pairs]
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if version != VERSION_LINE:
        raise CheckpointError(f"{path}: {version!r} is unknown, expected {VERSION_LINE!r}")
    return frozenset(found)


class DamagedPartitions:
    """Those of one data directory. Mutable. A file that cannot be read may name any of them."""

    def __init__(self, checkpoints: CheckpointWriter) -> None:
        """Nothing is read before `read`."""
        self._checkpoints = checkpoints
        self._file_system = checkpoints.file_system
        self._path = f"{checkpoints.path}/{DAMAGED_PARTITIONS}"
        self._partitions: frozenset[TopicIdPartition] = frozenset()
        self._is_any = False
        self._is_written = False

    def __contains__(self, partition: TopicIdPartition) -> bool:
        return self._is_any or partition in self._partitions

    def read(self) -> None:
        """What earlier starts have noted, and nobody was told."""
        try:
            self._is_written = self._file_system.exists(self._path)
            if self._is_written:
                data = self._file_system.read_file(self._path)
                self._partitions = decode_damaged(data, self._path)
        except (CheckpointError, OSError) as error:
            self._is_any = self._is_written = True
            logger.error("%s: every partition here may lack records", error)

    def note(self, partitions: Iterable[TopicIdPartition]) -> None:
        """Name these too, durable on return. Raises OSError: then nothing may be cut."""
        together = self._partitions.union(partitions)
        if together == self._partitions or self._is_any:
            return
        self._is_written = True
        self._checkpoints.write_file(self._path, encode_damaged(together))
        self._partitions = together

    def told(self) -> None:
        """The loss is on record: whoever elects knows of it, whatever becomes of this broker.

        A file that cannot be removed costs the next start its places once more, and no record.
        """
        if not self._is_written:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                self._file_system.remove(self._path)
            self._file_system.sync_directory(self._checkpoints.path)
        except OSError as error:
            logger.warning("%s is not removed: %s", self._path, error)
            return
        self._partitions, self._is_any, self._is_written = frozenset(), False, False
