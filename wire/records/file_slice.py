"""A range of bytes that still lies in a file: what a Fetch response carries instead of a copy.

The encoder only asks for its length; `kbroker.server` reads or sends the bytes. Deliberately not
here: reading itself, which is the source's, and caching.
"""

from __future__ import annotations

from typing import Protocol


class SliceSource(Protocol):
    """An open file of which ranges may be sent; it closes once its last holder has let go."""

    def fileno(self) -> int | None:
        """The descriptor to send from, or None where there is none (a simulated disk)."""

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes at `position`; fewer only at the end of the file."""

    def read_at_nowait(self, position: int, size: int) -> bytes | None:
        """The same without waiting for the disk: None where the page cache lacks the bytes."""

    def retain(self) -> None:
        """Counts one more holder."""

    def release(self) -> None:
        """Counts one holder less."""


class FileSlice:
    """`size` bytes at `position` of `source`.

    Whoever makes one has retained the source once; whoever consumed or dropped it releases it.
    """

    __slots__ = ("position", "size", "source")

    def __init__(self, source: SliceSource, position: int, size: int) -> None:
        self.source = source
        self.position = position
        self.size = size

    def __len__(self) -> int:
        return self.size

    def release(self) -> None:
        self.source.release()

    def __repr__(self) -> str:
        return f"FileSlice(position={self.position}, size={self.size})"
