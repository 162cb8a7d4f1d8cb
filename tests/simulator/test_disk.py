"""What the simulated disk loses, keeps and refuses. Parity with the real one: test_file_system."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

import pytest

from log.file_system import DiskSpace, TornAppendError, write_atomically
from simulator.disk import SimulatedDisk

SEEDS = range(200)


def _outcomes(disk_of: Callable[[], SimulatedDisk], path: str) -> set[bytes | None]:
    """What a power loss makes of the file, over many seeds; None: gone."""
    found: set[bytes | None] = set()
    for seed in SEEDS:
        disk = disk_of()
        survivor = disk.crash(random.Random(seed))
        found.add(survivor.read_file(path) if survivor.exists(path) else None)
    return found


def _synced() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("d")
    file = disk.open("d/a", create=True)
    file.append(b"durable")
    file.flush()
    disk.sync_directory("d")
    return disk


def test_what_was_flushed_survives_every_crash() -> None:
    assert _outcomes(_synced, "d/a") == {b"durable"}


def test_a_name_needs_the_sync_of_its_directory() -> None:
    def disk() -> SimulatedDisk:
        disk = SimulatedDisk()
        disk.make_directory("d")
        file = disk.open("d/a", create=True)
        file.append(b"x")
        file.flush()
        return disk

    assert _outcomes(disk, "d/a") == {None, b"x"}


def test_unflushed_bytes_are_lost_torn_or_there() -> None:
    def disk() -> SimulatedDisk:
        disk = _synced()
        disk.open("d/a").append(b"-1234")
        return disk

    found = _outcomes(disk, "d/a")
    assert {b"durable", b"durable-1234", b"durable-1"} <= found
    assert b"durable\0\0\0\0\0" in found, "the size was ahead of the data"


def test_unflushed_writes_are_reordered_by_sector() -> None:
    def disk() -> SimulatedDisk:
        disk = SimulatedDisk()
        disk.make_directory("d")
        file = disk.open("d/a", create=True)
        disk.sync_directory("d")
        for letter in (b"a", b"b", b"c"):
            file.append(letter * 512)
        return disk

    found = _outcomes(disk, "d/a")
    assert bytes(1024) + b"c" * 512 in found
    assert b"a" * 512 + bytes(512) + b"c" * 512 in found


def test_a_truncation_is_volatile_until_it_is_flushed() -> None:
    def disk() -> SimulatedDisk:
        disk = _synced()
        disk.open("d/a").truncate(3)
        return disk

    assert _outcomes(disk, "d/a") == {b"durable", b"dur"}


def test_an_atomic_write_is_old_or_new_at_every_crash_point() -> None:
    def attempt(power_off_after: int | None) -> SimulatedDisk:
        disk = _synced()
        disk.power_off_after = power_off_after
        write_atomically(disk, "d/a", b"replaced")
        return disk

    start, end = _synced().operation_count, attempt(None).operation_count
    for point in range(start, end):
        for seed in range(20):
            disk = _synced()
            disk.power_off_after = point
            with pytest.raises(OSError, match="No such device"):
                write_atomically(disk, "d/a", b"replaced")
            survivor = disk.crash(random.Random(seed))
            assert survivor.read_file("d/a") in (b"durable", b"replaced")
    assert _outcomes(lambda: attempt(None), "d/a") == {b"replaced"}


def test_a_rename_is_atomic_and_volatile_until_the_directory_is_synced() -> None:
    for seed in SEEDS:
        disk = _synced()
        disk.rename("d/a", "d/b")
        survivor = disk.crash(random.Random(seed))
        assert survivor.list_directory("d") in (["a"], ["b"])


def test_a_killed_process_leaves_the_page_cache() -> None:
    disk = _synced()
    file = disk.open("d/a")
    file.append(b"+more")
    survivor = disk.kill()
    assert survivor.read_file("d/a") == b"durable+more"
    lost = {survivor.kill().crash(random.Random(seed)).read_file("d/a") for seed in range(20)}
    assert b"durable" in lost


def test_the_old_life_can_do_nothing_any_more() -> None:
    disk = _synced()
    file = disk.open("d/a")
    lock = disk.lock("d/.lock")
    survivor = disk.crash(random.Random(0))
    for attempt in (
        lambda: file.append(b"x"),
        file.flush,
        lambda: file.read_at(0, 1),
        lambda: disk.open("d/a"),
        lambda: disk.remove("d/a"),
    ):
        with pytest.raises(OSError, match="No such device"):
            attempt()
    lock.close()
    assert survivor.read_file("d/a") == b"durable"
    survivor.lock("d/.lock").close()


def test_equal_seeds_give_equal_disks() -> None:
    def survivor(seed: int) -> list[tuple[str, bytes]]:
        disk = _synced()
        for name in ("x", "y", "z"):
            disk.open(f"d/{name}", create=True).append(name.encode() * 2000)
        after = disk.crash(random.Random(seed))
        return [(name, after.read_file(f"d/{name}")) for name in after.list_directory("d")]

    assert all(survivor(seed) == survivor(seed) for seed in range(30))
    assert len({str(survivor(seed)) for seed in range(30)}) > 10


def test_faults_strike_as_often_as_told() -> None:
    disk = _synced()
    file = disk.open("d/a")
    disk.fail("append", "d/*", error_number=errno.ENOSPC, skip=1, count=2)
    file.append(b"1")
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            file.append(b"2")
    file.append(b"3")
    assert disk.read_file("d/a") == b"durable13"
    disk.fail("read", "d/a")
    with pytest.raises(OSError, match="Input/output error"):
        file.read_at(0, 1)
    disk.heal()
    assert file.read_at(0, 1) == b"d"


def test_a_torn_append_leaves_bytes_behind_the_end() -> None:
    disk = _synced()
    file = disk.open("d/a")
    disk.fail("append", torn=True, count=1)
    with pytest.raises(TornAppendError):
        file.append(b"1234")
    assert file.size == 7
    assert disk.read_file("d/a") == b"durable12"


def test_a_failed_flush_forgets_what_it_was_to_write() -> None:
    """As Linux does: the next fsync succeeds, and the bytes are not on the disk."""
    disk = _synced()
    file = disk.open("d/a")
    file.append(b"lost")
    disk.fail("flush", count=1)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            file.flush()
    again = disk.open("d/a")
    again.append(b"kept")
    again.flush()
    assert disk.read_file("d/a") == b"durablelostkept"
    assert disk.durable_content("d/a") == b"durable\0\0\0\0kept"


def test_a_full_disk_takes_nothing_more() -> None:
    disk = _synced()
    disk.capacity_bytes = disk.used_bytes + 5
    file = disk.open("d/a")
    file.append(b"12345")
    with pytest.raises(OSError, match="No space left"):
        file.append(b"6")
    file.truncate(0)
    file.append(b"6")


def test_cold_files_are_not_in_the_page_cache() -> None:
    disk = _synced()
    file = disk.open("d/a")
    assert file.read_at_nowait(0, 3) == b"dur"
    disk.cold_patterns.append("d/*")
    assert file.read_at_nowait(0, 3) is None
    assert file.read_at(0, 3) == b"dur"


def test_a_removed_file_stays_readable_for_its_holder() -> None:
    disk = _synced()
    file = disk.open("d/a")
    disk.remove("d/a")
    assert file.read_at(0, 7) == b"durable"
    assert not disk.exists("d/a")


def test_space_is_what_the_capacity_leaves() -> None:
    disk = SimulatedDisk(capacity_bytes=100)
    disk.make_directory("d")
    disk.open("d/a", create=True).append(bytes(30))
    assert disk.space("d") == DiskSpace(100, 70)
    assert SimulatedDisk().space("").usable_bytes > 1 << 30


def test_what_is_done_undisturbed_meets_no_fault_and_is_not_told() -> None:
    disk = SimulatedDisk()
    seen: list[str] = []
    disk.observe = lambda operation, path, size: seen.append(operation)
    disk.fail("open")
    disk.power_off_after = 0
    with disk.undisturbed():
        disk.open("f", create=True).append(b"1")
    assert not seen
    with pytest.raises(OSError, match="Input/output error"):
        disk.open("f")
    assert disk.power_off_after == 0
