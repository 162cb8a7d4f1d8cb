"""Control records: what brokers write between a client's records, never a client itself.

The key is `version int16, type int16`. Of the types only the two transaction markers occur in
topics: `ABORT` and `COMMIT`, whose value is `version int16, coordinator_epoch int32` (KIP-98). The
others belong to the metadata log of KRaft and are only named here.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from wire.errors import WireError
from wire.records.batch import build_batch
from wire.records.batch_header import NO_LEADER_EPOCH, BatchHeader, Buffer
from wire.records.record import Record, iterate_records

KEY = Struct(">hh")
END_TRANSACTION_VALUE = Struct(">hi")
CURRENT_VERSION = 0
MAX_CONTROL_BYTES = 64 * 1024


class ControlType(IntEnum):
    """The types that Kafka 4.3 knows; a newer one is read as `UNKNOWN`."""

    UNKNOWN = -1
    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


@dataclass(frozen=True, slots=True)
class EndTransactionMarker:
    """The outcome of one producer's transaction, as its coordinator wrote it to a partition."""

    is_commit: bool
    coordinator_epoch: int


def control_type(key: bytes | None) -> ControlType:
    """The type in a control record's key; `WireError` if that is cut or of a negative version."""
    if key is None or len(key) < KEY.size:
        raise WireError("the key of a control record is cut")
    version, number = KEY.unpack_from(key)
    if version < 0:
        raise WireError(f"control record version {version} is negative")
    if 0 <= number <= max(ControlType):
        return ControlType(number)
    return ControlType.UNKNOWN


def parse_end_transaction_marker(record: Record) -> EndTransactionMarker | None:
    """The marker that a control record is, None for one of another type; `WireError` if cut."""
    kind = control_type(record.key)
    if kind not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    if record.value is None or len(record.value) < END_TRANSACTION_VALUE.size:
        raise WireError("the value of a transaction marker is cut")
    # Fields that a newer version appends are ignored, as Kafka does.
    version, coordinator_epoch = END_TRANSACTION_VALUE.unpack_from(record.value)
    if version < 0:
        raise WireError(f"transaction marker version {version} is negative")
    return EndTransactionMarker(kind is ControlType.COMMIT, coordinator_epoch)


def read_end_transaction_marker(
    buffer: Buffer, position: int, header: BatchHeader
) -> EndTransactionMarker | None:
    """The marker in the batch at `position`.

    None if it is no control batch, one of another type, or one that compaction has emptied.
    """
    if not header.is_control or header.record_count == 0:
        return None
    records = iterate_records(buffer, position, max_decompressed_bytes=MAX_CONTROL_BYTES)
    first = next(records, None)
    return None if first is None else parse_end_transaction_marker(first)


def build_end_transaction_marker(
    marker: EndTransactionMarker,
    *,
    producer_id: int,
    producer_epoch: int,
    timestamp_ms: int,
    base_offset: int = 0,
    leader_epoch: int = NO_LEADER_EPOCH,
) -> bytearray:
    """The batch of one marker, byte for byte as Kafka 4.3 writes it."""
    kind = ControlType.COMMIT if marker.is_commit else ControlType.ABORT
    record = Record(
        base_offset,
        timestamp_ms,
        KEY.pack(CURRENT_VERSION, kind),
        END_TRANSACTION_VALUE.pack(CURRENT_VERSION, marker.coordinator_epoch),
    )
    return build_batch(
        [record],
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        is_transactional=True,
        is_control=True,
    )
