"""What a disk that fails leaves of an append."""

from __future__ import annotations

import errno
import os

import pytest

from log.log_config import LogConfig
from tests.log.log_harness import LogOnDisk, batch, values_of
from wire.errors import ErrorCode, KafkaError


@pytest.mark.parametrize("error_number", [errno.ENOSPC, errno.EIO])
def test_a_failed_append_leaves_the_log_as_it_was(error_number: int) -> None:
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    home.append(log, b"kept")
    for operation in ("open", "append"):
        home.disk.fail(operation, "*.log", error_number=error_number)
        with pytest.raises(OSError, match=os.strerror(error_number)):
            home.append(log, b"v" * 120)
        assert values_of(log) == {0: b"kept"}
        home.disk.heal()
    assert home.append(log, b"v" * 120) == 1
    log.close()
    home.checkpoint(log)
    assert home.open(clean=True).log_end_offset == 2


def test_bytes_that_could_not_be_taken_back_fence_the_log_until_they_are_gone() -> None:
    """KAFKA-10778."""
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"kept")
    size = home.disk.status(log.segments.active.log().path).size
    home.disk.fail("append", "*.log", torn=True, count=1)
    home.disk.fail("truncate", "*.log")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            home.append(log, b"torn")
    assert values_of(log) == {0: b"kept"}
    home.disk.heal()
    home.append(log, b"next")
    assert values_of(log) == {0: b"kept", 1: b"next"}
    assert home.disk.status(log.segments.active.log().path).size == 2 * size


def test_a_full_disk_refuses_appends_and_serves_reads() -> None:
    home = LogOnDisk()
    log = home.open()
    home.append(log, b"kept")
    home.disk.capacity_bytes = home.disk.used_bytes + 10
    with pytest.raises(OSError, match="No space left"):
        home.append(log, b"more")
    assert values_of(log) == {0: b"kept"}
    log.flush_now()
    assert log.recovery_point == 1


@pytest.mark.parametrize("operation", ["append", "open"])
def test_what_is_in_flight_behind_a_refused_first_batch_is_not_put_in_front_of_it(
    operation: str,
) -> None:
    """Refused in the append itself, or because no new segment could be made for it (seed 147)."""
    home = LogOnDisk(LogConfig(segment_bytes=200))
    log = home.open()
    home.append(log, b"v" * 60)

    def send(sequence: int) -> int:
        data = batch(b"v" * 100, producer_id=7, sequence=sequence)
        return log.append_as_leader(data, leader_epoch=0, now_ms=home.now_ms).base_offset

    home.disk.fail(operation, "*.log", error_number=errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        send(0)
    home.disk.heal()
    with pytest.raises(KafkaError) as refused:
        send(1)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert [send(0), send(1)] == [1, 2]
