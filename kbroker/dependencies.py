"""What a broker needs of the world: wall clock, chance, disk, flusher, metadata store.

Production fills these with the operating system's, a simulation with its own. Time as in timers,
and the network, come from the event loop itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kbroker.cluster.metadata_store import MetadataStore
from kbroker.config.broker_config import BrokerConfig
from kbroker.flusher import Flusher, ThreadFlusher
from log.file_system import FileSystem, OsFileSystem

if TYPE_CHECKING:
    from kbroker.observability.loop_watch import LoopTurns

WANTED_FILES = 1 << 20
LOGS_CLOSED_AT_ONCE = 8
FILES_FOR_LOGS = 512
"""Segments are opened as they are used: clients must leave room for that."""


class WallClock(Protocol):
    """The time of day: what timestamps in records and retention mean."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch. It may jump, in either direction."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The seams. `open_store` is given a path in the data directory, for a store that is kept
    there; `make_flusher` a name."""

    clock: WallClock
    random: random.Random
    file_system: FileSystem
    make_flusher: Callable[[str], Flusher]
    open_store: Callable[[str], Awaitable[MetadataStore]]
    max_connections: int = 1 << 31
    """What the system allows, less what the logs need."""
    turns: LoopTurns | None = None
    """Those of the loop, where it lets them be seen and somebody wants to."""
    closing_threads: int = 0
    """How many close the logs of many partitions, when nothing else runs; 0: only the loop's."""
    abort: Callable[[], None] = os.abort
    """Ends the process at once: an invariant does not hold, and must not go on serving."""


steady_time = time.monotonic
"""Seconds that never step back, for whoever is outside the loop that would tell them."""


def system_dependencies(
    loop: asyncio.AbstractEventLoop, config: BrokerConfig, turns: LoopTurns | None = None
) -> Dependencies:
    """The real world, for a broker that starts with this configuration."""
    generator = random.Random()

    async def open_store(path: str) -> MetadataStore:
        # Imported here: a simulated broker never loads SQLite, a single one nothing of etcd.
        url = config.metadata_url()
        if url is None:
            from kbroker.cluster.sqlite import open_sqlite_store

            return open_sqlite_store(path, generator)
        from kbroker.cluster.etcd_opening import open_etcd_store

        return await open_etcd_store(
            url,
            user=config.kbroker_metadata_etcd_user,
            password=config.kbroker_metadata_etcd_password,
            ca_file=config.kbroker_metadata_etcd_ca_file,
            allow_old=config.kbroker_metadata_etcd_allow_old,
            timeout_ms=config.kbroker_metadata_etcd_timeout_ms,
        )

    return Dependencies(
        clock=SystemClock(),
        random=generator,
        file_system=OsFileSystem(),
        make_flusher=lambda name: ThreadFlusher(loop, name),
        open_store=open_store,
        max_connections=connections_within(_file_limit()),
        turns=turns,
        closing_threads=LOGS_CLOSED_AT_ONCE,
    )


def _file_limit() -> int:
    """Open files that the system allows this process, after asking for as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return WANTED_FILES if soft == resource.RLIM_INFINITY else soft


def connections_within(file_limit: int) -> int:
    """The logs keep what they are promised, or half where there is little."""
    return max(file_limit - FILES_FOR_LOGS, file_limit // 2)
