"""Batches against kafka-python's builder and parser, Kafka's own files, and themselves."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from wire.errors import WireError
from wire.records.batch import (
    HEADER_SIZE,
    build_batch,
    crc_is_valid,
    declared_size,
    iterate_batches,
    read_header,
    recompressed,
    stamp,
    stamp_log_append_time,
    stamp_timestamp_type,
)
from wire.records.compression import Compression, ExpandsTooFarError
from wire.records.record import Header, Record, iterate_records

FRAMES = Path(__file__).parent / "frames"
CAP = 1 << 20
MAYBE_BYTES = st.none() | st.binary(max_size=40)
TIMESTAMPS = st.integers(0, 2**45)
RECORDS = st.lists(
    st.builds(
        Record,
        st.just(0),
        TIMESTAMPS,
        MAYBE_BYTES,
        MAYBE_BYTES,
        st.lists(st.builds(Header, st.text(max_size=8), MAYBE_BYTES), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=8,
)
CODECS = st.sampled_from(Compression)


def _contents(records: list[Record]) -> list[tuple[object, ...]]:
    return [(r.timestamp_ms, r.key, r.value, r.headers) for r in records]


@given(RECORDS, CODECS, st.integers(0, 2**40), st.integers(-1, 2**30))
def test_what_is_built_is_read(
    records: list[Record], codec: Compression, base_offset: int, epoch: int
) -> None:
    batch = build_batch(records, base_offset=base_offset, leader_epoch=epoch, compression=codec)
    header = read_header(batch)
    assert crc_is_valid(batch, 0, header)
    assert header.size_bytes == len(batch)
    assert header.record_count == len(records) == header.last_offset_delta + 1
    assert header.max_timestamp == max(record.timestamp_ms for record in records)
    read = list(iterate_records(batch, max_decompressed_bytes=CAP))
    assert _contents(read) == _contents(records)
    assert [record.offset for record in read] == [base_offset + i for i in range(len(records))]


@given(RECORDS, CODECS)
def test_kafka_python_reads_what_is_built(records: list[Record], codec: Compression) -> None:
    batch = build_batch(
        records, base_offset=5, compression=codec, producer_id=9, producer_epoch=3, base_sequence=4
    )
    theirs = DefaultRecordBatch(bytes(batch))
    assert theirs.validate_crc()
    assert (theirs.base_offset, theirs.producer_id, theirs.producer_epoch) == (5, 9, 3)
    assert theirs.base_sequence == 4
    read = [
        (r.timestamp, r.key, r.value, tuple(Header(key, value) for key, value in r.headers))
        for r in theirs
    ]
    assert read == _contents(records)


@given(RECORDS, CODECS)
def test_what_kafka_python_builds_is_read(records: list[Record], codec: Compression) -> None:
    builder = DefaultRecordBatchBuilder(2, int(codec), 1, 77, 2, 11, 1 << 20)
    for i, record in enumerate(records):
        headers = [(header.key, header.value) for header in record.headers]
        builder.append(i, record.timestamp_ms, record.key, record.value, headers)
    batch = bytes(builder.build())
    header = read_header(batch)
    assert crc_is_valid(batch, 0, header)
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (77, 2, 11)
    read = list(iterate_records(batch, max_decompressed_bytes=CAP))
    assert _contents(read) == _contents(records)
    if codec is Compression.NONE:
        ours = build_batch(
            records,
            leader_epoch=header.partition_leader_epoch,
            producer_id=77,
            producer_epoch=2,
            base_sequence=11,
            is_transactional=True,
        )
        assert ours == batch


@pytest.mark.parametrize("codec", Compression)
def test_batches_of_the_java_client_as_kafka_stored_them(codec: Compression) -> None:
    data = (FRAMES / f"java_{codec.name.lower()}.batch").read_bytes()
    read = []
    for position, header in iterate_batches(data):
        assert crc_is_valid(data, position, header)
        assert header.compression is codec
        read += iterate_records(data, position, max_decompressed_bytes=CAP)
    assert [record.offset for record in read] == list(range(40))
    assert [record.key for record in read] == [b"key-%d" % i for i in range(40)]
    assert [record.value for record in read] == [
        b"value %d %s" % (i, b"abcdefgh" * (i % 7)) for i in range(40)
    ]


@given(RECORDS, st.integers(0, 2**62), st.integers(0, 2**31 - 1))
def test_a_leaders_stamp_leaves_the_checksum_valid(
    records: list[Record], base_offset: int, leader_epoch: int
) -> None:
    before = build_batch(records)
    after = bytearray(b"---") + before
    stamp(memoryview(after), 3, base_offset=base_offset, leader_epoch=leader_epoch)
    header = read_header(after, 3)
    assert crc_is_valid(after, 3, header)
    expected = read_header(before)._replace(
        base_offset=base_offset, partition_leader_epoch=leader_epoch
    )
    assert header == expected
    assert after[3 + HEADER_SIZE :] == before[HEADER_SIZE:]


@given(RECORDS, CODECS, TIMESTAMPS)
def test_log_append_time_is_every_records_timestamp(
    records: list[Record], codec: Compression, now_ms: int
) -> None:
    batch = build_batch(records, compression=codec)
    stamp_log_append_time(batch, 0, read_header(batch), now_ms)
    header = read_header(batch)
    assert header.has_log_append_time
    assert crc_is_valid(batch, 0, header)
    read = list(iterate_records(batch, max_decompressed_bytes=CAP))
    assert {record.timestamp_ms for record in read} == {now_ms}
    assert [r.timestamp for r in DefaultRecordBatch(bytes(batch))] == [now_ms] * len(records)
    stamp_timestamp_type(batch, 0, header, log_append_time=False)
    assert not read_header(batch).has_log_append_time
    assert crc_is_valid(batch, 0, read_header(batch))


def test_one_flipped_bit_breaks_the_checksum() -> None:
    batch = build_batch([Record(0, 1000, b"key", b"value")])
    header = read_header(batch)
    for position in range(21, len(batch)):
        batch[position] ^= 4
        assert not crc_is_valid(batch, 0, header)
        batch[position] ^= 4
    assert crc_is_valid(batch, 0, header)
    assert not crc_is_valid(batch[:-1], 0, header)


@settings(max_examples=50)
@given(st.lists(RECORDS, max_size=4), st.data())
def test_iteration_ends_silently_at_a_cut_tail(groups: list[list[Record]], data: st.DataObject):
    batches = [bytes(build_batch(records)) for records in groups]
    whole = b"".join(batches)
    starts = [sum(map(len, batches[:i])) for i in range(len(batches))]
    cut = data.draw(st.integers(0, len(whole)))
    expected = [s for s, b in zip(starts, batches, strict=True) if s + len(b) <= cut]
    found = list(iterate_batches(memoryview(whole)[:cut]))
    assert [position for position, _ in found] == expected


def test_iteration_refuses_a_length_that_cannot_be() -> None:
    batch = build_batch([Record(0, 0, None, b"x")])
    with pytest.raises(WireError):
        list(iterate_batches(bytes(batch) + bytes(61)))


def test_the_declared_size_of_any_format() -> None:
    batch = build_batch([Record(0, 0, None, b"x")])
    assert declared_size(batch) == len(batch)
    assert declared_size(batch[:11]) == 0
    assert declared_size(bytes(11) + b"\x0e" + bytes(20)) == 26
    with pytest.raises(WireError):
        declared_size(bytes(40))


def test_offsets_with_gaps_as_compaction_leaves_them() -> None:
    records = [Record(3, 10, b"a", b"1"), Record(9, 11, b"b", None)]
    batch = build_batch(records, base_offset=2, keep_offsets=True, last_offset=12)
    header = read_header(batch)
    assert (header.base_offset, header.last_offset, header.record_count) == (2, 12, 2)
    assert list(iterate_records(batch, max_decompressed_bytes=CAP)) == records


def test_an_empty_batch_keeps_its_producers_place() -> None:
    batch = build_batch(
        [], base_offset=5, keep_offsets=True, last_offset=9, producer_id=3, base_sequence=1
    )
    header = read_header(batch)
    assert (header.last_offset, header.record_count, header.last_sequence) == (9, 0, 5)
    assert list(iterate_records(batch, max_decompressed_bytes=CAP)) == []


def test_a_delete_horizon_replaces_the_base_timestamp() -> None:
    """KIP-534."""
    records = [Record(0, 10_000, b"a", None)]
    batch = build_batch(records, delete_horizon_ms=99_999)
    assert read_header(batch).delete_horizon_ms == 99_999
    assert list(iterate_records(batch, max_decompressed_bytes=CAP)) == records


@given(RECORDS, CODECS, CODECS)
def test_another_codec_changes_nothing_else(
    records: list[Record], codec: Compression, wanted: Compression
) -> None:
    batch = build_batch(
        records,
        base_offset=7,
        leader_epoch=3,
        compression=codec,
        producer_id=5,
        producer_epoch=1,
        base_sequence=11,
        is_transactional=True,
    )
    header = read_header(batch)
    level = 1 if wanted is Compression.ZSTD else None
    new = recompressed(
        memoryview(bytes(batch) + b"more"), header, wanted, level=level, max_decompressed_bytes=CAP
    )
    found = read_header(new)
    assert crc_is_valid(new, 0, found)
    assert found.compression is wanted
    assert found.size_bytes == len(new)
    changed = {"batch_length": header.batch_length, "crc": header.crc}
    assert found._replace(**changed, attributes=header.attributes) == header
    assert found.is_transactional
    assert list(iterate_records(new, max_decompressed_bytes=CAP)) == list(
        iterate_records(batch, max_decompressed_bytes=CAP)
    )


@pytest.mark.parametrize("codec", list(Compression)[1:])
def test_what_expands_too_far_is_told_from_what_is_damaged(codec: Compression) -> None:
    batch = build_batch([Record(0, 1, None, bytes(5000))], compression=codec)
    header = read_header(batch)
    with pytest.raises(ExpandsTooFarError):
        recompressed(batch, header, Compression.NONE, level=None, max_decompressed_bytes=4000)
    batch[HEADER_SIZE:] = bytes(len(batch) - HEADER_SIZE)
    with pytest.raises(WireError) as caught:
        recompressed(batch, header, Compression.NONE, level=None, max_decompressed_bytes=9000)
    assert not isinstance(caught.value, ExpandsTooFarError)
