"""Where two logs part, against the definition: the longest prefix that is common by epochs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.replication.divergence import diverging_epoch, truncation_offset
from log.log_config import LogConfig
from tests.log.log_harness import NOW, LogOnDisk, batch
from wire.errors import ErrorCode, KafkaError

Epochs = list[int]


def log_of(epochs: Epochs, start: int = 0):
    """A log with a record of each epoch, in that order."""
    log = LogOnDisk(LogConfig()).open()
    log.truncate_fully_and_start_at(start)
    for epoch in epochs:
        log.append_as_leader(batch(b"x"), leader_epoch=epoch, now_ms=NOW)
    return log


@st.composite
def histories(draw: st.DrawFn) -> tuple[Epochs, Epochs]:
    """What two replicas may hold that led in turns: in each epoch one wrote, one copied a part."""
    logs: list[Epochs] = [[], []]
    leader = 0
    for epoch in range(draw(st.integers(0, 6))):
        leader = draw(st.integers(0, 1))
        ours, theirs = logs[leader], logs[1 - leader]
        ours += [epoch] * draw(st.integers(0, 3))
        copied = draw(st.none() | st.integers(0, 3))
        if copied is not None:
            common = common_length(ours, theirs)
            theirs[:] = ours[: common + copied]
    return logs[leader], logs[1 - leader]


def common_length(ours: Epochs, theirs: Epochs) -> int:
    length = 0
    while length < min(len(ours), len(theirs)) and ours[length] == theirs[length]:
        length += 1
    return length


@given(logs=histories())
def test_a_follower_ends_with_what_both_have_of_each_epoch(logs: tuple[Epochs, Epochs]) -> None:
    leader, follower = logs
    theirs, ours = log_of(leader), log_of(follower)
    theirs.assign_epoch_start(9, len(leader))
    asked = 0
    while True:
        offset = ours.log_end_offset
        epoch = -1 if ours.leader_epochs.latest_epoch is None else ours.leader_epochs.latest_epoch
        diverging = diverging_epoch(theirs, epoch, offset)
        if diverging is None:
            break
        cut = truncation_offset(ours, *diverging)
        assert cut <= offset
        ours.truncate_to(cut)
        asked += 1
        assert asked <= 2 * len(set(follower)) + 1, "each answer ends an epoch"
    kept = follower[: ours.log_end_offset]
    assert kept == leader[: len(kept)], "one log up to there, by the epochs"
    assert len(kept) == common_length(leader, follower), "and nothing was cut without need"


def test_an_epoch_that_the_leader_has_not_even_heard_of_is_out_of_range() -> None:
    with pytest.raises(KafkaError) as refused:
        diverging_epoch(log_of([1, 1]), 4, 2)
    assert refused.value.code == ErrorCode.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize(("offset", "fine"), [(4, False), (5, True), (7, True), (8, False)])
def test_an_offset_outside_of_the_log_is_out_of_range(offset: int, fine: bool) -> None:
    log = log_of([1, 1], start=5)
    for known in (-1, 1):
        if fine:
            assert diverging_epoch(log, known, offset) is None
        elif offset == 8 and known == 1:
            assert diverging_epoch(log, known, offset) == (1, 7)
        else:
            with pytest.raises(KafkaError) as refused:
                diverging_epoch(log, known, offset)
            assert refused.value.code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_who_has_only_epochs_that_the_leader_has_deleted_cuts_down_to_its_log_start() -> None:
    leader = log_of([7, 7], start=4)
    assert diverging_epoch(leader, 3, 4) is None
    assert diverging_epoch(leader, 3, 6) == (3, 4)
    follower = log_of([3, 3, 3, 3, 3, 3])
    assert truncation_offset(follower, 3, 4) == 4


def test_a_follower_without_epochs_takes_the_leaders_word() -> None:
    log = log_of([])
    assert truncation_offset(log, 3, 4) == 0
