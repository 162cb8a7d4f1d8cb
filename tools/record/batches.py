"""Record batches for scenarios: sound ones, and sound ones with one thing wrong."""

from struct import pack, pack_into
from zlib import crc32

from crc32c import crc32c

from wire.records.batch import build_batch
from wire.records.batch_header import ATTRIBUTES_AT, CRC_AT
from wire.records.compression import Compression
from wire.records.record import Header, Record

TIMESTAMP_MS = 1_600_000_000_000
"""Of the first record of a batch; scenarios run without retention, so its age does no harm."""
RECORD_COUNT_AT = 57
LAST_OFFSET_DELTA_AT = 23


def batch(
    *values: str | bytes | None,
    key: bytes | None = None,
    headers: tuple[Header, ...] = (),
    timestamp_ms: int = TIMESTAMP_MS,
    timestamp_step_ms: int = 0,
    base_offset: int = 0,
    leader_epoch: int = -1,
    compression: Compression = Compression.NONE,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
) -> bytearray:
    """A batch with a record for each value (none: one record "v"), `timestamp_step_ms` apart."""
    records = [
        Record(
            offset=0,
            timestamp_ms=timestamp_ms + number * timestamp_step_ms,
            key=key,
            value=value.encode() if isinstance(value, str) else value,
            headers=headers,
        )
        for number, value in enumerate(values or ("v",))
    ]
    return build_batch(
        records,
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        compression=compression,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        is_transactional=transactional,
        is_control=control,
    )


def patched(
    data: bytearray, form: str, position: int, value: int, *, fix_crc: bool = True
) -> bytearray:
    """A copy with one number (in `struct`'s format) overwritten, and the checksum right again."""
    copy = bytearray(data)
    pack_into(form, copy, position, value)
    if fix_crc:
        pack_into(">I", copy, CRC_AT, crc32c(bytes(copy[ATTRIBUTES_AT:])))
    return copy


def message_set(magic: int, value: bytes) -> bytes:
    """A message set of one message in format 0 or 1, as clients before Kafka 0.11 sent it."""
    body = pack(">bb", magic, 0) + (pack(">q", TIMESTAMP_MS) if magic else b"")
    body += pack(">i", -1) + pack(">i", len(value)) + value
    message = pack(">I", crc32(body)) + body
    return pack(">qi", 0, len(message)) + message
