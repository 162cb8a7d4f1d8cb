"""Every outcome of a power loss has a number, and the number makes it again."""

from __future__ import annotations

import random

from simulator.disk import SimulatedDisk
from simulator.disk_image import DiskImage, take


def _disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("d")
    file = disk.open("d/f", create=True)
    file.append(b"durable ")
    file.flush()
    disk.sync_directory("d")
    return disk


def _contents(image: DiskImage, path: str) -> set[bytes | None]:
    trees = [image.tree(bits) for bits in range(1 << image.bit_count)]
    return {tree[path][1] if path in tree else None for tree in trees}


def test_what_is_durable_has_one_outcome() -> None:
    image = take(_disk())
    assert image.bit_count == 0
    assert list(image.outcomes(10, random.Random(0))) == [0]
    assert image.disk(0).read_file("d/f") == b"durable "


def test_an_unflushed_write_is_lost_there_torn_or_zeros() -> None:
    disk = _disk()
    disk.open("d/f").append(b"then")
    image = take(disk)
    lost, zeros = b"durable ", b"durable \0\0\0\0"
    torn = {b"durable th", b"durable th\0\0"}
    assert _contents(image, "d/f") == {lost, zeros, b"durable then"} | torn
    assert disk.read_file("d/f") == b"durable then", "taking it changes nothing"


def test_writes_of_several_sectors_come_through_in_any_order() -> None:
    disk = _disk()
    file = disk.open("d/f")
    file.append(b"a" * 504)
    file.append(b"b" * 512)
    found = _contents(take(disk), "d/f")
    assert b"durable " + bytes(504) + b"b" * 512 in found
    assert b"durable " + b"a" * 504 in found


def test_a_truncation_is_there_or_not() -> None:
    disk = _disk()
    disk.open("d/f").truncate(3)
    assert _contents(take(disk), "d/f") == {b"durable ", b"dur"}


def test_names_come_and_go_without_their_directory_being_synced() -> None:
    disk = _disk()
    disk.rename("d/f", "d/g")
    disk.open("d/h", create=True)
    trees = [sorted(take(disk).tree(bits)) for bits in range(4)]
    assert trees == [
        ["d", "d/f"],
        ["d", "d/g"],
        ["d", "d/f", "d/h"],
        ["d", "d/g", "d/h"],
    ]


def test_what_a_failed_flush_was_to_write_may_be_lost_for_ever() -> None:
    disk = _disk()
    file = disk.open("d/f")
    file.append(b"lost?")
    disk.fail("flush", "*", count=1)
    try:
        file.flush()
    except OSError:
        found = _contents(take(disk), "d/f")
    assert {b"durable ", b"durable lost?"} <= found


def test_drawn_outcomes_are_equal_for_equal_chance_and_can_be_made_again() -> None:
    disk = _disk()
    for number in range(12):
        file = disk.open(f"d/{number % 3}", create=True)
        file.append(b"%d" % number * 300)
    image = take(disk)
    drawn = list(image.outcomes(40, random.Random(5)))
    assert drawn == list(image.outcomes(40, random.Random(5)))
    assert len(drawn) == 40
    assert len({tuple(image.tree(bits).items()) for bits in drawn}) > 20
    for bits in drawn:
        life = image.disk(bits)
        for path, (_, content) in image.tree(bits).items():
            if content != b"/":
                assert life.read_file(path) == content == life.durable_content(path)
