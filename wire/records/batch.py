"""Whole record batches: checksum, iteration, stamping in place, building.

The counterpart, what is inside a batch, is `wire.records.record`. Batches travel from the socket to
the segment as they came; a leader rewrites the base offset and the leader epoch, which lie before
the part that the checksum covers, and with log append time the maximum timestamp as well.
"""

from collections.abc import Iterator, Sequence
from struct import Struct

from wire.errors import WireError
from wire.records.batch_header import (
    ATTRIBUTES_AT,
    COMPRESSION_MASK,
    CONTROL_BIT,
    CRC_AT,
    CURRENT_MAGIC,
    DELETE_HORIZON_BIT,
    HEADER,
    HEADER_SIZE,
    LEADER_EPOCH_AT,
    LENGTH_END,
    MAX_TIMESTAMP_AT,
    MIN_LEGACY_LENGTH,
    NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    Buffer,
    read_header,
)
from wire.records.checksum import crc32c
from wire.records.compression import Compression, compress, decompress
from wire.records.record import Record, encode_records

__all__ = [
    "HEADER_SIZE",
    "BatchHeader",
    "Buffer",
    "build_batch",
    "crc_is_of_all",
    "crc_is_valid",
    "declared_size",
    "iterate_batches",
    "read_header",
    "recompressed",
    "stamp",
    "stamp_log_append_time",
    "stamp_timestamp_type",
]

INT16 = Struct(">h")
INT32 = Struct(">i")
INT64 = Struct(">q")
UINT32 = Struct(">I")


def crc_is_valid(buffer: Buffer, position: int, header: BatchHeader) -> bool:
    """Whether the CRC-32C in the header is that of the bytes; False when the batch is cut.

    It reads the whole batch, about 10 GB/s, and releases the GIL on large ones.
    """
    end = position + header.size_bytes
    return end <= len(buffer) and _checksum(buffer, position, end) == header.crc


def crc_is_of_all(batch: Buffer, header: BatchHeader) -> bool:
    """As `crc_is_valid` for a buffer that holds one whole batch and nothing else."""
    return crc32c(batch[ATTRIBUTES_AT:]) == header.crc


def _checksum(buffer: Buffer, position: int, end: int) -> int:
    value: int = crc32c(memoryview(buffer)[position + ATTRIBUTES_AT : end])
    return value


def iterate_batches(buffer: Buffer, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """`(position, header)` of each whole batch; ends silently at a batch that is cut.

    Raises `WireError` at a length that cannot be one. Checksums are the caller's business.
    """
    end = len(buffer)
    while position + HEADER_SIZE <= end:
        header = read_header(buffer, position)
        if position + header.size_bytes > end:
            return
        yield position, header
        position += header.size_bytes


def declared_size(buffer: Buffer, position: int = 0) -> int:
    """The bytes that the batch at `position` claims, of any format; 0 if not even that is there.

    Raises `WireError` at a length that cannot be one. Formats before 2 can be shorter than a header
    of format 2, so this looks at the length alone.
    """
    if position + LENGTH_END > len(buffer):
        return 0
    (length,) = INT32.unpack_from(buffer, position + 8)
    if length < MIN_LEGACY_LENGTH:
        raise WireError(f"batch length {length} is below the least possible, {MIN_LEGACY_LENGTH}")
    return int(length) + LENGTH_END


def stamp(
    buffer: bytearray | memoryview, position: int, *, base_offset: int, leader_epoch: int
) -> None:
    """Write the two fields that a leader assigns. The checksum stays valid."""
    INT64.pack_into(buffer, position, base_offset)
    INT32.pack_into(buffer, position + LEADER_EPOCH_AT, leader_epoch)


def stamp_log_append_time(
    buffer: bytearray | memoryview, position: int, header: BatchHeader, timestamp_ms: int
) -> None:
    """Give all records of the batch this timestamp: the type bit, the maximum, the checksum.

    As Kafka does, the base timestamp stays, and readers use the maximum (KIP-32).
    """
    INT64.pack_into(buffer, position + MAX_TIMESTAMP_AT, timestamp_ms)
    stamp_timestamp_type(buffer, position, header, log_append_time=True)


def stamp_timestamp_type(
    buffer: bytearray | memoryview, position: int, header: BatchHeader, *, log_append_time: bool
) -> None:
    """Say whose timestamps the batch has, the broker's or the producer's, and sum it up anew."""
    bit = TIMESTAMP_TYPE_BIT if log_append_time else 0
    INT16.pack_into(buffer, position + ATTRIBUTES_AT, header.attributes & ~TIMESTAMP_TYPE_BIT | bit)
    checksum = _checksum(buffer, position, position + header.size_bytes)
    UINT32.pack_into(buffer, position + CRC_AT, checksum)


def recompressed(
    batch: Buffer,
    header: BatchHeader,
    codec: Compression,
    *,
    level: int | None,
    max_decompressed_bytes: int,
) -> bytearray:
    """The same records in a new batch with another codec, whose level is as in `compress`.

    The records are not looked at. Both steps release the GIL. Raises `WireError` where the codec in
    the header fails, and its subclass `ExpandsTooFarError` beyond `max_decompressed_bytes`.
    """
    records: Buffer = memoryview(batch)[HEADER_SIZE : header.size_bytes]
    if header.compression is not Compression.NONE:
        records = decompress(header.compression, records, max_output_bytes=max_decompressed_bytes)
    body = compress(codec, records, level=level)
    new = bytearray(HEADER_SIZE + len(body))
    new[:HEADER_SIZE] = batch[:HEADER_SIZE]
    new[HEADER_SIZE:] = body
    INT32.pack_into(new, 8, len(new) - LENGTH_END)
    INT16.pack_into(new, ATTRIBUTES_AT, header.attributes & ~COMPRESSION_MASK | codec)
    UINT32.pack_into(new, CRC_AT, _checksum(new, 0, len(new)))
    return new


def build_batch(
    records: Sequence[Record],
    *,
    base_offset: int = 0,
    leader_epoch: int = NO_LEADER_EPOCH,
    compression: Compression = Compression.NONE,
    log_append_time_ms: int | None = None,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    is_transactional: bool = False,
    is_control: bool = False,
    keep_offsets: bool = False,
    last_offset: int | None = None,
    delete_horizon_ms: int | None = None,
) -> bytearray:
    """One batch of format 2 with its checksum.

    The records get the offsets `base_offset`, `base_offset + 1` ...; with `keep_offsets` they keep
    their own, ascending from `base_offset` with gaps, as compaction leaves them, and `last_offset`
    may lie behind the last one's. An empty batch is possible then: Kafka keeps one for a producer
    whose records are all gone. `log_append_time_ms` makes the batch one that a broker stamped.
    """
    if keep_offsets:
        deltas: Sequence[int] = [record.offset - base_offset for record in records]
    else:
        deltas = range(len(records))
    last_delta = deltas[-1] if last_offset is None else last_offset - base_offset
    base_timestamp = records[0].timestamp_ms if records else NO_TIMESTAMP
    max_timestamp = max((record.timestamp_ms for record in records), default=NO_TIMESTAMP)
    attributes = compression | is_transactional * TRANSACTIONAL_BIT | is_control * CONTROL_BIT
    if log_append_time_ms is not None:
        attributes |= TIMESTAMP_TYPE_BIT
        max_timestamp = log_append_time_ms
    if delete_horizon_ms is not None:
        # The horizon stands in the base timestamp, and the deltas are relative to it (KIP-534).
        attributes |= DELETE_HORIZON_BIT
        base_timestamp = delete_horizon_ms
    body: Buffer = encode_records(records, deltas, base_timestamp)
    if compression is not Compression.NONE:
        body = compress(compression, body)
    batch = bytearray(HEADER_SIZE)
    batch += body
    HEADER.pack_into(
        batch,
        0,
        base_offset,
        len(batch) - LENGTH_END,
        leader_epoch,
        CURRENT_MAGIC,
        0,
        attributes,
        last_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        len(records),
    )
    UINT32.pack_into(batch, CRC_AT, _checksum(batch, 0, len(batch)))
    return batch
