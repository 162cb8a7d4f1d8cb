"""Walk over the batches of a `.log` file: their headers only, or whole and checked.

Headers are read in chunks, so that small batches cost one read for many and large ones one small
read each. Counterpart: `wire.records.batch` iterates over batches that are in memory already.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from log.file_system import File
from wire.errors import WireError
from wire.records.batch import BatchHeader, crc_is_valid, read_header
from wire.records.batch_header import CURRENT_MAGIC, HEADER_SIZE, LENGTH_END

# base_offset, batch_length, last_offset_delta, max_timestamp
_PLACE = Struct(">qi11xi8xq")
HEADER_CHUNK_BYTES = 4096
WHOLE_CHUNK_BYTES = 1 << 20


class ColdRead(Exception):
    """What is looked for is not in the page cache: read this range elsewhere, then ask again."""

    def __init__(self, file: File, position: int, size: int) -> None:
        super().__init__(file.path, position, size)
        self.file = file
        self.position = position
        self.size = size


def read_cached(file: File, position: int, size: int) -> bytes:
    """As `read_at`, or ColdRead where that would wait for the disk."""
    data = file.read_at_nowait(position, size)
    if data is None:
        raise ColdRead(file, position, size)
    return data


class Place(NamedTuple):
    """Where a batch lies in its segment, and what an index says of it."""

    position: int
    size: int
    base_offset: int
    last_offset: int
    max_timestamp: int


def iterate_places(file: File, position: int, end: int) -> Iterator[Place]:
    """The batches from `position` to `end`; ends silently at a batch that is cut or nonsense.

    Only for parts of a file that were checked when they were written or recovered.
    """
    chunk, chunk_position = b"", position
    unpack, place_size = _PLACE.unpack_from, _PLACE.size
    while position + HEADER_SIZE <= end:
        at = position - chunk_position
        if at + place_size > len(chunk):
            chunk_position, at = position, 0
            chunk = file.read_at(position, min(HEADER_CHUNK_BYTES, end - position))
            if len(chunk) < place_size:
                return
        base_offset, length, delta, max_timestamp = unpack(chunk, at)
        size = length + LENGTH_END
        if size < HEADER_SIZE or position + size > end:
            return
        yield Place(position, size, base_offset, base_offset + delta, max_timestamp)
        position += size


def first_place_ending_at(
    file: File, position: int, end: int, offset: int, *, cached_only: bool = False
) -> Place | None:
    """The first batch from `position` on that ends at or behind `offset`, None before `end`.

    What every read that no cache answers does: a loop without an object per batch. With
    `cached_only` it raises ColdRead rather than wait for the disk.
    """
    chunk, start = b"", position
    unpack, place_size = _PLACE.unpack_from, _PLACE.size
    while position + HEADER_SIZE <= end:
        at = position - start
        if at + place_size > len(chunk):
            start, at = position, 0
            size = min(HEADER_CHUNK_BYTES, end - position)
            chunk = (
                read_cached(file, position, size) if cached_only else file.read_at(position, size)
            )
            if len(chunk) < place_size:
                return None
        base_offset, length, delta, max_timestamp = unpack(chunk, at)
        if length < HEADER_SIZE - LENGTH_END:
            return None
        if base_offset + delta >= offset:
            size = length + LENGTH_END
            if position + size > end:
                return None
            return Place(position, size, base_offset, base_offset + delta, max_timestamp)
        position += length + LENGTH_END
    return None


class WholeBatch(NamedTuple):
    position: int
    header: BatchHeader
    data: memoryview


def iterate_whole(file: File, position: int, end: int) -> Iterator[WholeBatch]:
    """The batches from `position` to `end` with their bytes, each checked; ends at the first bad.

    `data` is dead when the next one is asked for. Whether `end` was reached is the caller's to see.
    """
    chunk, start = memoryview(b""), position
    while position + HEADER_SIZE <= end:
        at = position - start
        header = _header(chunk, at)
        if header is None or at + header.size_bytes > len(chunk):
            size = min(WHOLE_CHUNK_BYTES, end - position)
            chunk, start, at = memoryview(file.read_at(position, size)), position, 0
            header = _header(chunk, 0)
            if header is not None and len(chunk) < header.size_bytes <= end - position:
                chunk = memoryview(file.read_at(position, header.size_bytes))
        if header is None or not is_sound(chunk, at, header):
            return
        size = header.size_bytes
        yield WholeBatch(position, header, chunk[at : at + size])
        position += size


def next_offset_of(base_offset: int, log: File) -> int:
    """The offset behind the last sound batch of a `.log` file, by a full scan; closes the file."""
    next_offset = base_offset
    for batch in iterate_whole(log, 0, log.size):
        next_offset = batch.header.next_offset
    log.close()
    return next_offset


def is_sound(data: memoryview, at: int, header: BatchHeader) -> bool:
    """Whether a whole batch of format 2 with the right checksum lies at `at`."""
    return (
        header.magic == CURRENT_MAGIC
        and header.last_offset_delta >= 0
        and crc_is_valid(data, at, header)
    )


def find_sound_batch(file: File, position: int, end: int, *, least_offset: int) -> int | None:
    """The position of a sound batch behind a bad one at `position`, None if there is none.

    First the place that the bad batch's own length names, then every byte: a header with the
    format's magic and a fitting length is rare in other bytes, and the checksum decides.
    """
    chunk_size = WHOLE_CHUNK_BYTES
    start = position + 1
    while start + HEADER_SIZE <= end:
        chunk = file.read_at(start, min(chunk_size + HEADER_SIZE, end - start))
        magic_at = chunk.find(b"\x02", 16)
        while magic_at >= 0:
            at = magic_at - 16
            header = _header(memoryview(chunk), at)
            if header is not None and _fits(header, start + at, end, least_offset):
                whole = memoryview(file.read_at(start + at, header.size_bytes))
                if is_sound(whole, 0, header):
                    return start + at
            magic_at = chunk.find(b"\x02", magic_at + 1)
        start += chunk_size
    return None


def _fits(header: BatchHeader, position: int, end: int, least_offset: int) -> bool:
    return (
        header.base_offset >= least_offset
        and header.base_offset - least_offset < 1 << 31  # a segment holds no more offsets
        and position + header.size_bytes <= end
        and header.record_count >= 0
    )


def _header(data: memoryview, at: int) -> BatchHeader | None:
    try:
        return read_header(data, at)
    except WireError:
        return None
