"""The four codecs of Kafka behind two functions, with a cap on what decompression yields.

Sizes that a frame declares are checked before memory is used for them, and streams are read in
bounded steps: a small input cannot make the broker hold more than the cap. The libraries are
imported on first use, because most brokers never open a batch.
"""

import zlib
from enum import IntEnum

from wire.errors import WireError

Buffer = bytes | bytearray | memoryview

STEP_BYTES = 64 * 1024
"""Input and output of one step of a streaming decompressor, so that its leftovers stay small."""
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WBITS = 31
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER_SIZE = 16
XERIAL_VERSIONS = b"\x00\x00\x00\x01\x00\x00\x00\x01"
XERIAL_BLOCK_BYTES = 32 * 1024
SNAPPY_MAX_RATIO = 22
"""Three bytes of snappy stand for at most 64; a longer declared length is a lie."""
ZSTD_MAX_WINDOW_BYTES = 1 << 27
"""What zstd's own tools and Kafka's Java client accept; only the part used is ever touched."""
LZ4_FAST_LEVEL = 9
"""Kafka's default level stands for lz4's fast mode; all others for its high compression."""
LZ4_LEAST_HIGH_LEVEL = 3


class ExpandsTooFarError(WireError):
    """What decompression yields is more than the caller takes; the data may be sound."""


class Compression(IntEnum):
    """The codec in the lowest three bits of a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4

    @classmethod
    def of_id(cls, number: int) -> "Compression":
        """The codec with this id; `WireError` for an unknown one."""
        if number < len(_BY_ID):
            return _BY_ID[number]
        raise WireError(f"unknown compression type {number}")


_BY_ID = tuple(Compression)


def compress(codec: Compression, data: Buffer, *, level: int | None = None) -> bytes:
    """One frame as Kafka's own producer writes it (snappy in xerial's framing).

    `level` is in Kafka's terms (KIP-390), None for the codec's default; snappy has none.
    """
    match codec:
        case Compression.NONE:
            return bytes(data)
        case Compression.GZIP:
            compressor = zlib.compressobj(-1 if level is None else level, wbits=GZIP_WBITS)
            return compressor.compress(data) + compressor.flush()
        case Compression.SNAPPY:
            return _compress_snappy(data)
        case Compression.LZ4:
            import lz4.frame

            high = None if level in (None, LZ4_FAST_LEVEL) else level
            # Kafka's reader refuses linked blocks.
            frame: bytes = lz4.frame.compress(
                data,
                compression_level=0 if high is None else max(high, LZ4_LEAST_HIGH_LEVEL),
                block_size=lz4.frame.BLOCKSIZE_MAX64KB,
                block_linked=False,
                store_size=False,
            )
            return frame
        case Compression.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor(3 if level is None else level).compress(data)


def decompress(codec: Compression, data: Buffer, *, max_output_bytes: int) -> bytes:
    """What `data` expands to; `WireError` if malformed, cut, or longer than `max_output_bytes`."""
    match codec:
        case Compression.NONE:
            if len(data) > max_output_bytes:
                raise _too_long(max_output_bytes)
            return bytes(data)
        case Compression.GZIP:
            return _decompress_gzip(data, max_output_bytes)
        case Compression.SNAPPY:
            return _decompress_snappy(data, max_output_bytes)
        case Compression.LZ4:
            return _decompress_lz4(data, max_output_bytes)
        case Compression.ZSTD:
            return _decompress_zstd(data, max_output_bytes)


def _too_long(max_output_bytes: int) -> WireError:
    return ExpandsTooFarError(f"the data expands to more than {max_output_bytes} bytes")


def _decompress_gzip(data: Buffer, max_output_bytes: int) -> bytes:
    """One or more gzip members, as Java's GZIPInputStream reads them."""
    out = bytearray()
    view = memoryview(data)
    position = 0
    try:
        while True:
            stream = zlib.decompressobj(wbits=GZIP_WBITS)
            while not stream.eof:
                source = view[position : position + STEP_BYTES]
                piece = stream.decompress(source, STEP_BYTES)
                rest = len(stream.unused_data if stream.eof else stream.unconsumed_tail)
                position += len(source) - rest
                out += piece
                if len(out) > max_output_bytes:
                    raise _too_long(max_output_bytes)
                if not source and not piece and not stream.eof:
                    raise WireError("the gzip data is cut")
            if view[position : position + 2] != GZIP_MAGIC:
                break
    except zlib.error as error:
        raise WireError(f"malformed gzip data: {error}") from None
    if position != len(view):
        raise WireError("bytes follow the gzip data")
    return bytes(out)


def _compress_snappy(data: Buffer) -> bytes:
    from cramjam import snappy

    out = bytearray(XERIAL_MAGIC + XERIAL_VERSIONS)
    view = memoryview(data)
    for start in range(0, len(view), XERIAL_BLOCK_BYTES):
        block = bytes(snappy.compress_raw(bytes(view[start : start + XERIAL_BLOCK_BYTES])))
        out += len(block).to_bytes(4, "big") + block
    return bytes(out)


def _decompress_snappy(data: Buffer, max_output_bytes: int) -> bytes:
    """Raw snappy (librdkafka, Go) or blocks in xerial's framing (Java)."""
    view = memoryview(data)
    if view[: len(XERIAL_MAGIC)] != XERIAL_MAGIC:
        return _decompress_snappy_block(view, max_output_bytes)
    if len(view) < XERIAL_HEADER_SIZE:
        raise WireError("the header of the snappy data is cut")
    out = bytearray()
    position = XERIAL_HEADER_SIZE
    while position < len(view):
        if view[position : position + len(XERIAL_MAGIC)] == XERIAL_MAGIC:
            position += XERIAL_HEADER_SIZE  # streams may be concatenated
            continue
        size = int.from_bytes(view[position : position + 4], "big")
        position += 4
        if position + size > len(view):
            raise WireError(f"a snappy block of {size} bytes is cut")
        block = view[position : position + size]
        out += _decompress_snappy_block(block, max_output_bytes - len(out))
        position += size
    return bytes(out)


def _decompress_snappy_block(block: memoryview, max_output_bytes: int) -> bytes:
    from cramjam import DecompressionError, snappy

    data = bytes(block)  # the library takes no views
    try:
        declared = snappy.decompress_raw_len(data)
        if declared > max_output_bytes:
            raise _too_long(max_output_bytes)
        if declared > SNAPPY_MAX_RATIO * len(data):
            raise WireError(f"{len(data)} bytes of snappy cannot expand to {declared}")
        return bytes(snappy.decompress_raw(data))
    except (DecompressionError, ValueError) as error:
        raise WireError(f"malformed snappy data: {error}") from None


def _decompress_lz4(data: Buffer, max_output_bytes: int) -> bytes:
    import lz4.frame

    out = bytearray()
    view = memoryview(data)
    position = 0
    stream = lz4.frame.LZ4FrameDecompressor()
    try:
        while not stream.eof:
            source = b""
            if stream.needs_input:
                source = bytes(view[position : position + STEP_BYTES])
                position += len(source)
                if not source:
                    raise WireError("the lz4 data is cut")
            out += stream.decompress(source, max_length=STEP_BYTES)
            if len(out) > max_output_bytes:
                raise _too_long(max_output_bytes)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError(f"malformed lz4 data: {error}") from None
    if stream.unused_data or position != len(view):
        raise WireError("bytes follow the lz4 data")
    return bytes(out)


def _decompress_zstd(data: Buffer, max_output_bytes: int) -> bytes:
    import zstandard

    try:
        declared = zstandard.frame_content_size(data)
        if declared > max_output_bytes:
            raise _too_long(max_output_bytes)
        # Without a declared size this reserves the cap as address space; only what is written of it
        # is ever backed by memory, and the rest is given back.
        decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_MAX_WINDOW_BYTES)
        return decompressor.decompress(
            data, max_output_size=max_output_bytes, allow_extra_data=False
        )
    except (zstandard.ZstdError, MemoryError) as error:
        raise WireError(f"malformed zstd data: {error}") from None
