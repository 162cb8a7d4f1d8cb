"""Hands out producer ids from blocks that the metadata store reserves for this broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine

from wire.errors import KafkaError

Spawn = Callable[[Coroutine[None, None, None], str], object]


class ProducerIds:
    """A block of ids and the way to the next block. Ids left over at a stop are never given."""

    def __init__(
        self, allocate_block: Callable[[], Awaitable[range]], *, spawn: Spawn | None = None
    ) -> None:
        """`spawn` starts a task: with it, one more block is reserved ahead, so that producers may
        begin while the store is out of reach. Without it, a block is reserved when it is needed."""
        self._allocate_block = allocate_block
        self._spawn = spawn
        self._block = iter(range(0))
        self._ahead: range | None = None
        self._refilling: asyncio.Lock = asyncio.Lock()

    def take(self) -> int | None:
        """An id at once, or None where the block is used up."""
        producer_id = next(self._block, None)
        if producer_id is None and self._ahead is not None:
            self._block, self._ahead = iter(self._ahead), None
            producer_id = next(self._block, None)
            self.reserve_ahead()
        return producer_id

    async def next(self) -> int:
        """An id, after reserving a new block if need be. Raises KafkaError."""
        async with self._refilling:  # many producers that start at once share one block
            producer_id = self.take()
            while producer_id is None:
                self._block = iter(await self._allocate_block())
                producer_id = self.take()
        self.reserve_ahead()
        return producer_id

    def reserve_ahead(self) -> None:
        """See to a block beyond the one that ids are taken from, where such are kept."""
        if self._spawn is not None and self._ahead is None and not self._refilling.locked():
            self._spawn(self._reserve(), "producer ids")

    async def _reserve(self) -> None:
        async with self._refilling:
            if self._ahead is None:
                with contextlib.suppress(KafkaError):  # whoever needs one finds out
                    self._ahead = await self._allocate_block()
