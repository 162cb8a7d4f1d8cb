"""kill -9 of the real process: groups, their generations and their offsets come back.

A member that lived through it goes on as if nothing had happened, with a session of its full length
from the restart on; one that did not is removed when that is over.
"""

from tests.process.broker_process import running
from tests.process.raw_client import RawClient
from wire.errors import ErrorCode
from wire.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

GROUP, TOPIC = "readers", "log"
LIVES = 3
SESSION_MS = 30_000
SHORT_SESSION_MS = 1_000
ARGUMENTS = ["--set", "group.min.session.timeout.ms=500"]


def enter(
    client: RawClient, member_id: str = "", *, session_ms: int = SESSION_MS
) -> tuple[str, int]:
    """Join as the only member and take everything; the member id and the generation."""
    request = JoinGroupRequest(
        group_id=GROUP,
        session_timeout_ms=session_ms,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"metadata")],
    )
    joined = client.ask(request, 3, JoinGroupResponse)
    assert joined.error_code == 0, joined
    assignment = SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"all")
    synced = client.ask(
        SyncGroupRequest(
            group_id=GROUP,
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            assignments=[assignment],
        ),
        3,
        SyncGroupResponse,
    )
    assert (synced.error_code, synced.assignment) == (0, b"all")
    return joined.member_id, joined.generation_id


def beat(client: RawClient, member_id: str, generation: int) -> int:
    """The error code of a heartbeat."""
    request = HeartbeatRequest(group_id=GROUP, generation_id=generation, member_id=member_id)
    return client.ask(request, 4, HeartbeatResponse).error_code


def commit(client: RawClient, member_id: str, generation: int, offset: int) -> int:
    """The error code of a member's commit."""
    partition = OffsetCommitRequestPartition(
        partition_index=0, committed_offset=offset, committed_metadata="here"
    )
    request = OffsetCommitRequest(
        group_id=GROUP,
        generation_id_or_member_epoch=generation,
        member_id=member_id,
        topics=[OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])],
    )
    answer = client.ask(request, 8, OffsetCommitResponse)
    return answer.topics[0].partitions[0].error_code


def described(client: RawClient) -> DescribedGroup:
    answer = client.ask(DescribeGroupsRequest(groups=[GROUP]), 5, DescribeGroupsResponse)
    return answer.groups[0]


def test_a_member_goes_on_over_kill_9_and_its_session_ends_when_it_falls_silent(tmp_path):
    data = tmp_path / "data"
    generation = 0
    member_id = ""
    for life in range(LIVES):
        with running(data, *ARGUMENTS) as broker, RawClient(broker.address) as client:
            if life == 0:
                client.create_topic(TOPIC)
                assert client.find_coordinator(GROUP) == 0
            else:
                assert beat(client, member_id, generation) == 0
                assert beat(client, member_id, generation - 1) == ErrorCode.ILLEGAL_GENERATION
                assert client.committed_offset(GROUP, TOPIC, 0) == life
                group = described(client)
                assert (group.group_state, group.protocol_data) == ("Stable", "range")
                (member,) = group.members
                assert (member.member_id, member.member_assignment) == (member_id, b"all")
            # The same member again: a new generation. In the last life it is to fall silent.
            before = generation
            session_ms = SHORT_SESSION_MS if life == LIVES - 1 else SESSION_MS
            member_id, generation = enter(client, member_id, session_ms=session_ms)
            assert generation == before + 1
            assert commit(client, member_id, generation, offset=life + 1) == 0
            broker.kill()
    with running(data, *ARGUMENTS) as broker, RawClient(broker.address) as client:
        while described(client).group_state != "Empty":
            pass
        assert beat(client, member_id, generation) == ErrorCode.UNKNOWN_MEMBER_ID
        assert client.committed_offset(GROUP, TOPIC, 0) == LIVES
        _, next_generation = enter(client)
        assert next_generation > generation, "generations do not fall"
        assert broker.stop() == 0
