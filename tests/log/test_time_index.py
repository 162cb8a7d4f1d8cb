"""The time index: Kafka's bytes, a running maximum, and lookups against a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from log.time_index import NO_TIMESTAMP, TimeIndex
from simulator.disk import SimulatedDisk

BASE = 500
PATH = "00000000000000000500.timeindex"


def _filled(disk: SimulatedDisk, stamps: list[int]) -> TimeIndex:
    index = TimeIndex(disk, PATH, base_offset=BASE)
    for number, stamp in enumerate(stamps):
        index.append(stamp, BASE + number)
    return index


def test_an_entry_is_eight_bytes_timestamp_and_four_bytes_relative_offset() -> None:
    disk = SimulatedDisk()
    index = _filled(disk, [0x0102030405, 7, 0x0102030406])
    index.file.write()
    assert disk.read_file(PATH) == bytes.fromhex(
        "0000000102030405 00000000 0000000102030406 00000002"
    )


@given(
    stamps=st.lists(st.integers(0, 60), max_size=40),
    wanted=st.integers(0, 70),
    written=st.booleans(),
)
def test_a_lookup_never_passes_the_first_record_that_is_late_enough(
    stamps: list[int], wanted: int, written: bool
) -> None:
    disk = SimulatedDisk()
    index = _filled(disk, stamps)
    if written:
        index.file.write()
        index.file.close()
        index = TimeIndex(disk, PATH, base_offset=BASE, exists=True)
    first = next((at for at, stamp in enumerate(stamps) if stamp >= wanted), len(stamps))
    start = index.lookup(wanted)
    assert BASE <= start <= BASE + first
    entries = index.entries()
    assert index.is_sane()
    assert [stamp for stamp, _ in entries] == sorted({stamp for stamp, _ in entries})
    assert index.last_entry()[0] == max(stamps, default=NO_TIMESTAMP)


@given(stamps=st.lists(st.integers(0, 60), max_size=40), cut=st.integers(BASE, BASE + 45))
def test_truncation_drops_the_entries_at_or_past_an_offset(stamps: list[int], cut: int) -> None:
    disk = SimulatedDisk()
    index = _filled(disk, stamps)
    kept = [entry for entry in index.entries() if entry[1] < cut]
    index.truncate(cut)
    assert index.entries() == kept
    assert index.last_entry() == (kept[-1] if kept else (NO_TIMESTAMP, BASE))
    index.clear()
    assert index.entries() == []
