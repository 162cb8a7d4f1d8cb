"""The snapshots of a partition's producer state: `<offset>.snapshot`, in Kafka's format, version 1.

A snapshot spares the recovery of a log its reading from the start. It is a cache: one that is
damaged is removed, and an older one or the log itself is read instead. Counterpart:
`log.producer_state`.

Kafka's own hold each producer's last batch only, so that after a restart a repeated batch before it
is refused as out of order. Here a producer has a row for each batch that is remembered, oldest
first: Kafka reads them one after the other and keeps the last, as it would have written it.
"""

import logging
from collections.abc import Iterable, Iterator
from struct import Struct
from struct import error as StructError

from log.file_system import FileSystem, write_atomically
from log.producer_state import BATCHES_REMEMBERED, BatchMetadata, ProducerEntry, ProducerState
from wire.records.checksum import crc32c

logger = logging.getLogger(__name__)

VERSION = 1
SUFFIX = ".snapshot"
OFFSET_DIGITS = 20
HEAD = Struct(">hI")
COUNT = Struct(">i")
ENTRY = Struct(">qhiqiqiq")
NO_OFFSET = -1


class CorruptSnapshotError(ValueError):
    """A snapshot that is cut, of another version, or does not match its checksum."""


def snapshot_name(offset: int) -> str:
    return f"{offset:0{OFFSET_DIGITS}d}{SUFFIX}"


def encode_snapshot(entries: Iterable[ProducerEntry]) -> bytes:
    """version int16, CRC-32C of the rest, count int32, and 46 bytes per row."""
    packed = [row for entry in entries for row in _rows(entry)]
    body = COUNT.pack(len(packed)) + b"".join(packed)
    return HEAD.pack(VERSION, crc32c(body)) + body


def _rows(entry: ProducerEntry) -> Iterator[bytes]:
    """One for each remembered batch; the last one says what holds of the producer."""
    for batch in entry.batches[:-1]:
        yield ENTRY.pack(
            entry.producer_id,
            entry.producer_epoch,
            batch.last_sequence,
            batch.last_offset,
            batch.offset_delta,
            batch.timestamp_ms,
            entry.coordinator_epoch,
            NO_OFFSET,
        )
    first_offset = entry.transaction_first_offset
    yield ENTRY.pack(
        entry.producer_id,
        entry.producer_epoch,
        entry.last_sequence,
        entry.last_offset,
        entry.batches[-1].offset_delta if entry.batches else 0,
        entry.last_timestamp_ms,
        entry.coordinator_epoch,
        NO_OFFSET if first_offset is None else first_offset,
    )


def decode_snapshot(data: bytes) -> list[ProducerEntry]:
    """The reverse, in the order in which the rows name producers; `CorruptSnapshotError`."""
    try:
        version, checksum = HEAD.unpack_from(data)
        (count,) = COUNT.unpack_from(data, HEAD.size)
    except StructError:
        raise CorruptSnapshotError("cut in its head") from None
    if version != VERSION:
        raise CorruptSnapshotError(f"version {version}")
    if checksum != crc32c(data[HEAD.size :]):
        raise CorruptSnapshotError("the checksum does not match")
    entries = data[HEAD.size + COUNT.size :]
    if len(entries) != count * ENTRY.size:
        raise CorruptSnapshotError(f"{len(entries)} bytes do not hold {count} rows")
    found: dict[int, ProducerEntry] = {}
    for fields in ENTRY.iter_unpack(entries):
        found[fields[0]] = _with_row(found.get(fields[0]), fields)
    return list(found.values())


def _with_row(before: ProducerEntry | None, fields: tuple[int, ...]) -> ProducerEntry:
    """What the row makes of a producer that rows before it have told of."""
    producer_id, epoch, sequence, offset, delta, timestamp_ms, coordinator_epoch, first = fields
    batches: tuple[BatchMetadata, ...] = ()
    if before is not None and before.producer_epoch == epoch:
        batches = before.batches[1 - BATCHES_REMEMBERED :]
    if offset >= 0:
        batches += (BatchMetadata(sequence, offset, delta, timestamp_ms),)
    return ProducerEntry(
        producer_id,
        epoch,
        batches,
        coordinator_epoch,
        timestamp_ms,
        first if first >= 0 else None,
    )


def snapshot_offsets(file_system: FileSystem, directory: str) -> list[int]:
    """The offsets of the snapshots in a partition's directory, ascending."""
    stems = [
        name.removesuffix(SUFFIX)
        for name in file_system.list_directory(directory)
        if name.endswith(SUFFIX)
    ]
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


def write_snapshot(file_system: FileSystem, directory: str, state: ProducerState) -> None:
    """Write the state as of its end offset, durable on return (KAFKA-9892); once per offset."""
    path = f"{directory}/{snapshot_name(state.end_offset)}"
    if not file_system.exists(path):
        write_atomically(file_system, path, encode_snapshot(state.entries))


def load_newest_snapshot(
    file_system: FileSystem,
    directory: str,
    state: ProducerState,
    *,
    first_offset: int,
    log_end_offset: int,
    now_ms: int,
) -> int:
    """Set `state` back to the newest sound snapshot that the segments go on from; its offset.

    `first_offset` is the first segment's. Without a snapshot the state is empty and ends there. The
    caller replays the batches from the offset on. Snapshots past the log's end, before its first
    segment, or damaged are removed. One at the first segment is all that is left of producers whose
    records were deleted: they may send again.
    """
    for offset in reversed(snapshot_offsets(file_system, directory)):
        path = f"{directory}/{snapshot_name(offset)}"
        if first_offset <= offset <= log_end_offset:
            try:
                entries = decode_snapshot(file_system.read_file(path))
            except CorruptSnapshotError as error:
                logger.warning("%s is damaged (%s) and removed: it will be rebuilt", path, error)
            else:
                state.reset(offset, entries, now_ms=now_ms)
                return offset
        file_system.remove(path)
    state.reset(first_offset, now_ms=now_ms)
    return first_offset


def remove_snapshots(
    file_system: FileSystem,
    directory: str,
    *,
    before: int | None = None,
    past: int | None = None,
    except_for: Iterable[int] = (),
) -> None:
    """Remove those below `before` and those above `past`, but for the offsets to keep."""
    kept = set(except_for)
    for offset in snapshot_offsets(file_system, directory):
        is_before = before is not None and offset < before
        is_past = past is not None and offset > past
        if (is_before or is_past) and offset not in kept:
            file_system.remove(f"{directory}/{snapshot_name(offset)}")
