"""Members of groups: they consume everything; what a group must not be told ends the run."""

from simulator.workload.assignor import encode_assignment
from simulator.workload.group_members import GroupMember
from tests.simulator.workload.lying import honest_run, lying_run
from wire.errors import ErrorCode
from wire.messages.heartbeat import HeartbeatResponse
from wire.messages.join_group import JoinGroupResponse
from wire.messages.offset_fetch import OffsetFetchResponse
from wire.messages.sync_group import SyncGroupResponse

GROUP = {"producers": 1, "groups": 1, "members": 3, "safety_s": 90.0}


def test_an_honest_broker_passes_and_the_group_has_all() -> None:
    report = honest_run(**GROUP)
    assert report.failure is None
    assert report.counts["consumed"] >= report.counts["acknowledged"]
    assert report.counts["commits"] > 0


def test_two_owners_of_one_partition(monkeypatch) -> None:
    def lie(response) -> None:
        if not response.error_code:
            response.assignment = encode_assignment([("load", 0), ("load", 1)])

    assert "gives ('load', 0) to" in lying_run(monkeypatch, SyncGroupResponse, lie, **GROUP)


def test_a_generation_that_falls(monkeypatch) -> None:
    def lie(response) -> None:
        if not response.error_code and response.generation_id > 1:
            response.generation_id = 0

    words = lying_run(monkeypatch, JoinGroupResponse, lie, **GROUP)
    assert "joined generation 0 after" in words


def test_a_commit_that_is_lost(monkeypatch) -> None:
    def lie(response) -> None:
        for topic in response.groups[0].topics:
            for each in topic.partitions:
                each.committed_offset = -1

    words = lying_run(monkeypatch, OffsetFetchResponse, lie, **GROUP)
    assert "lost-commit" in words


def test_a_commit_that_nobody_made_leaves_records_unprocessed(monkeypatch) -> None:
    def lie(response) -> None:
        for topic in response.groups[0].topics:
            for each in topic.partitions:
                each.committed_offset += 3

    assert "lost-commit" in lying_run(monkeypatch, OffsetFetchResponse, lie, **GROUP)


def test_a_member_that_was_heard_of_is_forgotten(monkeypatch) -> None:
    def lie(response) -> None:
        response.error_code = ErrorCode.UNKNOWN_MEMBER_ID

    words = lying_run(monkeypatch, HeartbeatResponse, lie, skip=1, **{**GROUP, "members": 1})
    assert "is answered UNKNOWN_MEMBER_ID" in words


def test_a_group_that_ends_before_it_has_all(monkeypatch) -> None:
    async def read_nothing(member) -> bool:
        return True

    monkeypatch.setattr(GroupMember, "_fetch", read_nothing)
    assert "has come to its end at" in (honest_run(**GROUP).failure or "")
