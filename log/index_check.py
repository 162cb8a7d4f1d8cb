"""Whether what a time index says is what the batches say: it decides what retention removes.

Headers alone are read, and few of them. Counterparts: `log.segment` (which rebuilds its indexes),
`log.time_index`, `log.offset_index`.
"""

from __future__ import annotations

from itertools import chain

from log.file_system import File
from log.offset_index import OffsetIndex
from log.scan import Place, first_place_ending_at, iterate_places

CHECKED_BYTES = 1 << 20
"""How far behind the batch with the largest timestamp a larger one is looked for."""


def place_of_entry(
    log: File, offset_index: OffsetIndex, size: int, timestamp: int, offset: int
) -> Place | None:
    """The batch that an entry of the time index is of; None if there is none such."""
    place = first_place_ending_at(log, offset_index.lookup(offset), size, offset)
    if place is None or place.base_offset > offset or place.max_timestamp != timestamp:
        return None
    return place


def is_largest(
    log: File, offset_index: OffsetIndex, size: int, timestamp: int, offset: int
) -> bool:
    """Whether the batch with `offset` has this timestamp, and none has a larger: as far as the
    first batch, those behind it, and the last ones tell. -1: there is none with a timestamp.
    """
    position = 0
    if timestamp >= 0:
        place = place_of_entry(log, offset_index, size, timestamp, offset)
        if place is None:
            return False
        position = place.position
    _, last_position = offset_index.last_entry()
    first = next(iterate_places(log, 0, size), None)
    if first is None or first.max_timestamp > timestamp:
        return False
    behind = iterate_places(log, position, min(size, position + CHECKED_BYTES))
    last = iterate_places(log, last_position, size)
    return all(place.max_timestamp <= timestamp for place in chain(behind, last))


def is_whole(log: File, size: int, *, base_offset: int) -> bool:
    """Whether batches follow each other up to the end, so that indexes can be made of them."""
    position, end_offset = 0, base_offset
    for place in iterate_places(log, 0, size):
        if not end_offset <= place.base_offset <= place.last_offset:
            return False
        position, end_offset = place.position + place.size, place.last_offset + 1
    return position == size
