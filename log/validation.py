"""What a leader refuses before it appends: Kafka's checks of a Produce payload, from the header.

The errors are those of Kafka 4.3.1's `ProduceRequest`, `UnifiedLog` and `LogValidator`, in their
order. Kafka also walks through every record, compressed or not; this broker does so only for
compacted topics, where each record needs a key. Elsewhere it believes the header, so that
- malformed records, or a codec that is not the claimed one, inside a batch with a valid checksum
  are stored (Kafka: INVALID_RECORD, or UNKNOWN_SERVER_ERROR where they are compressed);
- timestamps are judged by the batch's base and maximum, not one by one, and the stored maximum is
  what the producer claims (Kafka corrects it).
Where the topic asks for another codec, records are packed anew, still unread.
A length that overflows Kafka's arithmetic (UNKNOWN_SERVER_ERROR) is INVALID_RECORD here.

Counterpart: `log.producer_state` judges sequence numbers, after these checks.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from log.log_config import LogConfig
from log.recompression import PreparedBatch, is_to_be_recompressed, recompress
from wire.errors import ErrorCode, KafkaError, WireError
from wire.records.batch import (
    BatchHeader,
    crc_is_valid,
    read_header,
    stamp_log_append_time,
    stamp_timestamp_type,
)
from wire.records.batch_header import (
    CURRENT_MAGIC,
    DELETE_HORIZON_BIT,
    HEADER,
    HEADER_SIZE,
    LENGTH_END,
    MAGIC_AT,
    MIN_LEGACY_LENGTH,
    NO_TIMESTAMP,
    TIMESTAMP_TYPE_BIT,
)
from wire.records.compression import Compression
from wire.records.record import Record, iterate_records

# A NamedTuple's own constructor takes twice as long, for every Produce.
_new_tuple = tuple.__new__

LAST_CODEC = int(Compression.ZSTD)
CREATE_TIME = "CreateTime"
LOG_APPEND_TIME = "LogAppendTime"
COMPACT = "compact"
MAX_KEY_CHECK_BYTES = 64 << 20
"""How far a compressed batch for a compacted topic may expand while its keys are looked for."""


class ValidBatch(NamedTuple):
    """A batch that may be appended. `records` is the part of the payload to write."""

    header: BatchHeader
    records: memoryview
    log_append_time_ms: int
    """-1 where the producer's own timestamps stand (CreateTime)."""


def validate_produced(
    payload: memoryview,
    *,
    config: LogConfig,
    now_ms: int,
    header: BatchHeader | None = None,
    name: str = "",
    transactional_id_given: bool = False,
    internal: bool = False,
    prepared: PreparedBatch | None = None,
) -> ValidBatch:
    """Check the payload of one partition of a Produce request, and stamp the append time into it.

    `header` is what `only_batch` gave, if it was asked already. `name` is the partition's, for
    messages.
    `payload` must be writable where the topic's timestamps are the broker's. `internal` is for the
    broker's own batches (offsets, markers): control batches and missing sequences are right there.
    `prepared` is what a thread did already. Raises `KafkaError`; nothing has been changed then.
    """
    if header is None:
        header = only_batch(payload)
    if not internal and header.is_transactional and not transactional_id_given:
        raise KafkaError(
            ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "a transaction needs an id"
        )
    if not internal and header.base_offset != 0:
        raise _invalid(f"the base offset must be 0, not {header.base_offset}")
    size = header.size_bytes
    _check_size(size, config)
    crc_is_known = prepared is not None and prepared.crc_is_valid
    if not crc_is_known and not crc_is_valid(payload, 0, header):
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "the checksum does not match")
    _check_compression(header)
    if not internal:
        _check_client_header(header)
    records = payload[:size]
    if COMPACT in config.cleanup_policy and not header.is_control:
        _check_keys(records, name)
    if not internal:
        _check_timestamps(records, header, config, now_ms)
        if is_to_be_recompressed(header.attributes, config):
            records = _recompressed(records, header, config, prepared)
            header = read_header(records)
            size = header.size_bytes
            _check_size(size, config)
    if size > config.segment_bytes:
        raise KafkaError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"the batch has {size} bytes, segment.bytes is {config.segment_bytes}",
        )
    if config.message_timestamp_type == LOG_APPEND_TIME:
        stamp_log_append_time(records, 0, header, now_ms)
        return ValidBatch(read_header(records), records, now_ms)
    if header.has_log_append_time:
        # Kafka takes such a batch with its maximum as everyone's timestamp, then forgets the type.
        stamp_timestamp_type(records, 0, header, log_append_time=False)
        header = read_header(records)
    return ValidBatch(header, records, -1)


def validate_replicated(payload: memoryview, *, next_offset: int) -> list[tuple[int, BatchHeader]]:
    """`(position, header)` of the whole batches that a leader sent; a cut tail is left out.

    Raises CORRUPT_MESSAGE at a bad checksum, length or format, and INVALID_RECORD at offsets that
    do not ascend from `next_offset` on (gaps are right: compaction leaves them).
    """
    batches = []
    position = 0
    while (size := _whole_batch_size(payload, position)) is not None:
        header = _header_of_magic_2(payload, position)
        if not crc_is_valid(payload, position, header):
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"bad checksum at {header.base_offset}")
        if not next_offset <= header.base_offset <= header.last_offset:
            raise _invalid(f"offsets {header.base_offset} to {header.last_offset} do not ascend")
        next_offset = header.next_offset
        batches.append((position, header))
        position += size
    return batches


def _invalid(detail: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_RECORD, detail)


def is_plain(header: BatchHeader, size: int, config: LogConfig, now_ms: int) -> bool:
    """Whether nearly every batch's case is this one's too: all checks of `validate_produced` would
    pass but for the checksum, and nothing has to be stamped. One glance, for every Produce."""
    (
        base_offset,
        batch_length,
        _leader_epoch,
        _magic,
        _crc,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        _producer_epoch,
        base_sequence,
        record_count,
    ) = header
    earliest = now_ms - config.message_timestamp_before_max_ms
    latest = now_ms + config.message_timestamp_after_max_ms
    return (
        batch_length + LENGTH_END == size <= config.max_message_bytes
        and size <= config.segment_bytes
        and 0 <= attributes <= LAST_CODEC
        and base_offset == 0
        and 0 < record_count == last_offset_delta + 1
        and (producer_id < 0 or base_sequence >= 0)
        and earliest <= base_timestamp <= latest
        and earliest <= max_timestamp <= latest
        and config.message_timestamp_type == CREATE_TIME
        and (config.compression is None or config.compression.codec == attributes)
        and COMPACT not in config.cleanup_policy
    )


def only_batch(payload: memoryview) -> BatchHeader:
    """The header of the one batch that a partition's payload must hold, not yet judged.

    KafkaError: INVALID_RECORD where it is not one whole batch of format 2, CORRUPT_MESSAGE where
    it is none at all. (Kafka checks this before it looks at the partition.)
    """
    if len(payload) >= HEADER_SIZE:
        header = _new_tuple(BatchHeader, HEADER.unpack_from(payload))
        if header.magic == CURRENT_MAGIC and header.batch_length + LENGTH_END == len(payload):
            return header
    size = _whole_batch_size(payload, 0)
    if size is None:
        raise _invalid("a partition's payload must hold one whole record batch")
    header = _header_of_magic_2(payload, 0)
    # Kafka leaves out a second batch that is cut, and refuses a whole one.
    if size != len(payload) and _whole_batch_size(payload, size) is not None:
        raise _invalid("a partition's payload must hold exactly one record batch")
    return header


def _whole_batch_size(payload: memoryview, position: int) -> int | None:
    """The size of the batch of any format at `position`, None if it is cut."""
    remaining = len(payload) - position
    if remaining < LENGTH_END:
        return None
    length = int.from_bytes(payload[position + 8 : position + LENGTH_END], "big", signed=True)
    if length < MIN_LEGACY_LENGTH:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"batch length {length} is too small")
    if remaining <= MAGIC_AT:
        return None
    if payload[position + MAGIC_AT] > CURRENT_MAGIC:
        raise KafkaError(
            ErrorCode.CORRUPT_MESSAGE, f"unknown batch format {payload[position + MAGIC_AT]}"
        )
    size = length + LENGTH_END
    return size if size <= remaining else None


def _header_of_magic_2(payload: memoryview, position: int) -> BatchHeader:
    magic = payload[position + MAGIC_AT]
    if magic != CURRENT_MAGIC:
        raise _invalid(f"batches must have format {CURRENT_MAGIC}, not {magic}")
    try:
        return read_header(payload, position)
    except WireError as error:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(error)) from None


def _check_size(size: int, config: LogConfig) -> None:
    if size > config.max_message_bytes:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"the batch has {size} bytes, max.message.bytes is {config.max_message_bytes}",
        )


def _recompressed(
    records: memoryview, header: BatchHeader, config: LogConfig, prepared: PreparedBatch | None
) -> memoryview:
    """The batch in the topic's codec: what a thread made of it, unless the topic has changed."""
    made = prepared.recompressed if prepared is not None else None
    if isinstance(made, KafkaError):
        raise made
    if made is None or is_to_be_recompressed(read_header(made).attributes, config):
        return recompress(records, header, config)
    return made


def _check_compression(header: BatchHeader) -> None:
    try:
        _ = header.compression
    except WireError as error:
        # Kafka trips over an exception here; the answer is the same.
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from None


def _check_client_header(header: BatchHeader) -> None:
    count = header.record_count
    if count <= 0 or count != header.last_offset_delta + 1:
        raise _invalid(f"{count} records do not span {header.last_offset_delta + 1} offsets")
    if header.is_control:
        raise _invalid("clients may not write control records")
    if header.has_producer_id and header.base_sequence < 0:
        raise _invalid(f"producer {header.producer_id} sent sequence {header.base_sequence}")


def _check_timestamps(
    records: memoryview, header: BatchHeader, config: LogConfig, now_ms: int
) -> None:
    if config.message_timestamp_type == LOG_APPEND_TIME:
        if header.has_log_append_time:
            raise _bad_timestamp(())
        return
    if header.has_log_append_time and header.max_timestamp == NO_TIMESTAMP:
        raise _bad_timestamp(())
    earliest = now_ms - config.message_timestamp_before_max_ms
    latest = now_ms + config.message_timestamp_after_max_ms
    timestamps = [header.max_timestamp]
    # Where the base is a record's timestamp (the first one's, in every client), it counts as well.
    if not header.attributes & (TIMESTAMP_TYPE_BIT | DELETE_HORIZON_BIT):
        timestamps.append(header.base_timestamp)
    for timestamp in timestamps:
        if timestamp != NO_TIMESTAMP and not earliest <= timestamp <= latest:
            raise _bad_timestamp(_timestamp_errors(records, earliest, latest))


def _timestamp_errors(records: memoryview, earliest: int, latest: int) -> list[tuple[int, str]]:
    """The records to blame. Only a batch that is refused anyway is looked into."""
    return [
        (
            place,
            f"Timestamp {record.timestamp_ms} of message with offset {record.offset} is out of "
            f"range. The timestamp should be within [{earliest}, {latest}]",
        )
        for place, record in enumerate(_readable(records))
        if not earliest <= record.timestamp_ms <= latest
    ]


def _bad_timestamp(record_errors: Sequence[tuple[int, str]]) -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_TIMESTAMP,
        "One or more records have been rejected due to invalid timestamp",
        record_errors=record_errors,
    )


def _check_keys(records: memoryview, name: str) -> None:
    message = f"Compacted topic cannot accept message without key in topic partition {name}"
    errors = [
        (place, message) for place, record in enumerate(_readable(records)) if record.key is None
    ]
    if errors:
        first = ", ".join(
            f"RecordError(batchIndex={place}, message='{message}')" for place, _ in errors[:3]
        )
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"One or more records have been rejected due to {len(errors)} record errors in total, "
            f"and only showing the first three errors at most: [{first}]",
            record_errors=errors,
        )


def _readable(records: memoryview) -> Iterator[Record]:
    try:
        yield from iterate_records(records, max_decompressed_bytes=MAX_KEY_CHECK_BYTES)
    except WireError as error:
        raise _invalid(str(error)) from None
