"""Questions about a log that are not reads: offsets by time, and aborted transactions.

Counterpart of `reading`. Only here are records inside a batch looked at, to name the exact one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from log.scan import Place
from log.segment import Segment
from log.segments import Segments
from log.transaction_index import AbortedTransaction
from wire.errors import ErrorCode, KafkaError, WireError
from wire.records.batch import read_header
from wire.records.record import iterate_records

MAX_DECOMPRESSED_BYTES = 64 << 20
"""How far one batch may expand while a timestamp is looked for in it."""


class OffsetAndTimestamp(NamedTuple):
    offset: int
    timestamp_ms: int
    leader_epoch: int


def offset_for_timestamp(
    segments: Segments, timestamp: int, *, log_start_offset: int
) -> OffsetAndTimestamp | None:
    """The first record at or past `log_start_offset` whose timestamp is at least this one."""
    for segment in _candidates(segments.from_offset(log_start_offset), timestamp):
        segments.touch(segment)
        least = log_start_offset
        while (place := segment.place_of_timestamp(timestamp, least_offset=least)) is not None:
            found = _record_at(segment, place, timestamp, least_offset=least)
            if found is not None:
                return found
            # Its maximum was that of a record below the log start, or a producer's false claim.
            least = place.last_offset + 1
    return None


def _candidates(segments: Iterable[Segment], timestamp: int) -> Iterator[Segment]:
    """The segments with a timestamp that is at least this one, by their time indexes. The one
    before them is asked whether it was passed over rightly: its index may have lost its end.
    """
    passed: Segment | None = None
    for segment in segments:
        if segment.largest_timestamp()[0] < timestamp:
            passed = segment
            continue
        if passed is not None and _has(passed, timestamp):
            yield passed
        passed = None
        yield segment
    if passed is not None and _has(passed, timestamp):
        yield passed


def _has(segment: Segment, timestamp: int) -> bool:
    segment.confirm_largest_timestamp()
    return segment.largest_timestamp()[0] >= timestamp


def offset_of_max_timestamp(segments: Segments) -> OffsetAndTimestamp | None:
    """The first record with the log's largest timestamp (KIP-734); None in an empty log."""
    while True:
        best = max(segments, key=lambda segment: segment.largest_timestamp()[0])
        timestamp, offset = best.largest_timestamp()
        best.confirm_largest_timestamp()
        if best.largest_timestamp() == (timestamp, offset):
            break
    if timestamp < 0:
        return None
    segments.touch(best)
    place = best.place_of(offset)
    if place is None:
        return None
    return _record_at(best, place, timestamp, least_offset=0)


def _record_at(
    segment: Segment, place: Place, timestamp: int, *, least_offset: int
) -> OffsetAndTimestamp | None:
    data = segment.log().read_at(place.position, place.size)
    epoch = read_header(data).partition_leader_epoch
    try:
        for record in iterate_records(data, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES):
            if record.timestamp_ms >= timestamp and record.offset >= least_offset:
                return OffsetAndTimestamp(record.offset, record.timestamp_ms, epoch)
    except WireError as error:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(error)) from None
    return None


def aborted_transactions(
    segments: Segments, *, start_offset: int, upper_bound_offset: int
) -> list[AbortedTransaction]:
    """Those with records in `[start_offset, upper_bound_offset)`, by their last offsets."""
    found: list[AbortedTransaction] = []
    for segment in segments.from_offset(start_offset):
        index = segment.transaction_index
        found += index.collect(start_offset, upper_bound_offset)
        if index.is_complete_below(upper_bound_offset):
            break
    return found
