"""Walking over a `.log` file stops where the batches do, and finds what lies behind a bad one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from log import scan
from log.file_system import File
from simulator.disk import SimulatedDisk
from tests.log.log_harness import batch
from wire.records.batch import stamp

sizes = st.lists(st.sampled_from([0, 1, 50, 3000, 5000, 20_000]), max_size=12)


def _file(value_sizes: list[int]) -> tuple[File, list[bytes]]:
    file = SimulatedDisk().open("a.log", create=True)
    batches = []
    for number, size in enumerate(value_sizes):
        data = batch(b"v" * size, b"w")
        stamp(data, 0, base_offset=number * 2, leader_epoch=0)
        batches.append(bytes(data))
        file.append(data)
    return file, batches


@given(value_sizes=sizes, cut=st.integers(0, 200))
def test_places_and_whole_batches_are_those_that_were_written(
    value_sizes: list[int], cut: int
) -> None:
    file, batches = _file(value_sizes)
    end = max(0, file.size - cut)
    whole = []
    position = 0
    for data in batches:
        if position + len(data) <= end:
            whole.append((position, data))
        position += len(data)
    places = list(scan.iterate_places(file, 0, end))
    assert [(place.position, place.size) for place in places] == [
        (at, len(data)) for at, data in whole
    ]
    assert [(each.position, bytes(each.data)) for each in scan.iterate_whole(file, 0, end)] == whole
    for offset in range(len(batches) * 2 + 1):
        expected = next((place for place in places if place.last_offset >= offset), None)
        assert scan.first_place_ending_at(file, 0, end, offset) == expected


def test_batches_larger_than_a_chunk_are_read_whole() -> None:
    file, batches = _file([10, scan.WHOLE_CHUNK_BYTES + 5, 10])
    assert [bytes(each.data) for each in scan.iterate_whole(file, 0, file.size)] == batches


@given(value_sizes=sizes.filter(lambda each: len(each) > 2), data=st.data())
def test_a_sound_batch_is_found_behind_a_bad_one(
    value_sizes: list[int], data: st.DataObject
) -> None:
    disk = SimulatedDisk()
    file = disk.open("a.log", create=True)
    _, batches = _file(value_sizes)
    bad = data.draw(st.integers(0, len(batches) - 2))
    at = data.draw(st.sampled_from([8, 16, 17, 30]))
    for each in batches:
        file.append(each)
    position = sum(map(len, batches[:bad]))
    disk.corrupt("a.log", position + at, b"\xa5\xa5")
    sound = [each.position for each in scan.iterate_whole(file, 0, file.size)]
    assert sound == [sum(map(len, batches[:number])) for number in range(bad)]
    found = scan.find_sound_batch(file, position, file.size, least_offset=bad * 2)
    assert found == position + len(batches[bad])


def test_junk_hides_no_sound_batch() -> None:
    file = SimulatedDisk().open("a.log", create=True)
    file.append(bytes(range(256)) * 40 + b"\x02" * 500)
    assert scan.find_sound_batch(file, 0, file.size, least_offset=0) is None
    assert list(scan.iterate_places(file, 300, file.size)) == []
