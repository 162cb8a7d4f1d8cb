"""What the faults make of bytes."""

from __future__ import annotations

import errno

import pytest

from simulator.disk import SimulatedDisk
from simulator.disk_faults.faults import FAULTS
from simulator.disk_faults.tampering import content_of, is_there, replace_content, write_back
from wire.records.batch import build_batch, crc_is_valid, read_header
from wire.records.record import Record

BY_NAME = {fault.name: fault for fault in FAULTS}
PATH = "/data/file"


def _disk(content: bytes) -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("/data")
    replace_content(disk, PATH, content)
    return disk


def test_bytes_change_for_whoever_has_the_file_open_and_on_the_platter() -> None:
    for name, expected in (
        ("zeroes", b"\0\0\0\0"),
        ("first-bit", b"`bcd"),
        ("last-bit", b"abce"),
        ("half", b"ab"),
        ("tail", b"abc"),
        ("empty", b""),
    ):
        disk = _disk(b"abcd")
        file = disk.open(PATH)
        BY_NAME[name].apply(disk, PATH, (PATH,))
        assert file.read_at(0, 99) == content_of(disk, PATH) == disk.durable_content(PATH)
        assert content_of(disk, PATH) == expected


def test_a_missing_file_stays_open_where_it_is() -> None:
    disk = _disk(b"abcd")
    file = disk.open(PATH)
    BY_NAME["missing"].apply(disk, PATH, (PATH,))
    assert not is_there(disk, PATH)
    assert file.read_at(0, 4) == b"abcd"


def test_a_bit_of_the_batch_in_the_middle() -> None:
    batches = [bytes(build_batch([Record(0, 0, None, b"%d" % each, ())])) for each in range(3)]
    size = len(batches[0])
    for name, sound in (("payload-bit", False), ("offset-bit", True), ("epoch-bit", True)):
        change = BY_NAME[name].change
        assert change is not None
        changed = change(b"".join(batches))
        assert changed is not None
        assert changed[:size] == batches[0]
        assert changed[2 * size :] == batches[2]
        assert changed != b"".join(batches)
        assert crc_is_valid(changed, size, read_header(changed, size)) is sound


def test_operations_fail_on_what_matches_until_the_disk_is_healed() -> None:
    disk = _disk(b"abcd")
    BY_NAME["full"].apply(disk, PATH, (PATH,))
    file = disk.open(PATH)
    with pytest.raises(OSError) as refused:
        file.append(b"e")
    assert refused.value.errno == errno.ENOSPC
    disk.heal()
    file.append(b"e")
    assert disk.durable_content(PATH) == b"abcd"
    write_back(disk, "/data")
    assert disk.durable_content(PATH) == b"abcde"
