"""The history of leaders, against a plain list and in Kafka's file."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.checkpoints import CheckpointError
from log.file_system import OsFileSystem
from log.leader_epochs import LeaderEpochs
from simulator.disk import SimulatedDisk

EPOCHS = st.integers(0, 8)
OFFSETS = st.integers(0, 30)
STEPS = st.lists(
    st.tuples(st.just("assign"), EPOCHS, OFFSETS)
    | st.tuples(st.sampled_from(["from_end", "from_start"]), st.just(0), OFFSETS),
    max_size=12,
)


def _epochs(*entries: tuple[int, int]) -> LeaderEpochs:
    return LeaderEpochs(entries)


def _play(steps: list[tuple[str, int, int]]) -> LeaderEpochs:
    epochs = LeaderEpochs()
    for name, epoch, offset in steps:
        if name == "assign":
            epochs.assign(epoch, offset)
        elif name == "from_end":
            epochs.truncate_from_end(offset)
        else:
            epochs.truncate_from_start(offset)
    return epochs


@given(STEPS)
def test_both_ascend_strictly_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    entries = _play(steps).entries
    assert entries == sorted(entries)
    assert len({entry.epoch for entry in entries}) == len(entries)
    assert len({entry.start_offset for entry in entries}) == len(entries)


@given(STEPS, st.integers(0, 40))
def test_every_offset_has_the_epoch_whose_end_lies_behind_it(
    steps: list[tuple[str, int, int]], offset: int
) -> None:
    epochs = _play(steps)
    epoch = epochs.epoch_at(offset)
    if epoch is None:
        assert all(start > offset for _, start in epochs.entries)
    else:
        found, end_offset = epochs.end_offset_for(epoch, log_end_offset=1000)
        assert found == epoch
        assert offset < end_offset


@given(STEPS, OFFSETS)
def test_a_truncated_history_knows_nothing_behind_its_end(
    steps: list[tuple[str, int, int]], end_offset: int
) -> None:
    epochs = _play(steps)
    before = [entry for entry in epochs.entries if entry.start_offset < end_offset]
    epochs.truncate_from_end(end_offset)
    assert epochs.entries == before


@given(STEPS, OFFSETS, st.integers(0, 40))
def test_a_new_start_changes_no_answer_behind_it(
    steps: list[tuple[str, int, int]], start_offset: int, offset: int
) -> None:
    epochs = _play(steps)
    before = epochs.epoch_at(offset)
    epochs.truncate_from_start(start_offset)
    if offset >= start_offset:
        assert epochs.epoch_at(offset) == before


def test_epoch_0_is_valid() -> None:
    """KAFKA-10432."""
    epochs = _epochs((0, 0))
    assert epochs.latest_epoch == 0
    assert epochs.latest == (0, 0)
    assert epochs.end_offset_for(0, log_end_offset=17) == (0, 17)
    assert LeaderEpochs().latest is None
    assert LeaderEpochs().latest_epoch is None


def test_the_newest_epoch_keeps_its_first_start() -> None:
    epochs = _epochs((0, 0), (3, 10))
    assert not epochs.assign(3, 12)
    assert epochs.entries == [(0, 0), (3, 10)]
    assert epochs.assign(3, 8)
    assert epochs.entries == [(0, 0), (3, 8)]


def test_contradicted_entries_go() -> None:
    epochs = _epochs((0, 0), (2, 10), (4, 20))
    assert epochs.assign(3, 15)
    assert epochs.entries == [(0, 0), (2, 10), (3, 15)]
    assert epochs.assign(5, 10)
    assert epochs.entries == [(0, 0), (5, 10)]


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (-1, (-1, -1)),
        (0, (0, 5)),  # below all: begin where the first known one starts
        (1, (1, 9)),
        (2, (1, 9)),  # between two: the earlier one
        (4, (4, 12)),
        (6, (6, 30)),  # the newest: the log's end
        (7, (-1, -1)),
    ],
)
def test_end_offsets_as_kafka_answers_them(epoch: int, expected: tuple[int, int]) -> None:
    """KIP-279."""
    epochs = _epochs((1, 5), (4, 9), (6, 12))
    assert epochs.end_offset_for(epoch, log_end_offset=30) == expected


def test_nothing_is_known_of_an_empty_history() -> None:
    assert LeaderEpochs().end_offset_for(0, log_end_offset=9) == (-1, -1)


def test_the_epoch_in_force_survives_the_loss_of_all_its_records() -> None:
    epochs = _epochs((0, 0), (3, 10))
    epochs.truncate_from_start(50)
    assert epochs.entries == [(3, 50)]


def test_the_file_is_kafkas(tmp_path: Path) -> None:
    epochs = _epochs((0, 0))
    epochs.assign(2, 17)
    epochs.write_if_changed(OsFileSystem(), str(tmp_path))
    file = tmp_path / "leader-epoch-checkpoint"
    assert file.read_text() == "0\n2\n0 0\n2 17\n"
    loaded = LeaderEpochs.load(OsFileSystem(), str(tmp_path))
    assert loaded.entries == epochs.entries
    assert not loaded.is_changed
    file.write_text("0\n2\n0 0\n")
    with pytest.raises(CheckpointError, match="leader-epoch-checkpoint: 1 entries, where 2"):
        LeaderEpochs.load(OsFileSystem(), str(tmp_path))


def test_it_is_written_only_when_it_lags_and_survives_a_power_loss() -> None:
    disk = SimulatedDisk()
    disk.make_directory("d")
    epochs = LeaderEpochs.load(disk, "d")
    epochs.write_if_changed(disk, "d")
    assert not disk.exists("d/leader-epoch-checkpoint")
    epochs.assign(1, 4)
    epochs.write_if_changed(disk, "d")
    changes = disk.operation_count
    epochs.assign(1, 9)
    epochs.truncate_from_end(5)
    epochs.truncate_from_start(2)
    epochs.write_if_changed(disk, "d")
    assert disk.operation_count == changes
    epochs.clear()
    assert epochs.is_changed
    after = disk.crash(random.Random(1))
    assert LeaderEpochs.load(after, "d").entries == [(1, 4)]
