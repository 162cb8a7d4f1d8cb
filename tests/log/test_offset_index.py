"""The offset index: Kafka's bytes, and lookups against a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from log.index_file import WRITE_BYTES
from log.offset_index import OffsetIndex
from simulator.disk import SimulatedDisk

BASE = 1000
PATH = "00000000000000001000.index"

increasing_pairs = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5000)), max_size=40).map(
    lambda steps: [
        (BASE + sum(a for a, _ in steps[: n + 1]), sum(b for _, b in steps[: n + 1]))
        for n in range(len(steps))
    ]
)


def _filled(disk: SimulatedDisk, entries: list[tuple[int, int]]) -> OffsetIndex:
    index = OffsetIndex(disk, PATH, base_offset=BASE)
    for offset, position in entries:
        index.append(offset, position)
    return index


def test_an_entry_is_four_bytes_relative_offset_and_four_bytes_position() -> None:
    disk = SimulatedDisk()
    index = _filled(disk, [(1005, 0x0102), (1300, 0x01020304)])
    index.file.write()
    assert disk.read_file(PATH) == bytes.fromhex("00000005 00000102 0000012c 01020304")


@given(entries=increasing_pairs, written=st.booleans(), data=st.data())
def test_a_lookup_gives_the_last_entry_at_or_before(
    entries: list[tuple[int, int]], written: bool, data: st.DataObject
) -> None:
    disk = SimulatedDisk()
    index = _filled(disk, entries)
    if written:
        index.file.write()
        index.file.close()
        index = OffsetIndex(disk, PATH, base_offset=BASE, exists=True)
    offset = data.draw(st.integers(BASE, BASE + 2500))
    expected = max((position for at, position in entries if at <= offset), default=0)
    assert index.lookup(offset) == expected
    assert index.last_entry() == (entries[-1] if entries else (BASE, 0))
    assert index.entries() == entries
    assert index.is_sane(1 << 30)


@given(entries=increasing_pairs, cut=st.integers(0, 200_000), written=st.booleans())
def test_truncation_drops_the_entries_at_or_behind_a_position(
    entries: list[tuple[int, int]], cut: int, written: bool
) -> None:
    disk = SimulatedDisk()
    index = _filled(disk, entries)
    if written:
        index.file.write()
    index.truncate(cut)
    kept = [entry for entry in entries if entry[1] < cut]
    assert index.entries() == kept
    index.file.write()
    again = OffsetIndex(disk, PATH, base_offset=BASE, exists=True)
    assert again.entries() == kept


def test_zeros_disorder_and_positions_past_the_log_are_not_sane() -> None:
    good = [(1001, 10), (1002, 20)]
    assert _filled(SimulatedDisk(), good).is_sane(21)
    assert not _filled(SimulatedDisk(), good).is_sane(20)
    assert not _filled(SimulatedDisk(), [*good, (1002, 30)]).is_sane(99)
    assert not _filled(SimulatedDisk(), [*good, (1003, 20)]).is_sane(99)
    assert not _filled(SimulatedDisk(), [(1000, 0), (1000, 0)]).is_sane(99)


def test_a_piece_of_an_entry_is_not_sane() -> None:
    disk = SimulatedDisk()
    index = _filled(disk, [])
    file = disk.open(PATH, create=True)
    file.append(b"\0\0\0")
    file.close()
    index = OffsetIndex(disk, PATH, base_offset=BASE, exists=True)
    assert index.entry_count == 0
    assert not index.is_sane(99), "what is appended behind it would be read askew"


def test_entries_wait_in_memory_until_there_are_many() -> None:
    disk = SimulatedDisk()
    index = _filled(disk, [(BASE + n, n) for n in range(1, 11)])
    index.file.write_when_due()
    assert not disk.exists(PATH)
    for number in range(11, WRITE_BYTES):
        index.append(BASE + number, number)
    index.file.write_when_due()
    assert disk.status(PATH).size == (WRITE_BYTES - 1) * 8
