"""Apache Kafka's own DumpLogSegments reads every file that the log writes. Skips without Java."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from log.file_system import OsFileSystem
from log.log_config import LogConfig
from log.partition_log import PartitionLog
from tests.log.log_harness import NOW, batch
from wire.records.batch import build_batch
from wire.records.control import EndTransactionMarker, build_end_transaction_marker
from wire.records.record import Record

KAFKA = Path(__file__).parents[2] / "tools" / "apache-kafka" / "kafka"
PROBLEMS = ("mismatch", "Mismatch", "out of order", "not valid", "Found timestamp", "invalid bytes")

pytestmark = pytest.mark.skipif(
    not KAFKA.exists() or not shutil.which("java") or not shutil.which("mvn"),
    reason="Apache Kafka's tools need Java and Maven",
)


def _written_log(path: Path) -> Path:
    """Three segments: plain batches, a producer's, an aborted and a committed transaction."""
    directory = path / "topic-0"
    log = PartitionLog.open(
        OsFileSystem(),
        str(directory),
        topic="topic",
        partition=0,
        topic_id=bytes(16),
        config=LogConfig(index_interval_bytes=200),
        recovery_point=0,
        log_start_offset=0,
        high_watermark=0,
        clean=True,
        now_ms=NOW,
    )

    def append(data: memoryview, *, internal: bool = False, transactional: bool = False) -> None:
        log.append_as_leader(
            data,
            leader_epoch=3,
            now_ms=NOW,
            internal=internal,
            transactional_id_given=transactional,
        )

    for number in range(60):
        append(batch(b"a" * 40, b"b" * (number % 7), timestamp_ms=NOW - 100 + number * 13 % 50))
    log.roll(NOW)
    for number in range(30):
        append(batch(b"c" * 50, timestamp_ms=NOW + number, producer_id=7, sequence=number))
    log.roll(NOW)
    for is_commit, producer_id in ((False, 8), (True, 9)):
        record = Record(0, NOW, b"key", b"in a transaction", ())
        append(
            memoryview(
                build_batch(
                    [record] * 3,
                    producer_id=producer_id,
                    producer_epoch=0,
                    base_sequence=0,
                    is_transactional=True,
                )
            ),
            transactional=True,
        )
        marker = EndTransactionMarker(is_commit=is_commit, coordinator_epoch=4)
        append(
            memoryview(
                build_end_transaction_marker(
                    marker, producer_id=producer_id, producer_epoch=0, timestamp_ms=NOW
                )
            ),
            internal=True,
        )
    log.close()
    return directory


def test_dump_log_segments_reads_every_file(tmp_path: Path) -> None:
    directory = _written_log(tmp_path)
    suffixes = {".log", ".index", ".timeindex", ".snapshot", ".txnindex"}
    files = sorted(path for path in directory.iterdir() if path.suffix in suffixes)
    assert {path.suffix for path in files} == suffixes
    done = subprocess.run(
        [str(KAFKA), "dump-log", "--deep-iteration", "--files", ",".join(map(str, files))],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert not [line for line in output.splitlines() if any(word in line for word in PROBLEMS)]
    assert output.count("| offset: ") == 60 * 2 + 30 + 2 * (3 + 1)
    assert "isvalid: false" not in output
    assert "partitionLeaderEpoch: 3" in output
    assert "producerId: 7 " in output
    assert "endTxnMarker: ABORT coordinatorEpoch: 4" in output
    assert "endTxnMarker: COMMIT coordinatorEpoch: 4" in output
    # The offset index: one entry every second or third batch of the first segment.
    assert output.count("offset: 1 position: 0") + output.count(" position: ") > 90 + 20
    assert "firstOffset: 150 lastOffset: 153 lastStableOffset: 154" in output
