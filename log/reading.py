"""Find the bytes of a fetch in a log's segments, without decoding a record.

`BoundaryCache` remembers where the last few reads and flushes ended, in bytes: a consumer that
follows the log starts where it stopped, and the high watermark is where a flush ended, so tailing
needs neither an index nor a look into the file.
"""

from __future__ import annotations

from log.scan import Place, read_cached
from log.segment import LOG_SUFFIX, Segment
from log.segments import Segments
from wire.errors import ErrorCode, KafkaError
from wire.records.batch_header import LENGTH_END
from wire.records.file_slice import FileSlice

MAX_BOUNDARIES = 16


class BoundaryCache:
    """Offset -> `(segment, position)` of the batch that starts there. Mutable, bounded."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[int, tuple[Segment, int]] = {}

    def note(self, offset: int, segment: Segment, position: int) -> None:
        places = self._places
        if offset not in places and len(places) >= MAX_BOUNDARIES:
            del places[next(iter(places))]  # the oldest
        places[offset] = (segment, position)

    def get(self, offset: int) -> tuple[Segment, int] | None:
        return self._places.get(offset)

    def clear(self) -> None:
        """After a truncation, a roll or a deletion: positions mean something else."""
        self._places.clear()


def out_of_range(offset: int, log_start_offset: int, log_end_offset: int) -> KafkaError:
    detail = f"{offset} is not within [{log_start_offset}, {log_end_offset}]"
    return KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, detail)


def read_slice(
    segments: Segments,
    boundaries: BoundaryCache,
    *,
    start_offset: int,
    max_bytes: int,
    upper_bound_offset: int,
    log_end_offset: int,
    at_least_one_batch: bool,
    cached_only: bool,
    may_have_holes: bool,
) -> FileSlice | None:
    """See `PartitionLog.read`; `start_offset` is in range and below `upper_bound_offset`."""
    found = boundaries.get(start_offset)
    if found is None:
        found = _locate(segments, start_offset, cached_only, may_have_holes=may_have_holes)
    if found is None:
        return None
    segment, start = found
    end = _end_position(
        segments, boundaries, segment, upper_bound_offset, log_end_offset, cached_only
    )
    size = end - start
    if size <= 0:
        return None
    segments.touch(segment)
    log = segment.log()
    if size > max_bytes:
        length = read_cached(log, start + 8, 4) if cached_only else log.read_at(start + 8, 4)
        first = int.from_bytes(length, "big") + LENGTH_END
        if first > max_bytes:
            if not at_least_one_batch:
                return None
            max_bytes = first
        size = min(size, max_bytes)
    if size == end - start:
        _note_end(segments, boundaries, segment, end, upper_bound_offset)
    log.retain()
    return FileSlice(log, start, size)


def _locate(
    segments: Segments, offset: int, cached_only: bool, *, may_have_holes: bool
) -> tuple[Segment, int] | None:
    first = segment = segments.floor(offset)
    place: Place | None = None
    while True:
        segments.touch(segment)
        place = segment.place_of(offset, cached_only=cached_only)
        following = segments.after(segment)
        if place is not None or following is None:
            break
        # Compaction leaves gaps: the batch may be the first one of a later segment.
        segment = following
    if not may_have_holes and (place is None or place.base_offset > offset):
        # A reader would pass over the hole without knowing that there was something.
        detail = f"the batch with offset {offset} is missing from {first.path(LOG_SUFFIX)}"
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, detail)
    return None if place is None else (segment, place.position)


def _end_position(
    segments: Segments,
    boundaries: BoundaryCache,
    segment: Segment,
    upper_bound_offset: int,
    log_end_offset: int,
    cached_only: bool,
) -> int:
    """Where the bytes of `segment` below the bound end; a batch across the bound stays out."""
    if upper_bound_offset >= log_end_offset:
        return segment.size
    known = boundaries.get(upper_bound_offset)
    if known is not None and known[0] is segment:
        return known[1]
    following = segments.after(segment)
    if following is not None and following.base_offset <= upper_bound_offset:
        return segment.size
    place = segment.place_of(upper_bound_offset, cached_only=cached_only)
    if place is None:
        return segment.size
    boundaries.note(upper_bound_offset, segment, place.position)
    return place.position


def _note_end(
    segments: Segments, boundaries: BoundaryCache, segment: Segment, end: int, upper_bound: int
) -> None:
    """Remember where the reader goes on."""
    if segment is segments.active or end < segment.size:
        boundaries.note(upper_bound, segment, end)
        return
    following = segments.after(segment)
    assert following is not None
    boundaries.note(following.base_offset, following, 0)
