"""The header of a record batch: 61 bytes that say everything the broker needs on its hot path.

Layout (https://kafka.apache.org/documentation/#recordbatch), big endian:

    0  base_offset int64            21  attributes int16       43  producer_id int64
    8  batch_length int32           23  last_offset_delta int32  51  producer_epoch int16
    12 partition_leader_epoch int32 27  base_timestamp int64   53  base_sequence int32
    16 magic int8                   35  max_timestamp int64    57  record_count int32
    17 crc uint32                   61  the records

`batch_length` counts the bytes from `partition_leader_epoch` on. The checksum covers the bytes
from `attributes` on, so a broker rewrites the base offset and the leader epoch without touching it.
"""

from struct import Struct
from typing import NamedTuple

from wire.errors import WireError
from wire.records.compression import Compression

HEADER_SIZE = 61
LENGTH_END = 12
"""Bytes before the part that `batch_length` counts."""
LEADER_EPOCH_AT = 12
MAGIC_AT = 16
CRC_AT = 17
ATTRIBUTES_AT = 21
MAX_TIMESTAMP_AT = 35
MIN_BATCH_LENGTH = HEADER_SIZE - LENGTH_END
MIN_LEGACY_LENGTH = 14
"""The overhead of a message of format 0 after its offset and size: the least Kafka accepts."""

CURRENT_MAGIC = 2
COMPRESSION_MASK = 0x07
TIMESTAMP_TYPE_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40

NO_TIMESTAMP = -1
NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_LEADER_EPOCH = -1
SEQUENCE_LIMIT = 1 << 31
"""Sequence numbers run from 0 to 2^31 - 1 and then start at 0 again."""

HEADER = Struct(">qiibIhiqqqhii")

Buffer = bytes | bytearray | memoryview


class BatchHeader(NamedTuple):
    """The fields of the header, as read. Nothing is checked but the length (see `read_header`)."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size_bytes(self) -> int:
        """The whole batch, header included."""
        return self.batch_length + LENGTH_END

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record, -1 without one; it wraps after 2^31 - 1 (KAFKA-7692)."""
        if self.base_sequence < 0:
            return NO_SEQUENCE
        return (self.base_sequence + self.last_offset_delta) % SEQUENCE_LIMIT

    @property
    def compression(self) -> Compression:
        """The codec; `WireError` for the ids 5 to 7, which stand for none."""
        return Compression.of_id(self.attributes & COMPRESSION_MASK)

    @property
    def has_log_append_time(self) -> bool:
        """True where the broker stamped the batch, so that all records have `max_timestamp`."""
        return self.attributes & TIMESTAMP_TYPE_BIT != 0

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_BIT != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_BIT != 0

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id > NO_PRODUCER_ID

    @property
    def delete_horizon_ms(self) -> int | None:
        """When compaction may drop this batch's tombstones or marker (KIP-534), if that is set."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else None


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`; the batch may be longer than the buffer.

    Raises `WireError` when fewer than 61 bytes remain, or when the length cannot be one. Neither
    the checksum nor the magic is checked: in formats 0 and 1 only `base_offset`, `batch_length`
    and `magic` mean what their names say.
    """
    if not 0 <= position <= len(buffer) - HEADER_SIZE:
        raise WireError(
            f"a batch header needs {HEADER_SIZE} bytes, {len(buffer) - position} remain"
        )
    header = BatchHeader._make(HEADER.unpack_from(buffer, position))
    least = MIN_BATCH_LENGTH if header.magic >= CURRENT_MAGIC else MIN_LEGACY_LENGTH
    if header.batch_length < least:
        raise WireError(f"batch length {header.batch_length} is below the least possible, {least}")
    return header
