"""The records inside one batch: decoding (decompressed under a cap) and encoding.

The broker does this only where it must look inside: its own topics, compaction, a search by
timestamp. Produce and Fetch pass the bytes on unread. The counterpart is `wire.records.batch`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wire.errors import WireError
from wire.records.batch_header import CURRENT_MAGIC, HEADER_SIZE, Buffer, read_header
from wire.records.compression import Compression, decompress
from wire.records.varint import append_varint, read_varint, read_varlong

MIN_HEADER_BYTES = 2
"""A record header with an empty key and no value."""


@dataclass(frozen=True, slots=True)
class Header:
    """A record header: an application's key (UTF-8) and its value, which may be null."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `offset` and `timestamp_ms` are absolute; -1 is "no timestamp"."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


def iterate_records(
    buffer: Buffer, position: int = 0, *, max_decompressed_bytes: int
) -> Iterator[Record]:
    """The records of the batch at `position`, in order.

    Raises `WireError` for a batch that is cut, of a format before 2, with a codec that fails or
    yields more than `max_decompressed_bytes`, or whose records do not fill it exactly. The checksum
    is not looked at. With log append time every record has the batch's maximum timestamp.
    """
    header = read_header(buffer, position)
    if header.magic != CURRENT_MAGIC:
        raise WireError(f"records of format {header.magic} are not supported")
    end = position + header.size_bytes
    if end > len(buffer):
        raise WireError(f"a batch of {header.size_bytes} bytes is cut at {len(buffer) - position}")
    body: Buffer = memoryview(buffer)[position + HEADER_SIZE : end]
    if header.compression is not Compression.NONE:
        body = decompress(header.compression, body, max_output_bytes=max_decompressed_bytes)
    append_time = header.max_timestamp if header.has_log_append_time else None
    at = 0
    for _ in range(header.record_count):
        record, at = _decode_record(
            body, at, header.base_offset, header.base_timestamp, append_time
        )
        yield record
    if at != len(body):
        raise WireError(f"{len(body) - at} bytes follow the last of the declared records")
    if header.record_count < 0:
        raise WireError(f"record count {header.record_count} is negative")


def _decode_record(
    body: Buffer, position: int, base_offset: int, base_timestamp: int, append_time: int | None
) -> tuple[Record, int]:
    length, position = read_varint(body, position)
    end = position + length
    if not position < end <= len(body):
        raise WireError(f"a record of {length} bytes does not fit in {len(body) - position}")
    timestamp_delta, position = read_varlong(body, position + 1)  # past the unused attributes
    offset_delta, position = read_varint(body, position)
    key, position = _read_bytes(body, position, end)
    value, position = _read_bytes(body, position, end)
    headers, position = _read_headers(body, position, end)
    if position != end:
        raise WireError(f"a record declares {length} bytes and ends {end - position} bytes before")
    timestamp = base_timestamp + timestamp_delta if append_time is None else append_time
    return Record(base_offset + offset_delta, timestamp, key, value, headers), position


def _read_bytes(body: Buffer, position: int, end: int) -> tuple[bytes | None, int]:
    size, position = read_varint(body, position)
    if size < 0:
        return None, position
    if position + size > end:
        raise WireError(f"a field of {size} bytes does not fit in {end - position}")
    return bytes(body[position : position + size]), position + size


def _read_headers(body: Buffer, position: int, end: int) -> tuple[tuple[Header, ...], int]:
    count, position = read_varint(body, position)
    if count == 0:
        return (), position
    if not 0 <= count <= (end - position) // MIN_HEADER_BYTES:
        raise WireError(f"{count} record headers do not fit in {end - position} bytes")
    headers = []
    for _ in range(count):
        key, position = _read_bytes(body, position, end)
        if key is None:
            raise WireError("a record header has a null key")
        value, position = _read_bytes(body, position, end)
        try:
            headers.append(Header(key.decode(), value))
        except UnicodeDecodeError:
            raise WireError("a record header's key is not UTF-8") from None
    return tuple(headers), position


def encode_records(
    records: Sequence[Record], offset_deltas: Sequence[int], base_timestamp: int
) -> bytearray:
    """The uncompressed body of a batch; `offset_deltas` in place of the records' own offsets."""
    out = bytearray()
    body = bytearray()
    for record, offset_delta in zip(records, offset_deltas, strict=True):
        body.clear()
        body.append(0)  # attributes: unused by Kafka so far
        append_varint(body, record.timestamp_ms - base_timestamp)
        append_varint(body, offset_delta)
        _append_bytes(body, record.key)
        _append_bytes(body, record.value)
        append_varint(body, len(record.headers))
        for header in record.headers:
            _append_bytes(body, header.key.encode())
            _append_bytes(body, header.value)
        append_varint(out, len(body))
        out += body
    return out


def _append_bytes(out: bytearray, value: bytes | None) -> None:
    if value is None:
        out.append(1)  # the zigzag of -1
    else:
        append_varint(out, len(value))
        out += value
