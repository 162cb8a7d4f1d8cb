"""What the clients of a soak report, and the one anomaly that is judged on the way."""

import random
from itertools import islice

import pytest

from tests.soak.command_line import sums
from tests.soak.faults import OF_DISKS, OF_PROCESSES, draw
from tests.soak.scene import GROUPS, TOPIC, Scene, value_of


@pytest.fixture
def scene() -> Scene:
    return Scene(("127.0.0.1", 9092))


def test_an_honest_run_has_no_anomaly_and_is_counted(scene):
    value = value_of("producer", 1, 0, 30)
    assert len(value) == 30
    scene.sent(value, "producer", 1, may_repeat=False)
    scene.acknowledged(value, 0)
    scene.polled("member/1", 1, [(0, value)], GROUPS[0])
    scene.committed(scene.committing(GROUPS[0], {1: 1}, "member/1"))
    scene.history.read_whole((TOPIC, 1), [(0, value)])
    assert scene.anomalies() == []
    assert scene.progress() == "1 sent, 1 acknowledged, 1 polled, 1 commits, 0 faults"


def test_an_offset_that_a_client_was_not_told_is_none(scene):
    value = value_of("producer", 1, 0, 30)
    scene.sent(value, "producer", 1, may_repeat=False)
    scene.acknowledged(value, -1001)
    assert scene.history.sends[value].offset is None


def test_a_commit_below_one_that_was_answered_before_it_was_called_went_back(scene):
    early = scene.committing(GROUPS[0], {1: 3}, "slow/1")
    scene.committed(scene.committing(GROUPS[0], {1: 5}, "member/1"))
    scene.committed(early)
    assert scene.anomalies() == [], "they overlapped"
    scene.committed(scene.committing(GROUPS[0], {1: 4}, "zombie/1"))
    assert [each.name for each in scene.anomalies()] == ["commit-went-back"]


def test_after_a_commit_of_a_stranger_members_begin_where_that_says(scene):
    scene.committed(scene.committing(GROUPS[0], {1: 5, 2: 5}, "member/1"))
    scene.strayed(scene.committing(GROUPS[0], {1: 3}, "member/1"), is_acknowledged=True)
    scene.strayed(scene.committing(GROUPS[0], {2: 3}, "member/1"), is_acknowledged=False)
    scene.committed(scene.committing(GROUPS[0], {1: 4, 2: 4}, "member/2"))
    assert scene.anomalies() == []
    scene.committed(scene.committing(GROUPS[0], {1: 3}, "zombie/1"))
    (found,) = scene.anomalies()
    assert str(found).endswith("committed 3 of 1 after 4 (zombie/1 after member/2)")
    commits = scene.history.commits
    commits.fetched(commits.fetching(GROUPS[0], (TOPIC, 2)), 3)
    assert commits.wrong == [], "it may have been taken"


def test_a_refused_commit_and_one_that_the_broker_took_along(scene):
    scene.refused(scene.committing(GROUPS[0], {1: 3}, "member/1"))
    scene.committing(GROUPS[0], {1: 4}, "member/1")
    scene.broker_ended()
    commits = scene.history.commits
    commits.fetched(commits.fetching(GROUPS[0], (TOPIC, 1)), 4)
    assert scene.anomalies() == []


def test_faults_are_drawn_from_the_seed_and_all_kinds_come(scene):
    def names(*, with_disk: bool, seed: int = 1) -> list[str]:
        faults = draw(random.Random(seed), with_disk=with_disk)
        count = len(OF_PROCESSES) + (len(OF_DISKS) if with_disk else 0)
        return [f"{fault.name}: {fault.words}" for fault in islice(faults, count)]

    assert names(with_disk=True) == names(with_disk=True)
    assert names(with_disk=True) != names(with_disk=True, seed=2)
    assert len(set(names(with_disk=True))) == len(OF_PROCESSES) + len(OF_DISKS)
    assert {name.split(":")[0] for name in names(with_disk=False)} == {"kill", "terminate", "pause"}


def test_figures_for_a_table():
    counts = {"polled": 7, "faults": 6, "fault kill": 2, "fault power": 1, "fault read": 3}
    assert sums(counts) == {
        "records_read": 7,
        "kills": 2,
        "stops": 0,
        "pauses": 0,
        "power_cuts": 1,
        "disk_faults": 3,
    }
