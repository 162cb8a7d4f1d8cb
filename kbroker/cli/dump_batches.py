"""The batches of a segment as lines, each checked: length, checksum, order of offsets, records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kbroker.cli.dump_files import Damage, Item
from kbroker.cli.dump_offsets import describe_offset_record
from kbroker.cli.positions import time_text
from kbroker.cli.progress import Advance
from kbroker.cli.record_lines import json_bytes, readable
from wire.errors import WireError
from wire.records.batch import BatchHeader, crc_is_valid, read_header
from wire.records.batch_header import CURRENT_MAGIC, HEADER_SIZE
from wire.records.control import control_type
from wire.records.record import Record, iterate_records

MOST_DECOMPRESSED_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether records are shown, and whether as those of __consumer_offsets."""

    records: bool
    offsets: bool


def read_batches(data: memoryview, wanted: Wanted, advance: Advance) -> Iterator[Item]:
    """A line per batch, followed by its records where wanted. Damage at the first bad batch."""
    position = least_offset = 0
    while position < len(data):
        header = check_batch(data, position, least_offset)
        yield describe_batch(position, header)
        if wanted.records:
            yield from _read_records(data, position, header, wanted)
        least_offset = header.next_offset
        position += header.size_bytes
        advance(header.size_bytes)


def check_batch(data: memoryview, position: int, least_offset: int) -> BatchHeader:
    """The header of the batch at `position`, if the batch is whole and sound. Damage."""
    left = len(data) - position
    if left < HEADER_SIZE:
        raise Damage(
            f"at byte {position}: {left} bytes are left, a batch has {HEADER_SIZE} or more"
        )
    try:
        header = read_header(data, position)
    except WireError as error:
        raise Damage(f"at byte {position}: {error}") from None
    if header.magic != CURRENT_MAGIC:
        raise Damage(f"at byte {position}: a batch of format {header.magic}, not {CURRENT_MAGIC}")
    if header.size_bytes > left:
        raise Damage(
            f"at byte {position}: a batch of {header.size_bytes} bytes is cut after {left}"
        )
    if not crc_is_valid(data, position, header):
        raise Damage(
            f"at byte {position}: the checksum does not match, base offset in"
            f" the header is {header.base_offset}"
        )
    if header.base_offset < least_offset or header.last_offset_delta < 0:
        raise Damage(
            f"at byte {position}: offsets {header.base_offset} to {header.last_offset}"
            f" where {least_offset} or more is due"
        )
    return header


def describe_batch(position: int, header: BatchHeader) -> Item:
    try:
        codec = header.compression.name.lower()
    except WireError:
        codec = f"unknown ({header.attributes & 7})"
    marks = [
        *(["transactional"] if header.is_transactional else []),
        *(["control"] if header.is_control else []),
        *(["log append time"] if header.has_log_append_time else []),
    ]
    parts = [
        f"at {position}: offsets {header.base_offset} to {header.last_offset}",
        f"{header.record_count} record{'s' * (header.record_count != 1)}",
        f"{header.size_bytes} bytes",
        f"newest {time_text(header.max_timestamp) or '-'}",
        f"codec {codec}",
        f"leader epoch {header.partition_leader_epoch}",
    ]
    if header.has_producer_id:
        parts.append(
            f"producer {header.producer_id} epoch {header.producer_epoch}"
            f" sequence {header.base_sequence} to {header.last_sequence}"
        )
    fields: dict[str, object] = {
        "type": "batch",
        "position": position,
        "size_bytes": header.size_bytes,
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "record_count": header.record_count,
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "codec": codec,
        "leader_epoch": header.partition_leader_epoch,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "crc": header.crc,
        "transactional": header.is_transactional,
        "control": header.is_control,
        "log_append_time": header.has_log_append_time,
    }
    return Item(", ".join([*parts, *marks]), fields)


def _read_records(
    data: memoryview, position: int, header: BatchHeader, wanted: Wanted
) -> Iterator[Item]:
    try:
        for record in iterate_records(
            data, position, max_decompressed_bytes=MOST_DECOMPRESSED_BYTES
        ):
            yield describe_record(record, header, wanted)
    except WireError as error:
        raise Damage(f"at byte {position}: {error}") from None


def describe_record(record: Record, header: BatchHeader, wanted: Wanted) -> Item:
    """WireError where a record of __consumer_offsets cannot be read."""
    time = time_text(record.timestamp_ms) or "-"
    start = f"  {record.offset} {time}"
    fields: dict[str, object] = {
        "type": "record",
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
    }
    if header.is_control:
        name = control_type(record.key).name.lower()
        return Item(f"{start} marker {name}", {**fields, "marker": name})
    if wanted.offsets:
        text, decoded = describe_offset_record(record)
        return Item(f"{start} {text}", {**fields, **decoded})
    headers = "".join(
        f" {readable(each.key.encode())}={readable(each.value)}" for each in record.headers
    )
    return Item(
        f"{start} key={readable(record.key)}{headers} value={readable(record.value)}",
        {
            **fields,
            "key": json_bytes(record.key),
            "value": json_bytes(record.value),
            "headers": [[each.key, json_bytes(each.value)] for each in record.headers],
        },
    )
