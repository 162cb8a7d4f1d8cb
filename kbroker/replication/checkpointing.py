"""Checkpoints written in a thread, one write at a time, while the loop goes on.

Counterpart: `log.log_directory`, which gathers them on the loop and writes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from log.checkpoint_writer import CheckpointFile
from log.checkpoints import TopicPartition
from log.log_directory import LogDirectory

logger = logging.getLogger(__name__)


class Checkpointing:
    """Mutable: the write under way. Two at once could put older offsets over newer ones."""

    def __init__(self, directory: LogDirectory) -> None:
        self._directory = directory
        self._write: asyncio.Future[None] | None = None

    async def write(self, high_watermarks: Mapping[TopicPartition, int]) -> None:
        """Write what has changed, unless a write is under way; a failure is only logged."""
        if self._write is not None:
            return
        files = self._directory.gather_checkpoints(high_watermarks)
        if files:
            await asyncio.wait([self._start(files)])

    async def write_log_starts(self) -> None:
        """Wait until the log starts of this moment are durable: what is deleted stays so.

        Raises OSError.
        """
        while True:
            while self._write is not None:  # others wait for it too, and may go first
                await self.settle()
            files = self._directory.gather_log_starts()
            if not files:
                return
            written = self._start(files)
            await asyncio.wait([written])
            error = written.exception()
            if error is not None:
                raise error

    async def settle(self) -> None:
        """Wait for what a thread still writes: closing must not race with it."""
        if self._write is not None:
            await asyncio.wait([self._write])

    def _start(self, files: list[CheckpointFile]) -> asyncio.Future[None]:
        assert self._write is None, "one write at a time"
        write = self._directory.checkpoints.write
        self._write = asyncio.get_running_loop().run_in_executor(None, write, files)
        self._write.add_done_callback(self._written)
        return self._write

    def _written(self, written: asyncio.Future[None]) -> None:
        self._write = None
        error = None if written.cancelled() else written.exception()
        if error is not None:
            # They are written again in a moment; recovery reads more where they are old.
            logger.warning("the checkpoints were not written: %s", error)
