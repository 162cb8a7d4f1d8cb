"""The batches of one replica's log, read off its disk a piece at a time.

What was read stays, until the log is cut below it. Counterparts: `cluster_invariants`, which
compares them, `durability`, which asks what of them a power loss would leave.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from log.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from log.partition_log import PartitionLog
    from simulator.disk import SimulatedDisk

HEADER = struct.Struct(">qiibIhi")
"""Base offset, length of what follows it, leader epoch, magic, CRC, attributes, last offset's
delta."""
LENGTH_END = 12


class Batch(NamedTuple):
    """`crc` covers all that is not named here, offset and epoch excepted."""

    base_offset: int
    last_offset: int
    leader_epoch: int
    crc: int


class LogScan:
    """Of one open log. Mutable: `cuts` counts how often what was read was there no more."""

    def __init__(self, log: PartitionLog) -> None:
        self.log = log
        self.batches: list[Batch] = []
        self.cuts = 0
        self._places: list[tuple[int, int]] = []
        """Of each batch: its segment, and its position in it."""

    def update(self, disk: SimulatedDisk) -> list[Batch]:
        """All batches from the first segment's start to the log end, as a process sees them."""
        self._drop_what_was_cut(disk)
        segments = list(self.log.segments)
        if not segments:
            return self.batches
        base, position = segments[0].base_offset, 0
        if self.batches:
            base, position = self._places[-1]
            position += self._length(disk, base, position)
        for segment in segments:
            if segment.base_offset < base:
                continue
            if segment.base_offset > base:
                position = 0
            self._read(disk, segment.base_offset, segment.path(LOG_SUFFIX), position)
        return self.batches

    def _drop_what_was_cut(self, disk: SimulatedDisk) -> None:
        there = {segment.base_offset for segment in self.log.segments}
        was = len(self.batches)
        while self.batches:
            last, (base, position) = self.batches[-1], self._places[-1]
            if (
                last.last_offset < self.log.log_end_offset
                and base in there
                and _batch_at(self._piece(disk, base, position), 0) == last
            ):
                break
            self.batches.pop()
            self._places.pop()
        self.cuts += len(self.batches) < was

    def _read(self, disk: SimulatedDisk, base: int, path: str, position: int) -> None:
        data = disk.piece(path, position)
        at = 0
        while (batch := _batch_at(data, at)) and batch.last_offset < self.log.log_end_offset:
            self.batches.append(batch)
            self._places.append((base, position + at))
            at += LENGTH_END + int.from_bytes(data[at + 8 : at + LENGTH_END], "big")

    def _piece(self, disk: SimulatedDisk, base: int, position: int) -> bytes:
        segment = self.log.segments.floor(base)
        return disk.piece(segment.path(LOG_SUFFIX), position, HEADER.size)

    def _length(self, disk: SimulatedDisk, base: int, position: int) -> int:
        length = int.from_bytes(self._piece(disk, base, position)[8:LENGTH_END], "big")
        return LENGTH_END + length


def _batch_at(data: bytes, at: int) -> Batch | None:
    """None: no whole header is there."""
    if len(data) < at + HEADER.size:
        return None
    base_offset, _, epoch, _, crc, _, last_delta = HEADER.unpack_from(data, at)
    return Batch(base_offset, base_offset + last_delta, epoch, crc)
