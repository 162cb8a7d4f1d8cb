"""Segments as lines: sound ones whole, damaged ones up to the damage and where it is."""

import pytest

from kbroker.cli.dump_batches import Wanted, read_batches
from kbroker.cli.dump_files import Damage, Item
from wire.records.batch import build_batch
from wire.records.compression import Compression
from wire.records.control import EndTransactionMarker, build_end_transaction_marker
from wire.records.record import Header, Record

TIME = 1_700_000_000_000
PLAIN = Wanted(records=False, offsets=False)
WITH_RECORDS = Wanted(records=True, offsets=False)


def record(value: bytes, key: bytes | None = None) -> Record:
    return Record(0, TIME, key, value, (Header("h", b"1"),))


def segment() -> bytes:
    first = build_batch([record(b"a", b"k"), record(b"b")], base_offset=5, leader_epoch=3)
    second = build_batch(
        [record(b"\xff\n")],
        base_offset=9,
        leader_epoch=3,
        compression=Compression.ZSTD,
        producer_id=7,
        producer_epoch=1,
        base_sequence=40,
        is_transactional=True,
        log_append_time_ms=TIME + 1000,
    )
    return bytes(first + second)


def read(data: bytes, wanted: Wanted = PLAIN) -> tuple[list[Item], list[int]]:
    sizes: list[int] = []
    return list(read_batches(memoryview(data), wanted, sizes.append)), sizes


def test_each_batch_is_a_line():
    items, sizes = read(segment())
    assert sum(sizes) == len(segment())
    assert [item.text for item in items] == [
        f"at 0: offsets 5 to 6, 2 records, {sizes[0]} bytes, newest 2023-11-14T22:13:20.000Z,"
        " codec none, leader epoch 3",
        f"at {sizes[0]}: offsets 9 to 9, 1 record, {sizes[1]} bytes, newest"
        " 2023-11-14T22:13:21.000Z, codec zstd, leader epoch 3, producer 7 epoch 1 sequence 40 to"
        " 40, transactional, log append time",
    ]
    assert items[1].fields["position"] == sizes[0]
    assert items[1].fields["base_sequence"] == 40


def test_records_follow_their_batch():
    items, _ = read(segment(), WITH_RECORDS)
    assert [item.text for item in items if item.fields["type"] == "record"] == [
        "  5 2023-11-14T22:13:20.000Z key=k h=1 value=a",
        "  6 2023-11-14T22:13:20.000Z key=null h=1 value=b",
        "  9 2023-11-14T22:13:21.000Z key=null h=1 value=\\xff\\n",
    ]
    assert items[4].fields["value"] == {"base64": "/wo="}
    assert items[1].fields["headers"] == [["h", "1"]]


def test_markers_are_named():
    marker = build_end_transaction_marker(
        EndTransactionMarker(is_commit=True, coordinator_epoch=0),
        producer_id=7,
        producer_epoch=1,
        timestamp_ms=TIME,
    )
    items, _ = read(bytes(marker), WITH_RECORDS)
    assert items[1].text.endswith("marker commit")
    assert "control" in items[0].text


def test_an_empty_segment_has_no_lines():
    assert read(b"") == ([], [])


def damage(data: bytes, wanted: Wanted = PLAIN) -> tuple[int, str]:
    """How many lines came before it, and what it is."""
    items = []
    with pytest.raises(Damage) as caught:
        items.extend(read_batches(memoryview(data), wanted, lambda _: None))
    return len(items), str(caught.value)


def test_damage_has_its_position():
    data = segment()
    first = len(build_batch([record(b"a", b"k"), record(b"b")], base_offset=5))
    cases = {
        "cut in a header": (data[: first + 20], "20 bytes are left, a batch has 61 or more"),
        "cut in a batch": (data[:-1], f"is cut after {len(data) - first - 1}"),
        "a flipped bit": (data[:-1] + bytes([data[-1] ^ 1]), "the checksum does not match"),
        "zeros": (data[:first] + bytes(100), "batch length 0"),
        "another format": (data[: first + 16] + b"\1" + data[first + 17 :], "of format 1, not 2"),
        "offsets again": (data[:first] * 2, "offsets 5 to 6 where 7 or more is due"),
    }
    for name, (bad, words) in cases.items():
        _, found = damage(bad)
        assert found.startswith(f"at byte {first}: "), (name, found)
        assert words in found, (name, found)


def test_records_that_cannot_be_read_are_damage():
    # A checksum says nothing of what a client has put in.
    batch = build_batch([record(b"a")], compression=Compression.NONE)
    batch[22] |= Compression.GZIP
    from crc32c import crc32c

    from wire.records.batch_header import ATTRIBUTES_AT, CRC_AT

    batch[CRC_AT : CRC_AT + 4] = crc32c(bytes(batch[ATTRIBUTES_AT:])).to_bytes(4, "big")
    lines, found = damage(bytes(batch), WITH_RECORDS)
    assert lines == 1
    assert found.startswith("at byte 0: ")
    assert read(bytes(batch))[0][0].fields["codec"] == "gzip"
