"""The four codecs: round trips, foreign frames, bombs and rubbish."""

import contextlib
import gzip
import subprocess
import sys
import tracemalloc
import zlib

import cramjam
import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.errors import WireError
from wire.records.compression import (
    XERIAL_HEADER_SIZE,
    XERIAL_MAGIC,
    Compression,
    compress,
    decompress,
)

CODECS = [codec for codec in Compression if codec is not Compression.NONE]
TEXT = b"".join(b"line %d of a text that compresses\n" % i for i in range(3000))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@given(st.binary(max_size=3000), st.sampled_from(Compression), st.integers(1, 50))
def test_round_trip_up_to_exactly_the_cap(piece: bytes, codec: Compression, times: int) -> None:
    data = piece * times
    frame = compress(codec, memoryview(data))
    assert decompress(codec, memoryview(frame), max_output_bytes=len(data)) == data
    if data:
        with pytest.raises(WireError):
            decompress(codec, frame, max_output_bytes=len(data) - 1)


@pytest.mark.parametrize(
    ("codec", "levels"),
    [
        (Compression.GZIP, (None, -1, 1, 9)),
        (Compression.SNAPPY, (None,)),
        (Compression.LZ4, (None, *range(1, 18))),
        (Compression.ZSTD, (None, -131_072, -1, 0, 1, 22)),
    ],
)
def test_every_level_of_kafkas_can_be_read_again(
    codec: Compression, levels: tuple[int | None, ...]
) -> None:
    for level in levels:
        frame = compress(codec, TEXT, level=level)
        assert decompress(codec, frame, max_output_bytes=len(TEXT)) == TEXT


def test_levels_make_a_difference_and_kafkas_defaults_are_the_codecs_own() -> None:
    assert len(compress(Compression.GZIP, TEXT, level=1)) > len(
        compress(Compression.GZIP, TEXT, level=9)
    )
    assert len(compress(Compression.ZSTD, TEXT, level=-50)) > len(
        compress(Compression.ZSTD, TEXT, level=19)
    )
    assert len(compress(Compression.LZ4, TEXT, level=9)) > len(
        compress(Compression.LZ4, TEXT, level=10)
    )
    for codec, level in ((Compression.GZIP, -1), (Compression.LZ4, 9), (Compression.ZSTD, 3)):
        assert compress(codec, TEXT, level=level) == compress(codec, TEXT)


def test_frames_that_other_libraries_write() -> None:
    frames = [
        (Compression.GZIP, gzip.compress(TEXT)),
        (Compression.GZIP, gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:])),
        (Compression.SNAPPY, bytes(cramjam.snappy.compress_raw(TEXT))),
        (Compression.LZ4, lz4.frame.compress(TEXT)),
        (Compression.LZ4, lz4.frame.compress(TEXT, content_checksum=True, block_linked=True)),
        (Compression.LZ4, lz4.frame.compress(TEXT, block_size=7, store_size=False)),
        (Compression.ZSTD, zstandard.ZstdCompressor(level=19).compress(TEXT)),
        (Compression.ZSTD, _zstd_stream(TEXT, window_log=10)),
        (Compression.ZSTD, _zstd_stream(TEXT, window_log=27)),
    ]
    for codec, frame in frames:
        assert decompress(codec, frame, max_output_bytes=1 << 20) == TEXT


def _zstd_stream(data: bytes, *, window_log: int) -> bytes:
    """Without the content's size in its header, as Java writes it; level 22 has window log 27."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=0)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(data) + stream.flush()


def test_concatenated_xerial_streams() -> None:
    frame = compress(Compression.SNAPPY, TEXT) * 2
    assert decompress(Compression.SNAPPY, frame, max_output_bytes=1 << 20) == TEXT * 2


@pytest.mark.parametrize("codec", CODECS)
def test_every_cut_is_malformed(codec: Compression) -> None:
    frame = compress(codec, TEXT[:2000])
    start = XERIAL_HEADER_SIZE + 1 if codec is Compression.SNAPPY else 1
    for size in range(start, len(frame)):
        with pytest.raises(WireError):
            decompress(codec, frame[:size], max_output_bytes=1 << 20)


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_behind_the_frame_are_malformed(codec: Compression) -> None:
    frame = compress(codec, TEXT[:2000])
    for tail in (b"\0", b"\x1f\x8b", b"rubbish" * 20000):
        with pytest.raises(WireError):
            decompress(codec, frame + tail, max_output_bytes=1 << 20)


@settings(max_examples=300)
@given(
    st.sampled_from(CODECS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_corrupted_frames_yield_only_wire_errors(
    codec: Compression, edits: list[tuple[int, int]]
) -> None:
    frame = bytearray(compress(codec, TEXT[:2000]))
    for position, value in edits:
        frame[position % len(frame)] = value
    with contextlib.suppress(WireError):
        assert len(decompress(codec, frame, max_output_bytes=1 << 16)) <= 1 << 16


@settings(max_examples=200)
@given(st.sampled_from(CODECS), st.binary(max_size=200))
def test_any_bytes(codec: Compression, data: bytes) -> None:
    for frame in (data, compress(codec, b"")[:9] + data, XERIAL_MAGIC + bytes(8) + data):
        with contextlib.suppress(WireError):
            decompress(codec, frame, max_output_bytes=1 << 16)


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_stops_at_the_cap(codec: Compression) -> None:
    bomb = compress(codec, bytes(30 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decompress(codec, bomb, max_output_bytes=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (4 << 20) + 2 * len(bomb)


def test_declared_sizes_are_checked_first() -> None:
    zstd = bytearray(zstandard.ZstdCompressor().compress(bytes(1000)))
    lies = [
        (Compression.SNAPPY, _varint(2**32 - 1) + b"\0a"),
        (Compression.SNAPPY, _varint(60_000) + b"\0a"),
        (Compression.SNAPPY, XERIAL_MAGIC + bytes(8) + (2**32 - 1).to_bytes(4, "big") + b"abc"),
        (Compression.ZSTD, zstd[:4] + b"\xe0" + (2**62).to_bytes(8, "little") + zstd[7:]),
    ]
    tracemalloc.start()
    try:
        for codec, frame in lies:
            with pytest.raises(WireError):
                decompress(codec, frame, max_output_bytes=1 << 16)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_many_tiny_gzip_members_cost_no_more_than_their_bytes() -> None:
    """Each one restarts the decompressor; none may copy all that follow."""
    member = gzip.compress(b"")
    frame = member * 20_000
    tracemalloc.start()
    try:
        assert decompress(Compression.GZIP, frame, max_output_bytes=10) == b""
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_gzip_refuses_zlib_and_raw_streams() -> None:
    with pytest.raises(WireError):
        decompress(Compression.GZIP, zlib.compress(TEXT), max_output_bytes=1 << 20)


def test_libraries_are_imported_on_first_use() -> None:
    """Start time is a feature: most brokers never open a compressed batch."""
    code = (
        "import sys, wire.records.batch, wire.records.record, wire.records.control\n"
        "print(sorted({'cramjam', 'lz4', 'lz4.frame', 'zstandard'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_ids_beyond_the_codecs_are_unknown() -> None:
    assert [Compression.of_id(number) for number in range(5)] == list(Compression)
    with pytest.raises(WireError):
        Compression.of_id(5)
