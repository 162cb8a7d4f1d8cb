"""Checkpoints are written one after the other, and who needs one waits until it is durable."""

from __future__ import annotations

import asyncio
import random

import pytest

from kbroker.replication.checkpointing import Checkpointing
from log.checkpoint_writer import LOG_STARTS
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from simulator.disk import SimulatedDisk

KEY = ("t", 0)


def _directory(disk: SimulatedDisk) -> LogDirectory:
    directory = LogDirectory.open(
        disk,
        "/data",
        node_id=1,
        cluster_id=None,
        new_cluster_id="c",
        new_directory_id=bytes(16),
    )
    directory.open_logs(config_of=lambda name: LogConfig(), topic_ids={}, now_ms=0)
    directory.create_logs("t", [0], topic_id=bytes(16), config=LogConfig(), now_ms=0)
    return directory


def _log_starts(disk: SimulatedDisk) -> bytes:
    """What a power loss would leave of them."""
    path = f"/data/{LOG_STARTS}"
    after = disk.crash(random.Random(1))
    return after.read_file(path) if after.exists(path) else b""


def test_a_log_start_is_durable_when_it_was_waited_for() -> None:
    async def scenario() -> None:
        disk = SimulatedDisk()
        directory = _directory(disk)
        checkpointing = Checkpointing(directory)
        directory.logs[KEY].truncate_fully_and_start_at(7)
        await checkpointing.write_log_starts()
        assert b"t 0 7" in _log_starts(disk)
        before = disk.operation_count
        await checkpointing.write_log_starts()
        assert disk.operation_count == before, "it is there already"

    asyncio.run(scenario())


def test_many_who_wait_are_all_served_whatever_is_written_meanwhile() -> None:
    async def scenario() -> None:
        disk = SimulatedDisk()
        directory = _directory(disk)
        checkpointing = Checkpointing(directory)
        durable: list[int] = []

        async def delete(offset: int) -> None:
            for _ in range(offset % 3):
                await asyncio.sleep(0)
            log = directory.logs[KEY]
            if offset > log.log_start_offset:
                log.truncate_fully_and_start_at(offset)
            await checkpointing.write_log_starts()
            durable.append(offset)

        await asyncio.gather(
            *(delete(offset) for offset in (3, 1, 8, 5, 2)),
            checkpointing.write({KEY: 0}),
            checkpointing.write({KEY: 0}),
        )
        assert sorted(durable) == [1, 2, 3, 5, 8]
        assert b"t 0 8" in _log_starts(disk), "nothing older came over it"

    asyncio.run(scenario())


def test_a_failure_is_told_to_who_waits_and_only_logged_for_the_round() -> None:
    async def scenario() -> None:
        disk = SimulatedDisk()
        directory = _directory(disk)
        checkpointing = Checkpointing(directory)
        directory.logs[KEY].truncate_fully_and_start_at(4)
        disk.fail("append", "*checkpoint*")
        with pytest.raises(OSError, match="error"):
            await checkpointing.write_log_starts()
        await checkpointing.write({KEY: 4})
        disk.heal()
        await checkpointing.write({KEY: 4})
        await checkpointing.settle()
        assert b"t 0 4" in _log_starts(disk)

    asyncio.run(scenario())
