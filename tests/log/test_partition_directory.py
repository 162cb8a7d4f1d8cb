"""Whose directory it is, and that none is left half made."""

from __future__ import annotations

import errno

import pytest

from log.partition_directory import find_stray, holds_records, make_directories
from simulator.disk import SimulatedDisk

ID, OTHER_ID = b"1" * 16, b"2" * 16
PATHS = ["data/t-0", "data/t-1"]


def _made() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("data")
    make_directories(disk, "data", dict.fromkeys(PATHS, ID))
    return disk


def _reason(disk: SimulatedDisk, topic_id: bytes | None) -> str | None:
    stray = find_stray(disk, PATHS[0], ("t", 0), topic_id)
    return None if stray is None else stray.reason


def test_a_directory_belongs_to_the_topic_whose_id_it_bears() -> None:
    disk = _made()
    assert _reason(disk, ID) is None
    assert _reason(disk, OTHER_ID) == "it belongs to an earlier t"
    assert _reason(disk, None) == "there is no topic t"


def test_a_directory_without_an_id_is_adopted_while_it_is_empty() -> None:
    disk = _made()
    disk.remove("data/t-0/partition.metadata")
    assert _reason(disk, ID) is None
    assert _reason(disk, OTHER_ID) == "it belongs to an earlier t"
    disk.remove("data/t-0/partition.metadata")
    disk.open("data/t-0/00000000000000000000.log", create=True).append(b"x")
    assert holds_records(disk, PATHS[0])
    assert _reason(disk, ID) == "partition.metadata is missing"


@pytest.mark.parametrize("operation", ["make_directory", "append", "flush", "rename"])
def test_what_cannot_be_made_wholly_is_not_made(operation: str) -> None:
    disk = SimulatedDisk()
    disk.make_directory("data")
    disk.fail(operation, "data/t-1*", error_number=errno.ENOSPC)
    with pytest.raises(OSError, match="space"):
        make_directories(disk, "data", dict.fromkeys(PATHS, ID))
    assert disk.list_directory("data") == []


def test_what_cannot_be_removed_either_is_taken_up_by_the_next_attempt() -> None:
    disk = SimulatedDisk()
    disk.make_directory("data")
    disk.fail("flush", "*", error_number=errno.ENOSPC)
    disk.fail("remove", "*")
    with pytest.raises(OSError, match="space"):
        make_directories(disk, "data", dict.fromkeys(PATHS, ID))
    disk.heal()
    make_directories(disk, "data", dict.fromkeys(PATHS, ID))
    assert _reason(disk, ID) is None
