"""Cut a log's end off: its segments, and the producer state that the lost records had made.

Done durably before the log goes on: old records must not reappear behind new ones after a crash.
"""

from __future__ import annotations

from collections.abc import Callable

from log.file_system import FileSystem
from log.producer_snapshot import load_newest_snapshot
from log.producer_state import ProducerState
from log.recovery import replay_producers
from log.segments import Segments


def cut(
    segments: Segments,
    state: ProducerState,
    file_system: FileSystem,
    directory: str,
    *,
    offset: int,
    lower: Callable[[int], None],
) -> int:
    """Drop what ends at or behind `offset`, which lies within the log; the new log end.

    First `lower` gets the new end: no file may promise more once records are gone. Raises OSError;
    the log is somewhere between its old and its new end then.
    """
    place = segments.floor(offset).place_of(offset)
    lower(offset if place is None else min(place.base_offset, offset))
    end_offset = cut_segments(segments, offset)
    cut_producers(
        segments,
        state,
        file_system,
        directory,
        log_end_offset=end_offset,
    )
    return end_offset


def cut_segments(segments: Segments, offset: int) -> int:
    """Cut the files; the new log end.

    Whole segments go first, last one first: what a crash leaves is a longer log, without a hole.
    """
    gone = [segment for segment in segments if segment.base_offset > offset]
    if gone:
        segments.delete(gone[::-1])
    active = segments.active
    place = active.place_of(offset)
    if place is None:
        # Only compaction leaves such a gap at the end of a segment.
        active.resume()
        return offset
    end_offset = min(place.base_offset, offset)
    active.truncate(place.position, end_offset=end_offset)
    return end_offset


def cut_producers(
    segments: Segments,
    state: ProducerState,
    file_system: FileSystem,
    directory: str,
    *,
    log_end_offset: int,
) -> None:
    """Bring the producer state back to what it was at the new log end."""
    load_newest_snapshot(
        file_system,
        directory,
        state,
        first_offset=min(segments.first.base_offset, log_end_offset),
        log_end_offset=log_end_offset,
        now_ms=0,
    )
    if state.end_offset < log_end_offset:
        replay_producers(segments, state, end_offset=log_end_offset)
    state.end_offset = log_end_offset
