"""Targets in the small files of a log: checkpoints, snapshots, indexes, names of directories."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from random import Random
from struct import pack

from log import directory_names
from log.checkpoints import (
    CheckpointError,
    MetaProperties,
    decode_clean_shutdown,
    decode_epochs,
    decode_meta_properties,
    decode_offsets,
    decode_partition_metadata,
    encode_clean_shutdown,
    encode_epochs,
    encode_meta_properties,
    encode_offsets,
    encode_partition_metadata,
)
from log.damaged_partitions import decode_damaged, encode_damaged
from log.flushed_ends import ENTRY_BYTES, decode_entries, encode_entry, key_of
from log.leader_epochs import LeaderEpochs
from log.offset_index import OffsetIndex
from log.producer_snapshot import (
    HEAD,
    CorruptSnapshotError,
    decode_snapshot,
    encode_snapshot,
    load_newest_snapshot,
)
from log.producer_state import BatchMetadata, ProducerEntry, ProducerState
from log.time_index import TimeIndex
from log.transaction_index import TransactionIndex
from simulator.disk import SimulatedDisk
from tests.fuzz.batches import NOW
from tests.fuzz.mutation import Sample, lines, plain
from tests.fuzz.target import Target, require
from wire.records.checksum import crc32c


def file_targets() -> Iterator[Target]:
    yield from text_file_targets()
    yield from binary_file_targets()
    yield from index_targets()


def text_file_targets() -> Iterator[Target]:
    refused = (CheckpointError,)
    yield Target(
        "offsets_checkpoint",
        offsets_sample,
        partial(round_trip, lambda data: decode_offsets(data, "file"), encode_offsets),
        refused,
        covers=("log.checkpoints.decode_offsets",),
        weight=4,
    )
    yield Target(
        "epochs_checkpoint",
        epochs_sample,
        check_epochs,
        refused,
        covers=("log.checkpoints.decode_epochs", "log.leader_epochs.load"),
        weight=4,
    )
    yield Target(
        "partition_metadata",
        lambda chance: lines(encode_partition_metadata(chance.randbytes(16))),
        partial(
            round_trip, lambda data: decode_partition_metadata(data, "f"), encode_partition_metadata
        ),
        refused,
        covers=("log.checkpoints.decode_partition_metadata", "log.checkpoints.decode_uuid"),
        weight=4,
    )
    yield Target(
        "meta_properties",
        meta_properties_sample,
        partial(round_trip, lambda data: decode_meta_properties(data, "f"), encode_meta_properties),
        refused,
        covers=("log.checkpoints.decode_meta_properties",),
        weight=4,
    )
    yield Target(
        "clean_shutdown",
        lambda chance: lines(encode_clean_shutdown(chance.choice((-1, 0, 7)))),
        lambda data: require(isinstance(decode_clean_shutdown(data), int), "no number"),
        (),
        covers=("log.checkpoints.decode_clean_shutdown",),
        weight=2,
    )

    yield Target(
        "damaged_partitions",
        damaged_sample,
        partial(round_trip, lambda data: decode_damaged(data, "f"), encode_damaged),
        refused,
        covers=("log.damaged_partitions.decode_damaged",),
        weight=2,
        repair=repaired_damaged,
    )


def binary_file_targets() -> Iterator[Target]:
    yield Target(
        "producer_snapshot",
        snapshot_sample,
        check_snapshot,
        (CorruptSnapshotError,),
        covers=(
            "log.producer_snapshot.decode_snapshot",
            "log.producer_snapshot.load_newest_snapshot",
        ),
        weight=6,
        repair=repaired_snapshot,
    )
    yield Target(
        "flushed_ends",
        flushed_ends_sample,
        check_flushed_ends,
        (),
        covers=("log.flushed_ends.decode_entries",),
        weight=2,
    )
    yield Target(
        "directory_name",
        lambda chance: plain(
            chance.choice(
                (
                    directory_names.of_partition("orders", chance.randrange(20)),
                    directory_names.of_deleted("t.x_y-1", 3, chance.randbytes(16)),
                    directory_names.of_stray("x" * 249, 3, None),
                )
            ).encode()
        ),
        check_directory_name,
        (UnicodeDecodeError,),
        covers=("log.directory_names.parse",),
    )


def round_trip(decode: Callable, encode: Callable, data: bytes) -> None:
    value = decode(data)
    encoded = encode(value)
    again = decode(encoded)
    require(again == value, f"{value!r} decodes to {again!r}")


def offsets_sample(chance: Random) -> Sample:
    names = ("orders", "t", "a.b_c-d", "__consumer_offsets")
    return lines(
        encode_offsets(
            {
                (chance.choice(names), chance.randrange(50)): chance.getrandbits(40)
                for _ in range(chance.randrange(5))
            }
        )
    )


def epochs_sample(chance: Random) -> Sample:
    entries = []
    epoch = start = 0
    for _ in range(chance.randrange(5)):
        entries.append((epoch, start))
        epoch += chance.choice((1, 5))
        start += chance.choice((1, 1000))
    return lines(encode_epochs(entries))


def check_epochs(data: bytes) -> None:
    round_trip(lambda data: decode_epochs(data, "file"), encode_epochs, data)
    entries = decode_epochs(data, "file")
    epochs = LeaderEpochs(entries)
    require(list(epochs.entries) == entries, f"{entries} are kept as {epochs.entries}")
    for epoch, start in entries:
        require(epochs.epoch_at(start) == epoch, f"offset {start} is not of epoch {epoch}")


def meta_properties_sample(chance: Random) -> Sample:
    others = chance.choice(({}, {"k": "v"}, {"a.b": "x:y=z", "c": ""}))
    meta = MetaProperties("lkc-1", chance.randrange(9), chance.randbytes(16), others)
    return lines(encode_meta_properties(meta))


def snapshot_sample(chance: Random) -> Sample:
    entries = [
        ProducerEntry(
            chance.getrandbits(20),
            chance.randrange(5),
            (BatchMetadata(5, 7, 2, NOW),) if chance.random() < 0.8 else (),
            chance.choice((-1, 0)),
            NOW,
            chance.choice((None, 3)),
        )
        for _ in range(chance.randrange(4))
    ]
    data = encode_snapshot(entries)
    pieces = [data[:2], data[2:6], data[6:10]]
    kinds = "hii"
    for at in range(10, len(data), 46):
        entry = data[at : at + 46]
        cuts = (0, 8, 10, 14, 22, 26, 34, 38, 46)
        pieces += [entry[start:end] for start, end in pairwise(cuts)]
        kinds += "qhiqiqiq"
    return Sample(pieces, kinds)


def repaired_snapshot(data: bytes, chance: Random) -> bytes:
    if len(data) < HEAD.size:
        return data
    return data[:2] + pack(">I", crc32c(data[HEAD.size :])) + data[HEAD.size :]


def check_snapshot(data: bytes) -> None:
    entries = decode_snapshot(data)
    again = decode_snapshot(encode_snapshot(entries))
    require(again == list(map(as_kept, entries)), f"{entries} decode to {again}")
    disk = SimulatedDisk()
    disk.make_directory("d")
    disk.open("d/00000000000000000009.snapshot", create=True).append(data)
    state = ProducerState(producer_id_expiration_ms=1 << 40)
    offset = load_newest_snapshot(disk, "d", state, first_offset=0, log_end_offset=20, now_ms=NOW)
    require(offset == 9, "a snapshot that decodes was not loaded")
    state.last_stable_offset(20)
    state.remove_expired(NOW)


def as_kept(entry: ProducerEntry) -> ProducerEntry:
    """In the format, as in Kafka's, the last batch and its producer have one timestamp: it may be
    that of a marker behind the batch."""
    if not entry.batches:
        return entry
    last = entry.batches[-1]._replace(timestamp_ms=entry.last_timestamp_ms)
    return replace(entry, batches=(*entry.batches[:-1], last))


def damaged_sample(chance: Random) -> Sample:
    named = [(chance.randbytes(16), chance.randrange(50)) for _ in range(chance.randrange(4))]
    return lines(encode_damaged(named))


def repaired_damaged(data: bytes, chance: Random) -> bytes:
    """With the checksum of whatever stands above it."""
    content = data[: data.rstrip(b"\n").rfind(b"\n") + 1]
    return content + f"crc32: {zlib.crc32(content):08x}\n".encode()


def flushed_ends_sample(chance: Random) -> Sample:
    entries = [
        encode_entry(key_of(chance.randbytes(16), chance.randrange(3)), chance.getrandbits(40))
        for _ in range(chance.randrange(5))
    ]
    return Sample([b"", *entries], "d" * (1 + len(entries)))


def check_flushed_ends(data: bytes) -> None:
    ends = decode_entries(data)
    require(len(ends) <= len(data) // ENTRY_BYTES, f"{len(ends)} of {len(data)} bytes")
    again = decode_entries(b"".join(encode_entry(key, end) for key, end in ends.items()))
    require(again == ends, f"{ends} decode to {again}")


def check_directory_name(data: bytes) -> None:
    name = data.decode()
    directory_names.is_deleted(name)
    found = directory_names.parse(name)
    if found is not None:
        require(directory_names.of_partition(*found) == name, f"{name} is read as {found}")


# Indexes.


def index_targets() -> Iterator[Target]:
    yield Target(
        "offset_index",
        partial(entries_sample, "ii"),
        check_offset_index,
        (),
        covers=("log.offset_index.OffsetIndex",),
        weight=4,
    )
    yield Target(
        "time_index",
        partial(entries_sample, "qi"),
        check_time_index,
        (),
        covers=("log.time_index.TimeIndex",),
        weight=4,
    )
    yield Target(
        "transaction_index",
        partial(entries_sample, "hqqqq"),
        check_transaction_index,
        (),
        covers=("log.transaction_index.TransactionIndex",),
        weight=4,
    )


def entries_sample(layout: str, chance: Random) -> Sample:
    """Entries of which every number ascends."""
    pieces: list[bytes] = []
    number = 0
    count = chance.randrange(6)
    for _ in range(count):
        number += chance.choice((1, 7, 4096))
        pieces += [pack(f">{letter}", number % 30000) for letter in layout]
    return Sample([b"", *pieces], "d" + layout * count)


def disk_with(data: bytes) -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.open("index", create=True).append(data)
    return disk


def check_offset_index(data: bytes) -> None:
    index = OffsetIndex(disk_with(data), "index", base_offset=100, exists=True)
    index.last_entry()
    entries = index.entries()
    sane = index.is_sane(1 << 20)
    for offset in (0, 100, 101, 1000, 1 << 40):
        position = index.lookup(offset)
        if sane:
            expected = max((at for last, at in entries if last <= offset), default=0)
            require(position == expected, f"offset {offset}: {position}, not {expected}")
    index.truncate(4096)
    require(not sane or all(at < 4096 for _, at in index.entries()), "it was not truncated")
    index.clear()
    require(index.entries() == [], "it was not cleared")


def check_time_index(data: bytes) -> None:
    index = TimeIndex(disk_with(data), "index", base_offset=100, exists=True)
    index.last_entry()
    entries = index.entries()
    sane = index.is_sane()
    for timestamp in (-1, 0, 5, 4096, 1 << 60):
        offset = index.lookup(timestamp)
        if sane:
            expected = max((last for time, last in entries if time < timestamp), default=100)
            require(offset == expected, f"time {timestamp}: {offset}, not {expected}")
    index.truncate(200)
    require(not sane or all(last < 200 for _, last in index.entries()), "it was not truncated")
    index.append(1 << 61, 150)
    index.last_entry()


def check_transaction_index(data: bytes) -> None:
    index = TransactionIndex(disk_with(data), "index", exists=True)
    before = list(index.collect(0, 1 << 62))
    index.is_complete_below(50)
    index.truncate(200)
    left = list(index.collect(0, 1 << 62))
    require(left == [each for each in before if each.last_offset < 200], "badly truncated")
    index.clear()
