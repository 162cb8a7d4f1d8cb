"""The small files of a data directory as lines: indexes, snapshots, checkpoints, identity."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import click

from kbroker.cli.positions import time_text
from log import offset_index, time_index, transaction_index
from log.checkpoints import (
    CheckpointError,
    decode_clean_shutdown,
    decode_epochs,
    decode_meta_properties,
    decode_offsets,
    decode_partition_metadata,
    encode_uuid,
)
from log.producer_snapshot import SUFFIX as SNAPSHOT_SUFFIX
from log.producer_snapshot import CorruptSnapshotError, decode_snapshot
from log.segment import (
    ASIDE_SUFFIX,
    DELETED_SUFFIX,
    INDEX_SUFFIX,
    LOG_SUFFIX,
    TIME_INDEX_SUFFIX,
    TRANSACTION_INDEX_SUFFIX,
)
from wire.errors import WireError
from wire.records.batch import read_header


class Damage(Exception):
    """What is wrong with a file, and where; one line."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a file: a line for people, fields for programs."""

    text: str
    fields: dict[str, object]


Reader = Callable[[str, memoryview], Iterator[Item]]


def plain_name(name: str) -> str:
    """Without what says that a file is set aside or about to be deleted."""
    return name.removesuffix(DELETED_SUFFIX).removesuffix(ASIDE_SUFFIX)


def is_known(name: str) -> bool:
    return _reader(name) is not None


def read_small_file(path: str, data: memoryview) -> Iterator[Item]:
    """The lines of a file whose name is known. Damage."""
    reader = _reader(os.path.basename(path))
    assert reader is not None, path
    try:
        yield from reader(path, data)
    except CheckpointError as error:
        raise Damage(str(error).removeprefix(f"{path}: ")) from None
    except CorruptSnapshotError as error:
        raise Damage(f"at byte 0: {error}") from None


def _reader(name: str) -> Reader | None:
    plain = plain_name(name)
    suffix = os.path.splitext(plain)[1]
    return BY_NAME.get(plain) or BY_SUFFIX.get(suffix)


def map_file(path: str) -> memoryview:
    """The file's bytes, read from the disk as they are looked at. OSError."""
    with cast(BinaryIO, click.open_file(path, "rb")) as file:
        if os.fstat(file.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def base_offset(path: str) -> int:
    """What the name of a segment's file says. Damage."""
    stem = os.path.basename(path).partition(".")[0]
    if not stem.isdecimal():
        raise Damage("the name does not begin with the segment's base offset")
    return int(stem)


def used(data: memoryview, entry_size: int) -> memoryview:
    """The entries without those that Kafka allocates ahead, which are zero. Damage for a part of
    one at the end."""
    if len(data) % entry_size:
        raise Damage(
            f"at byte {len(data) // entry_size * entry_size}: the last entry is cut,"
            f" entries have {entry_size} bytes"
        )
    end = len(bytes(data).rstrip(b"\0"))
    return data[: -(-end // entry_size) * entry_size]


def read_offset_index(path: str, data: memoryview) -> Iterator[Item]:
    """Offset and position. Each must point to a batch of the segment, if that lies beside."""
    base = base_offset(path)
    beside = path[: path.rindex(INDEX_SUFFIX)] + LOG_SUFFIX
    log = map_file(beside) if os.path.exists(beside) else None
    before = (-1, -1)
    entries = used(data, offset_index.ENTRY_SIZE)
    for number, entry in enumerate(offset_index.ENTRY.iter_unpack(entries)):
        relative, position = entry
        at = f"at byte {number * offset_index.ENTRY_SIZE}"
        if relative <= before[0] or position <= before[1]:
            raise Damage(f"{at}: offset {base + relative} at {position} does not ascend")
        if log is not None and not _is_batch_before(log, position, base + relative):
            raise Damage(f"{at}: at {position} no batch for offset {base + relative} begins")
        before = (relative, position)
        yield Item(
            f"offset {base + relative} at {position}",
            {"type": "offset_index", "offset": base + relative, "position": position},
        )


def _is_batch_before(log: memoryview, position: int, offset: int) -> bool:
    try:
        header = read_header(log, position)
    except WireError:
        return False
    return header.base_offset <= offset and position + header.size_bytes <= len(log)


def read_time_index(path: str, data: memoryview) -> Iterator[Item]:
    """Timestamp and offset."""
    base = base_offset(path)
    before = (-1, -1)
    entries = used(data, time_index.ENTRY_SIZE)
    for number, entry in enumerate(time_index.ENTRY.iter_unpack(entries)):
        timestamp, relative = entry
        if timestamp <= before[0] or relative < before[1]:
            raise Damage(
                f"at byte {number * time_index.ENTRY_SIZE}: timestamp {timestamp} for offset"
                f" {base + relative} does not ascend"
            )
        before = (timestamp, relative)
        yield Item(
            f"timestamp {timestamp} ({time_text(timestamp)}) offset {base + relative}",
            {"type": "time_index", "timestamp": timestamp, "offset": base + relative},
        )


def read_transaction_index(path: str, data: memoryview) -> Iterator[Item]:
    """Transactions that were taken back."""
    size = transaction_index.ENTRY_SIZE
    if len(data) % size:
        raise Damage(f"at byte {len(data) // size * size}: the last entry is cut")
    for number, entry in enumerate(transaction_index.ENTRY.iter_unpack(data)):
        version, producer_id, first_offset, last_offset, stable = entry
        if version != transaction_index.VERSION:
            raise Damage(f"at byte {number * size}: version {version} is unknown")
        yield Item(
            f"producer {producer_id} took back offsets {first_offset} to {last_offset},"
            f" last stable offset {stable}",
            {
                "type": "aborted_transaction",
                "producer_id": producer_id,
                "first_offset": first_offset,
                "last_offset": last_offset,
                "last_stable_offset": stable,
            },
        )


def read_snapshot(path: str, data: memoryview) -> Iterator[Item]:
    """Producers: what each wrote last."""
    for entry in decode_snapshot(bytes(data)):
        open_since = entry.transaction_first_offset
        opened = "" if open_since is None else f", transaction open since offset {open_since}"
        yield Item(
            f"producer {entry.producer_id} epoch {entry.producer_epoch}: last sequence"
            f" {entry.last_sequence}, last offset {entry.last_offset},"
            f" {time_text(entry.last_timestamp_ms) or '-'}{opened}",
            {
                "type": "producer",
                "producer_id": entry.producer_id,
                "producer_epoch": entry.producer_epoch,
                "last_sequence": entry.last_sequence,
                "last_offset": entry.last_offset,
                "last_timestamp": entry.last_timestamp_ms,
                "coordinator_epoch": entry.coordinator_epoch,
                "transaction_first_offset": open_since,
            },
        )


def read_offset_checkpoint(path: str, data: memoryview) -> Iterator[Item]:
    for (topic, number), offset in sorted(decode_offsets(bytes(data), path).items()):
        yield Item(
            f"{topic}:{number} {offset}",
            {"type": "checkpoint", "topic": topic, "partition": number, "offset": offset},
        )


def read_epoch_checkpoint(path: str, data: memoryview) -> Iterator[Item]:
    for epoch, start in decode_epochs(bytes(data), path):
        yield Item(
            f"leader epoch {epoch} from offset {start}",
            {"type": "leader_epoch", "leader_epoch": epoch, "start_offset": start},
        )


def read_partition_metadata(path: str, data: memoryview) -> Iterator[Item]:
    topic_id = encode_uuid(decode_partition_metadata(bytes(data), path))
    yield Item(f"topic id {topic_id}", {"type": "partition_metadata", "topic_id": topic_id})


def read_meta_properties(path: str, data: memoryview) -> Iterator[Item]:
    meta = decode_meta_properties(bytes(data), path)
    directory = encode_uuid(meta.directory_id)
    yield Item(
        f"cluster {meta.cluster_id}, node {meta.node_id}, directory {directory}",
        {
            "type": "meta_properties",
            "cluster_id": meta.cluster_id,
            "node_id": meta.node_id,
            "directory_id": directory,
        },
    )


def read_clean_shutdown(path: str, data: memoryview) -> Iterator[Item]:
    epoch = decode_clean_shutdown(bytes(data))
    yield Item(f"stopped cleanly, broker epoch {epoch}", {"type": "stop", "broker_epoch": epoch})


BY_SUFFIX: dict[str, Reader] = {
    INDEX_SUFFIX: read_offset_index,
    TIME_INDEX_SUFFIX: read_time_index,
    TRANSACTION_INDEX_SUFFIX: read_transaction_index,
    SNAPSHOT_SUFFIX: read_snapshot,
}
BY_NAME: dict[str, Reader] = {
    "recovery-point-offset-checkpoint": read_offset_checkpoint,
    "replication-offset-checkpoint": read_offset_checkpoint,
    "log-start-offset-checkpoint": read_offset_checkpoint,
    "cleaner-offset-checkpoint": read_offset_checkpoint,
    "leader-epoch-checkpoint": read_epoch_checkpoint,
    "partition.metadata": read_partition_metadata,
    "meta.properties": read_meta_properties,
    ".kafka_cleanshutdown": read_clean_shutdown,
}
