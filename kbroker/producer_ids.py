"""Hands out producer ids from blocks that the metadata store reserves for this broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class ProducerIds:
    """A block of ids and the way to the next block. Ids left over at a stop are never given."""

    def __init__(self, allocate_block: Callable[[], Awaitable[range]]) -> None:
        self._allocate_block = allocate_block
        self._block = iter(range(0))
        self._refilling: asyncio.Lock = asyncio.Lock()

    def take(self) -> int | None:
        """An id at once, or None where the block is used up."""
        return next(self._block, None)

    async def next(self) -> int:
        """An id, after reserving a new block if need be. Raises KafkaError."""
        async with self._refilling:  # many producers that start at once share one block
            producer_id = self.take()
            while producer_id is None:
                self._block = iter(await self._allocate_block())
                producer_id = self.take()
        return producer_id
