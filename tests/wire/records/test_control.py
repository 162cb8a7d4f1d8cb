"""Transaction markers against those that Kafka wrote."""

from pathlib import Path

import pytest

from wire.errors import WireError
from wire.records.batch import build_batch, iterate_batches, read_header
from wire.records.control import (
    ControlType,
    EndTransactionMarker,
    build_end_transaction_marker,
    control_type,
    parse_end_transaction_marker,
    read_end_transaction_marker,
)
from wire.records.record import Record

FRAMES = Path(__file__).parent / "frames"


def test_markers_of_kafka_are_read_and_built_byte_for_byte() -> None:
    """The file holds a committed, an aborted, a committed and two open transactions."""
    data = (FRAMES / "java_transactions.batch").read_bytes()
    outcomes = []
    for position, header in iterate_batches(data):
        marker = read_end_transaction_marker(data, position, header)
        assert (marker is not None) == header.is_control
        if marker is None:
            continue
        outcomes.append(marker.is_commit)
        built = build_end_transaction_marker(
            marker,
            producer_id=header.producer_id,
            producer_epoch=header.producer_epoch,
            timestamp_ms=header.max_timestamp,
            base_offset=header.base_offset,
            leader_epoch=header.partition_leader_epoch,
        )
        assert built == data[position : position + header.size_bytes]
    assert outcomes == [True, False, True]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"\0\0\0\0", ControlType.ABORT),
        (b"\0\0\0\1", ControlType.COMMIT),
        (b"\0\7\0\1more", ControlType.COMMIT),
        (b"\0\0\0\6", ControlType.KRAFT_VOTERS),
        (b"\0\0\0\7", ControlType.UNKNOWN),
        (b"\0\0\xff\xff", ControlType.UNKNOWN),
    ],
)
def test_types(key: bytes, expected: ControlType) -> None:
    assert control_type(key) is expected


@pytest.mark.parametrize("key", [None, b"", b"\0\0\0", b"\xff\xff\0\0"])
def test_malformed_keys(key: bytes | None) -> None:
    with pytest.raises(WireError):
        control_type(key)


def test_other_control_records_are_no_markers() -> None:
    record = Record(0, 0, b"\0\0\0\2", b"")
    assert parse_end_transaction_marker(record) is None
    batch = build_batch([record], is_control=True)
    assert read_end_transaction_marker(batch, 0, read_header(batch)) is None


def test_an_emptied_control_batch_has_no_marker() -> None:
    """Compaction keeps the batch of a transaction whose records are all gone."""
    batch = build_batch([], keep_offsets=True, last_offset=0, is_control=True, producer_id=1)
    assert read_end_transaction_marker(batch, 0, read_header(batch)) is None


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0\0", b"\xff\xff\0\0\0\0"])
def test_malformed_values(value: bytes | None) -> None:
    with pytest.raises(WireError):
        parse_end_transaction_marker(Record(0, 0, b"\0\0\0\1", value))


def test_a_newer_marker_may_be_longer() -> None:
    value = b"\0\1\0\0\0\x09more"
    expected = EndTransactionMarker(is_commit=False, coordinator_epoch=9)
    assert parse_end_transaction_marker(Record(0, 0, b"\0\0\0\0", value)) == expected
