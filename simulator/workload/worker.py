"""What a run wants of everybody who uses the broker."""

from __future__ import annotations

from typing import Protocol


class Worker(Protocol):
    """One client program. `name` is unique in a run, and a word of the command line."""

    name: str

    async def prepare(self) -> None:
        """Make what it needs, before any fault."""
        ...

    async def work(self) -> None:
        """Use the broker through all faults. Once `world.finishing`, succeed once more, finish what
        is under way, and return. Raise InvariantError where an answer cannot be."""
        ...

    async def check(self) -> None:
        """After everything: compare what is there with what it was told. InvariantError."""
        ...
