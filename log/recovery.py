"""Open the segments of a log: trust them after a clean shutdown, else check from the recovery point.

After a crash the bytes behind the recovery point may be there, torn, or missing. What a crash can
explain, a torn tail, is cut off and said; what it cannot, a bad batch among records that were
committed, is damage: the log refuses to open rather than drop them silently.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from log.file_system import FileSystem
from log.log_config import LogConfig
from log.scan import Place, WholeBatch, find_sound_batch, iterate_whole
from log.segment import (
    DELETED_SUFFIX,
    LOG_SUFFIX,
    SUFFIXES,
    Segment,
    next_offset_of,
)
from log.segments import Segments

logger = logging.getLogger(__name__)

CLEANED_SUFFIX = ".cleaned"
SWAP_SUFFIX = ".swap"


class LogDamagedError(Exception):
    """Records that were committed cannot be read. The text names the file and the ways out."""


@dataclass(frozen=True, slots=True)
class OpenedSegments:
    log_start_offset: int
    log_end_offset: int
    recovery_point: int


def open_segments(
    segments: Segments,
    file_system: FileSystem,
    directory: str,
    *,
    name: str,
    config: LogConfig,
    recovery_point: int,
    log_start_offset: int,
    high_watermark: int,
    clean: bool,
    accept_damage: bool,
    now_ms: int,
) -> OpenedSegments:
    """Fill `segments` with what the directory holds, recovered; see `PartitionLog.open`."""
    _load(segments, file_system, directory, now_ms=now_ms)
    if not len(segments):
        segments.create(log_start_offset, now_ms=now_ms)
        return OpenedSegments(log_start_offset, log_start_offset, log_start_offset)
    end_offset = _trusted_end(segments.active) if clean else None
    if end_offset is None:
        end_offset = segments.first.base_offset
        for segment in segments:
            segment.clear_indexes()
            expected = max(end_offset, segment.base_offset)
            position = 0
            for batch in iterate_whole(segment.log(), 0, segment.size):
                position = batch.position + batch.header.size_bytes
                segment.note(_place(batch), index_interval_bytes=config.index_interval_bytes)
                expected = batch.header.next_offset
            if position < segment.size:
                segment.truncate(position, end_offset=expected, index_interval_bytes=4096)
            end_offset = expected
    start = max(log_start_offset, segments.first.base_offset)
    return OpenedSegments(start, end_offset, recovery_point)


def _place(batch: WholeBatch) -> Place:
    header = batch.header
    return Place(
        batch.position,
        header.size_bytes,
        header.base_offset,
        header.last_offset,
        header.max_timestamp,
    )


def _trusted_end(active: Segment) -> int | None:
    """The log end of a log that was closed cleanly; None if the active segment denies that."""
    if active.size == 0:
        return active.base_offset
    last = active.last_place()
    if last is None or last.position + last.size != active.size:
        return None
    active.resume(last)
    return last.last_offset + 1


def _load(segments: Segments, file_system: FileSystem, directory: str, *, now_ms: int) -> None:
    if not file_system.is_directory(directory):
        file_system.make_directory(directory)
    sizes: dict[int, dict[str, int]] = {}
    for file_name in file_system.list_directory(directory):
        stem, dot, suffix = file_name.partition(".")
        if dot + suffix in SUFFIXES and stem.isdigit():
            status = file_system.status(f"{directory}/{file_name}")
            sizes.setdefault(int(stem), {})[dot + suffix] = status.size
    for base_offset in sorted(sizes):
        if LOG_SUFFIX in sizes[base_offset]:
            segment = Segment(
                file_system, directory, base_offset, created_ms=now_ms, sizes=sizes[base_offset]
            )
            segments.add(segment)
    if len(segments):
        segments.active.log()
