"""Indexes, snapshots and checkpoints as lines, and what is wrong with a damaged one."""

import struct
from pathlib import Path

import pytest

from kbroker.cli.dump_files import Damage, is_known, map_file, plain_name, read_small_file
from log.checkpoints import (
    MetaProperties,
    encode_clean_shutdown,
    encode_epochs,
    encode_meta_properties,
    encode_offsets,
    encode_partition_metadata,
)
from log.producer_snapshot import encode_snapshot
from log.producer_state import BatchMetadata, ProducerEntry
from wire.records.batch import build_batch
from wire.records.record import Record

TIME = 1_700_000_000_000
BASE = "00000000000000000100"
ENTRY = ProducerEntry(7, 1, (BatchMetadata(5, 90, 2, TIME),), 0, TIME, 88)


def offset_index(*entries: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(">II", *entry) for entry in entries)


def time_index(*entries: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(">qI", *entry) for entry in entries)


def read(path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    return [item.text for item in read_small_file(str(path), map_file(str(path)))]


@pytest.mark.parametrize(
    ("name", "data", "lines"),
    [
        (
            f"{BASE}.index",
            offset_index((3, 80), (9, 200)),
            ["offset 103 at 80", "offset 109 at 200"],
        ),
        (f"{BASE}.index", offset_index((3, 80)) + bytes(64), ["offset 103 at 80"]),
        (f"{BASE}.index", b"", []),
        (
            f"{BASE}.timeindex",
            time_index((TIME, 3)) + bytes(24),
            [f"timestamp {TIME} (2023-11-14T22:13:20.000Z) offset 103"],
        ),
        (
            f"{BASE}.txnindex",
            struct.pack(">hqqqq", 0, 7, 100, 104, 105),
            ["producer 7 took back offsets 100 to 104, last stable offset 105"],
        ),
        (
            f"{BASE}.snapshot",
            encode_snapshot([ENTRY]),
            [
                "producer 7 epoch 1: last sequence 5, last offset 90, 2023-11-14T22:13:20.000Z,"
                " transaction open since offset 88"
            ],
        ),
        (f"{BASE}.index.deleted", offset_index((3, 80)), ["offset 103 at 80"]),
        ("recovery-point-offset-checkpoint", encode_offsets({("t", 2): 17}), ["t:2 17"]),
        ("leader-epoch-checkpoint", encode_epochs([(4, 17)]), ["leader epoch 4 from offset 17"]),
        (
            "partition.metadata",
            encode_partition_metadata(bytes(16)),
            ["topic id AAAAAAAAAAAAAAAAAAAAAA"],
        ),
        (
            "meta.properties",
            encode_meta_properties(MetaProperties("c", 1, bytes(16))),
            ["cluster c, node 1, directory AAAAAAAAAAAAAAAAAAAAAA"],
        ),
        (".kafka_cleanshutdown", encode_clean_shutdown(3), ["stopped cleanly, broker epoch 3"]),
    ],
)
def test_what_stands_in_a_file(tmp_path: Path, name: str, data: bytes, lines: list[str]):
    assert is_known(name)
    assert read(tmp_path / name, data) == lines


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (f"{BASE}.index", offset_index((3, 80))[:-1], "at byte 0: the last entry is cut"),
        (f"{BASE}.index", offset_index((3, 80), (3, 90)), "at byte 8: offset 103 at 90 does not"),
        (f"{BASE}.index", offset_index((3, 80), (4, 80)), "at byte 8: offset 104 at 80 does not"),
        ("x.index", b"", "the name does not begin with the segment's base offset"),
        (f"{BASE}.timeindex", time_index((TIME, 3), (TIME, 4)), "at byte 12: timestamp"),
        (f"{BASE}.txnindex", bytes(35), "at byte 34: the last entry is cut"),
        (f"{BASE}.txnindex", struct.pack(">hqqqq", 9, 1, 1, 1, 1), "version 9 is unknown"),
        (f"{BASE}.snapshot", encode_snapshot([ENTRY])[:-1], "at byte 0: the checksum does not"),
        (f"{BASE}.snapshot", b"", "at byte 0: cut in its head"),
        ("leader-epoch-checkpoint", b"0\n2\n0 0\n", "1 entries, where 2 are announced"),
        ("meta.properties", b"version=7\n", "version '7' is unknown"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, data: bytes, words: str):
    with pytest.raises(Damage) as caught:
        read(tmp_path / name, data)
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_an_index_must_point_to_batches_of_the_segment_beside_it(tmp_path: Path):
    record = Record(0, TIME, None, b"v")
    batches = build_batch([record], base_offset=100) + build_batch([record], base_offset=101)
    position = len(batches) // 2
    (tmp_path / f"{BASE}.log").write_bytes(batches)
    assert read(tmp_path / f"{BASE}.index", offset_index((1, position)))
    for bad in ((1, position + 1), (1, len(batches)), (0, position)):
        with pytest.raises(Damage, match="no batch for offset"):
            read(tmp_path / f"{BASE}.index", offset_index(bad))


def test_names():
    assert plain_name(f"{BASE}.log.deleted") == f"{BASE}.log"
    assert not is_known("metadata.sqlite")
    assert not is_known(f"{BASE}.log")
