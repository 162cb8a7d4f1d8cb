"""What a log says is durable, compared with what a power loss would leave of it.

Each byte is looked at once: the scan of a partition goes on where it was. Counterpart:
`invariants`, which calls it and says when.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING

from log.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from log.partition_log import PartitionLog
    from simulator.disk import SimulatedDisk

HEADER = struct.Struct(">qii7xi")
"""Base offset, length of what follows it, leader epoch, and behind magic, CRC and attributes the
last offset's delta."""
LENGTH_END = 12


class DurableScan:
    """Of one open log. Mutable: up to where it is durable, as far as it was looked at."""

    def __init__(self, log: PartitionLog) -> None:
        self.log = log
        self._base_offset = -1
        self._position = 0
        self._next_offset = 0

    def check(self, disk: SimulatedDisk) -> str:
        """What is wrong, in a line; "" if nothing is."""
        log = self.log
        promised = log.recovery_point
        if promised <= log.log_start_offset:
            return ""  # of what was deleted nothing is promised
        while self._next_offset < promised:
            bases = [segment.base_offset for segment in log.segments]
            if self._base_offset not in bases:
                # The first look, or retention took the segment.
                self._begin(bases[0])
                if self._next_offset >= promised:
                    break
            segment = log.segments.floor(self._base_offset)
            data = disk.surviving_content(segment.path(LOG_SUFFIX), self._position)
            if data is None:
                return f"the name of {segment.path(LOG_SUFFIX)} is not durable"
            wrong = self._scan(data, promised)
            if wrong:
                return wrong
            following = log.segments.after(segment)
            if self._next_offset >= promised:
                break
            if following is None or following.base_offset != self._next_offset:
                return f"{log.name} is durable up to {self._next_offset}, and says {promised}"
            self._begin(following.base_offset)
        return ""

    def _begin(self, base_offset: int) -> None:
        self._base_offset = self._next_offset = base_offset
        self._position = 0

    def _scan(self, data: bytes, promised: int) -> str:
        """Take the batches in `data`, which starts at the position reached, up to what is said."""
        starts = self.log.leader_epochs.entries
        epoch_starts = [each.start_offset for each in starts]
        at = 0
        while self._next_offset < promised and len(data) >= at + HEADER.size:
            base_offset, length, epoch, last_delta = HEADER.unpack_from(data, at)
            if length <= 0 or at + LENGTH_END + length > len(data):
                break
            if base_offset != self._next_offset:
                return f"{self.log.name} has offset {base_offset} at {self._next_offset}"
            if base_offset >= self.log.log_start_offset:
                slot = bisect_right(epoch_starts, base_offset) - 1
                noted = starts[slot].epoch if slot >= 0 else -1
                if noted != epoch:
                    return (
                        f"{self.log.name} at offset {base_offset} was written in leader epoch "
                        f"{epoch}, and its history says {noted}"
                    )
            self._next_offset = base_offset + last_delta + 1
            at += LENGTH_END + length
        self._position += at
        return ""
