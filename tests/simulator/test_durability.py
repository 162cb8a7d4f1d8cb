"""The scan of what is durable goes on where it was, over segments, and believes the disk alone."""

from __future__ import annotations

import random

from log.log_config import LogConfig
from simulator.durability import DurableScan
from tests.log.log_harness import DIRECTORY, LogOnDisk


def test_it_follows_the_log_over_its_segments() -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    scan = DurableScan(log)
    for _ in range(6):
        home.append(log, b"v" * 50)
        log.flush_now()
        assert scan.check(home.disk) == ""
    assert len(log.segments) > 1
    log.flushing.recovery_point = 7
    assert scan.check(home.disk) == "topic-0 is durable up to 6, and says 7"


def test_bytes_that_were_never_flushed_are_not_durable() -> None:
    home = LogOnDisk()
    log = home.open()
    home.disk.sync_directory(DIRECTORY)
    home.append(log, b"v")
    log.flushing.recovery_point = 1
    assert "is durable up to 0, and says 1" in DurableScan(log).check(home.disk)


def test_a_name_that_no_directory_sync_covered_is_not_durable() -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"v")
    log.segments.active.log().flush()
    log.flushing.recovery_point = 1
    assert "the name of" in DurableScan(log).check(home.disk)


def test_an_epoch_that_the_history_does_not_know() -> None:
    home = LogOnDisk()
    log = home.open()
    home.leader_epoch = 3
    home.append(log, b"v")
    log.flush_now()
    log.leader_epochs._epochs[:] = [2]
    assert "written in leader epoch 3, and its history says 2" in DurableScan(log).check(home.disk)


def test_what_a_crash_left_is_looked_at_anew() -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"v")
    log.flush_now()
    home.disk = home.disk.crash(random.Random(0))
    log = home.open(clean=False)
    assert DurableScan(log).check(home.disk) == ""
    path = log.segments.active.path(".log")
    home.disk.corrupt(path, 0, (5).to_bytes(8, "big"))
    assert DurableScan(log).check(home.disk) == "topic-0 has offset 5 at 0"
