"""What is done to one file: its bytes change, or operations on it fail.

Faults that fail operations are healed before the last start of an experiment; bytes stay as they
were made.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass

from simulator.disk import SimulatedDisk
from simulator.disk_faults.tampering import content_of, replace_content


@dataclass(frozen=True, slots=True)
class Fault:
    """`change` makes the new bytes from the old ones, None for a file that is gone; `operations`
    fail with `error_number`. `column` of the table it belongs to."""

    name: str
    column: str
    change: Callable[[bytes], bytes | None] | None = None
    operations: tuple[str, ...] = ()
    error_number: int = errno.EIO
    only_batches: bool = False
    """It is of the parts of a record batch."""

    def apply(self, disk: SimulatedDisk, path: str, patterns: tuple[str, ...]) -> None:
        """To the file `path`, which exists, or, if operations fail, to all that match. A
        directory can only go."""
        if self.change is not None:
            content = content_of(disk, path)
            changed = self.change(content) if isinstance(content, bytes) else None
            replace_content(disk, path, changed)
        for operation in self.operations:
            for pattern in patterns:
                disk.fail(operation, pattern, error_number=self.error_number)


def _zeroes(content: bytes) -> bytes:
    return bytes(len(content))


def _junk(content: bytes) -> bytes:
    return random.Random(len(content)).randbytes(len(content))


def _flipped(content: bytes, position: int, bit: int = 1) -> bytes:
    if not content:
        return content
    position = min(position, len(content) - 1)
    changed = bytearray(content)
    changed[position] ^= bit
    return bytes(changed)


def _middle_batch(content: bytes) -> tuple[int, int]:
    """`(position, size)` of the batch in the middle of a segment."""
    places = []
    position = 0
    while position + 12 <= len(content):
        size = 12 + int.from_bytes(content[position + 8 : position + 12], "big")
        places.append((position, size))
        position += size
    return places[len(places) // 2]


def _in_batch(at: int) -> Callable[[bytes], bytes]:
    """A bit of the batch in the middle; negative positions count from its end."""

    def change(content: bytes) -> bytes:
        position, size = _middle_batch(content)
        return _flipped(content, position + (at if at >= 0 else size + at))

    return change


FAULTS: tuple[Fault, ...] = (
    Fault("zeroes", "zeroes", _zeroes),
    Fault("junk", "junk", _junk),
    Fault("first-bit", "one bit", lambda content: _flipped(content, 0)),
    Fault("middle-bit", "one bit", lambda content: _flipped(content, len(content) // 2)),
    Fault("last-bit", "one bit", lambda content: _flipped(content, len(content) - 1)),
    Fault("last-but-one-bit", "one bit", lambda content: _flipped(content, len(content) - 2)),
    # In a text file this makes the last number larger.
    Fault("number-bit", "one bit", lambda content: _flipped(content, len(content) - 2, 2)),
    Fault("offset-bit", "one bit", _in_batch(7), only_batches=True),
    Fault("length-bit", "one bit", _in_batch(11), only_batches=True),
    Fault("epoch-bit", "one bit", _in_batch(15), only_batches=True),
    Fault("magic-bit", "one bit", _in_batch(16), only_batches=True),
    Fault("checksum-bit", "one bit", _in_batch(20), only_batches=True),
    Fault("delta-bit", "one bit", _in_batch(26), only_batches=True),
    Fault("payload-bit", "one bit", _in_batch(-3), only_batches=True),
    Fault("empty", "empty", lambda content: b""),
    Fault("half", "half", lambda content: content[: len(content) // 2]),
    Fault("tail", "less a byte", lambda content: content[:-1]),
    Fault("missing", "missing", lambda content: None),
    Fault("unreadable", "EIO read", operations=("read",)),
    Fault("unwritable", "EIO write", operations=("append", "truncate")),
    Fault("unflushable", "EIO fsync", operations=("flush", "sync_directory")),
    Fault("full", "no room", operations=("append",), error_number=errno.ENOSPC),
)

COLUMNS = tuple(dict.fromkeys(fault.column for fault in FAULTS))
