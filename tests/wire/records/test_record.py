"""Records that are not what they claim: only `WireError`, and no more memory than they have."""

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.errors import WireError
from wire.records.batch import HEADER_SIZE, build_batch
from wire.records.compression import Compression
from wire.records.record import Header, Record, iterate_records
from wire.records.varint import append_varint

CAP = 1 << 16
GOOD = [
    Record(0, 1000, b"key", b"value" * 20, (Header("h", b"1"), Header("é", None))),
    Record(1, 1001, None, None),
    Record(2, 1002, b"", b""),
]


def _batch_of(body: bytes, record_count: int) -> bytearray:
    batch = build_batch([Record(0, 0, None, None)])[:HEADER_SIZE] + body
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[57:61] = record_count.to_bytes(4, "big", signed=True)
    return batch


def _read(batch: bytes | bytearray) -> list[Record]:
    return list(iterate_records(batch, max_decompressed_bytes=CAP))


def test_null_and_empty_differ() -> None:
    assert _read(build_batch(GOOD)) == GOOD


@pytest.mark.parametrize("codec", Compression)
def test_a_count_that_does_not_match_the_bytes(codec: Compression) -> None:
    for count in (-1, 0, 2, 4, 2**31 - 1):
        batch = build_batch(GOOD, compression=codec)
        batch[57:61] = count.to_bytes(4, "big", signed=True)
        with pytest.raises(WireError):
            _read(batch)


def test_formats_before_2_and_cut_batches_are_refused() -> None:
    batch = build_batch(GOOD)
    with pytest.raises(WireError):
        _read(batch[:-1])
    batch[16] = 1
    with pytest.raises(WireError, match="format 1"):
        _read(batch)


@pytest.mark.parametrize(
    "numbers",
    [
        [2**31 - 1],  # a record longer than everything
        [-1],
        [0],
        [6, 0, 0, 2**31 - 1],  # a key past the end
        [8, 0, 0, -1, 2**31 - 1],  # a value past the end
        [12, 0, 0, -1, -1, 2**31 - 1],  # headers without end
        [6, 0, 0, -1, -1, -1],  # a negative count of headers
        [8, 0, 0, -1, -1, 1, -1, -1],  # a header with a null key
        [7, 0, 0, -1, -1, 0, 5],  # bytes left over inside the record
    ],
)
def test_lengths_are_checked_before_memory_is_used(numbers: list[int]) -> None:
    body = bytearray()
    for i, number in enumerate(numbers):
        append_varint(body, number)
        if i == 0:
            body.append(0)
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            _read(_batch_of(bytes(body), 1))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_header_key_must_be_utf8() -> None:
    batch = build_batch([Record(0, 0, None, None, (Header("abc", b"x"),))])
    at = batch.index(b"abc")
    batch[at] = 0xFF
    with pytest.raises(WireError, match="UTF-8"):
        _read(batch)


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(-2, 40), st.sampled_from(Compression))
def test_any_bytes_are_records_or_malformed(body: bytes, count: int, codec: Compression) -> None:
    batch = _batch_of(body, count)
    batch[22] = codec
    with contextlib.suppress(WireError):
        assert len(_read(batch)) == count


@settings(max_examples=200)
@given(
    st.sampled_from(Compression),
    st.lists(st.tuples(st.integers(HEADER_SIZE, 300), st.integers(0, 255)), min_size=1, max_size=5),
    st.integers(0, 300),
)
def test_cut_and_corrupted_batches(
    codec: Compression, edits: list[tuple[int, int]], cut: int
) -> None:
    batch = build_batch(GOOD, compression=codec)
    for position, value in edits:
        batch[min(position, len(batch) - 1)] = value
    batch = batch[: max(HEADER_SIZE, len(batch) - cut // 8)]
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    try:
        records = _read(batch)
    except WireError:
        return
    assert len(records) == len(GOOD)
