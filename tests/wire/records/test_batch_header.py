"""The header's fields at their places, and lengths that cannot be."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.records.batch_header import HEADER, HEADER_SIZE, BatchHeader, read_header
from wire.records.compression import Compression

INT8, INT16 = st.integers(-(2**7), 2**7 - 1), st.integers(-(2**15), 2**15 - 1)
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
HEADERS = st.builds(
    BatchHeader,
    *(INT64, st.integers(49, 2**31 - 1), INT32, INT8, st.integers(0, 2**32 - 1), INT16),
    *(INT32, INT64, INT64, INT64, INT16, INT32, INT32),
)


@given(HEADERS, st.binary(max_size=20))
def test_what_is_written_is_read(header: BatchHeader, prefix: bytes) -> None:
    data = prefix + HEADER.pack(*header)
    assert read_header(data, len(prefix)) == header
    assert read_header(memoryview(data), len(prefix)) == header


@given(st.binary(max_size=HEADER_SIZE - 1))
def test_a_cut_header_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError):
        read_header(data)


@pytest.mark.parametrize(
    ("magic", "length", "possible"),
    [(2, 49, True), (2, 48, False), (3, 48, False), (1, 14, True), (0, 13, False), (2, -1, False)],
)
def test_the_least_length_depends_on_the_format(magic: int, length: int, possible: bool) -> None:
    data = bytearray(HEADER_SIZE)
    struct.pack_into(">i", data, 8, length)
    data[16] = magic
    if possible:
        assert read_header(data).magic == magic
    else:
        with pytest.raises(WireError):
            read_header(data)


def test_a_negative_position_reads_nothing() -> None:
    with pytest.raises(WireError):
        read_header(bytes(200), -61)


def _header(**changes: int) -> BatchHeader:
    base = BatchHeader(100, 49, 0, 2, 0, 0, 9, 1000, 2000, 7, 1, 5, 10)
    return base._replace(**changes)


def test_derived_offsets_and_sizes() -> None:
    header = _header()
    assert (header.last_offset, header.next_offset, header.size_bytes) == (109, 110, 61)
    assert header.last_sequence == 14
    assert header.has_producer_id
    assert not _header(producer_id=-1).has_producer_id


def test_the_last_sequence_wraps_after_2_to_the_31() -> None:
    """KAFKA-7692."""
    assert _header(base_sequence=2**31 - 1, last_offset_delta=0).last_sequence == 2**31 - 1
    assert _header(base_sequence=2**31 - 1, last_offset_delta=1).last_sequence == 0
    assert _header(base_sequence=2**31 - 3, last_offset_delta=9).last_sequence == 6
    assert _header(base_sequence=-1).last_sequence == -1


def test_the_attributes_one_by_one() -> None:
    plain = _header()
    assert plain.compression is Compression.NONE
    assert not plain.is_control
    assert not plain.is_transactional
    assert not plain.has_log_append_time
    assert plain.delete_horizon_ms is None
    assert _header(attributes=0x08).has_log_append_time
    assert _header(attributes=0x10).is_transactional
    assert _header(attributes=0x20).is_control
    assert _header(attributes=0x40).delete_horizon_ms == 1000
    assert _header(attributes=-0x8000 | 4).compression is Compression.ZSTD


@pytest.mark.parametrize("number", [5, 6, 7])
def test_an_unknown_codec_is_malformed_only_when_asked_for(number: int) -> None:
    header = _header(attributes=number)
    with pytest.raises(WireError, match=str(number)):
        _ = header.compression
