"""Whether a Produce would be acknowledged now, and if not, why.

What the broker knows of itself is asked first. Then the disk is: a file is written beside the logs
and flushed, as a Produce would be, in a thread. A full disk shows before a producer meets it, and
one that is full no more does so too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kbroker.services import LOST, Services
from kbroker.topics import GROUP_TOPIC
from log.file_system import FileSystem

PROBE_NAME = "readiness.probe"
PROBE_BYTES = 4096
PROBE_TIMEOUT_S = 5.0
PROBE_LIFE_S = 1.0
"""How long the disk's last word holds, so that asking often costs little."""


class Readiness:
    """Mutable: remembers the disk's last word."""

    def __init__(self, loop: asyncio.AbstractEventLoop, write_probe: Callable[[], None]) -> None:
        self.services: Services | None = None
        self.is_stopping = False
        self._loop = loop
        self._write_probe = write_probe
        self._probe: asyncio.Future[None] | None = None
        self._disk_says = ""
        self._asked_at = -PROBE_LIFE_S

    def known_reasons(self) -> list[str]:
        """What the broker knows that would keep a Produce from being acknowledged."""
        services = self.services
        if services is None:
            return ["the broker is starting"]
        reasons = []
        if self.is_stopping:
            reasons.append("the broker is stopping")
        if services.membership_state() == LOST:
            reasons.append("the broker is not a member of its cluster")
        if services.metadata.image.controller_id is None:
            reasons.append("there is no controller")
        replicas = services.replicas
        if replicas.offline:
            reasons.append("the log directory is offline")
        if replicas.refused_count:
            reasons.append(f"the disk refused to make {replicas.refused_count} partitions")
        has_groups = services.topics.partition_count(GROUP_TOPIC) > 0
        if has_groups and not services.group_coordinator.is_loaded:
            reasons.append("groups and their offsets are being loaded")
        return reasons

    async def reasons(self) -> list[str]:
        """All that would keep a Produce from being acknowledged; none: it would be."""
        reasons = self.known_reasons()
        if not reasons:
            disk_says = await self._ask_disk()
            # Asked again: it may have begun to stop meanwhile.
            reasons = self.known_reasons() + ([disk_says] if disk_says else [])
        return reasons

    async def settle(self) -> None:
        """Wait until no thread is writing."""
        if self._probe is not None:
            await asyncio.wait([self._probe])

    async def _ask_disk(self) -> str:
        if self._probe is None:
            if self._loop.time() - self._asked_at < PROBE_LIFE_S:
                return self._disk_says
            self._probe = self._loop.run_in_executor(None, self._write_probe)
            self._probe.add_done_callback(self._probed)
        probe = self._probe
        await asyncio.wait([probe], timeout=PROBE_TIMEOUT_S)
        if not probe.done():
            return f"the disk has not answered for {PROBE_TIMEOUT_S:.0f} s"
        return self._disk_says

    def _probed(self, probe: asyncio.Future[None]) -> None:
        self._probe = None
        self._asked_at = self._loop.time()
        error = None if probe.cancelled() else probe.exception()
        self._disk_says = "" if error is None else f"the disk refused: {error}"


def write_probe(file_system: FileSystem, directory: str) -> None:
    """Write and flush a few bytes beside the logs, and remove them. OSError. In a thread."""
    path = f"{directory}/{PROBE_NAME}"
    file = file_system.open(path, create=True)
    try:
        file.append(bytes(PROBE_BYTES))
        file.flush()
    finally:
        file.close()
        with contextlib.suppress(OSError):
            file_system.remove(path)
