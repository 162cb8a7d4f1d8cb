"""The file that names partitions whose damage nobody else knows of yet."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.checkpoint_writer import CheckpointWriter
from log.checkpoints import CheckpointError
from log.damaged_partitions import (
    DAMAGED_PARTITIONS,
    DamagedPartitions,
    decode_damaged,
    encode_damaged,
)
from simulator.disk import SimulatedDisk

ID, OTHER = b"1" * 16, b"2" * 16
PATH = f"data/{DAMAGED_PARTITIONS}"

partitions = st.frozensets(
    st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**31 - 1)), max_size=5
)


def _new() -> tuple[SimulatedDisk, DamagedPartitions]:
    disk = SimulatedDisk()
    disk.make_directory("data")
    return disk, _read(disk)


def _read(disk: SimulatedDisk) -> DamagedPartitions:
    damaged = DamagedPartitions(CheckpointWriter(disk, "data"))
    damaged.read()
    return damaged


@given(partitions)
def test_what_is_written_is_read(named: frozenset[tuple[bytes, int]]) -> None:
    assert decode_damaged(encode_damaged(named), "file") == named


@given(partitions, st.data())
def test_a_file_that_was_changed_or_cut_is_never_taken_at_its_word(
    named: frozenset[tuple[bytes, int]], data: st.DataObject
) -> None:
    whole = encode_damaged(named)
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    for changed in (bytes(flipped), whole[:position]):
        with pytest.raises(CheckpointError):
            decode_damaged(changed, "file")


def test_another_version_is_not_guessed_at() -> None:
    whole = encode_damaged([(ID, 0)]).replace(b"version: 0", b"version: 1")
    with pytest.raises(CheckpointError):
        decode_damaged(whole, "file")


def test_what_was_noted_outlives_any_crash_until_it_is_told() -> None:
    disk, damaged = _new()
    assert (ID, 0) not in damaged
    damaged.note([(ID, 0)])
    damaged.note([(ID, 3), (OTHER, 1)])
    for seed in range(5):
        disk = disk.crash(random.Random(seed))
        again = _read(disk)
        assert {(ID, 0), (ID, 3), (OTHER, 1)} == {
            (topic, number)
            for topic in (ID, OTHER)
            for number in range(5)
            if (topic, number) in again
        }
    again.told()
    assert (ID, 0) not in again
    assert (ID, 0) not in _read(disk.crash(random.Random(9)))


def test_one_that_cannot_be_read_may_name_any_until_it_is_told() -> None:
    disk, damaged = _new()
    damaged.note([(ID, 0)])
    disk.corrupt(PATH, 12, b"?")
    again = _read(disk)
    assert (OTHER, 7) in again
    again.note([(OTHER, 1)])  # it says as much already
    assert (OTHER, 7) in _read(disk)
    again.told()
    assert (OTHER, 7) not in _read(disk)


def test_a_disk_that_refuses_to_read_it_may_name_any() -> None:
    disk, damaged = _new()
    damaged.note([(ID, 0)])
    disk.fail("read", "*damaged*")
    assert (OTHER, 7) in _read(disk)


def test_nothing_counts_as_noted_that_is_not_written() -> None:
    disk, damaged = _new()
    disk.fail("append", "*damaged*")
    with pytest.raises(OSError, match="Input/output"):
        damaged.note([(ID, 0)])
    disk.heal()
    assert (ID, 0) not in damaged
    damaged.note([(ID, 0)])
    assert (ID, 0) in _read(disk)


def test_one_that_cannot_be_removed_is_there_for_the_next_start() -> None:
    disk, damaged = _new()
    damaged.note([(ID, 0)])
    disk.fail("remove", "*damaged*")
    damaged.told()
    assert (ID, 0) in damaged
    assert (ID, 0) in _read(disk)


def test_nothing_is_touched_where_there_was_nothing_to_tell() -> None:
    disk, damaged = _new()
    before = disk.operation_count
    damaged.note([])
    damaged.told()
    assert disk.operation_count == before


@pytest.mark.parametrize(
    "line", [b"AAAAAAAAAAAAAAAAAAAAAA one", b"AAAAAAAAAAAAAAAAAAAAAA", b"\xff"]
)
def test_what_no_start_has_written_is_refused_whatever_its_checksum(line: bytes) -> None:
    content = b"version: 0\n" + line + b"\n"
    with pytest.raises(CheckpointError):
        decode_damaged(content + f"crc32: {zlib.crc32(content):08x}\n".encode(), "f")
