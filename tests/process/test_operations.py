"""The procedures of docs/OPERATIONS.md that need processes: brokers and etcd, lost and restored."""

import shutil

import pytest

from kbroker.__main__ import main
from tests.kbroker.cluster.etcd_process import EtcdCluster
from tests.process.cluster_processes import LEASE_S, Brokers, until
from tests.process.raw_client import commit_request
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)

OLD = ("--set", "kbroker.metadata.etcd.allow.old=true")


@pytest.fixture
def etcd(tmp_path, request):
    """Of one member, or of as many as the test is marked with."""
    etcd = EtcdCluster(tmp_path, members=getattr(request, "param", 1))
    try:
        etcd.start()
        yield etcd
    finally:
        etcd.stop()


@pytest.fixture
def brokers(tmp_path, etcd):
    brokers = Brokers(tmp_path, etcd)
    try:
        brokers.start(1, 2, 3)
        with brokers.client() as client:
            client.create_topic("orders")
        until(lambda: brokers.in_sync("orders") == [1, 2, 3])
        yield brokers
    finally:
        brokers.close()


@pytest.fixture
def run(capsys):
    """Calls a command; what it printed, or the one line of its refusal."""

    def call(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        found = main(list(arguments))
        shown = capsys.readouterr()
        assert found == status, shown
        return shown.err.removeprefix("kbroker: ").strip() if status else shown.out

    return call


def test_a_rolling_restart_loses_no_record_and_refuses_none_for_good(brokers):
    brokers.produce("orders", b"0")
    for node_id in (1, 2, 3):
        brokers.stop(node_id)
        brokers.produce("orders", b"without %d" % node_id)
        brokers.start(node_id)
        until(lambda: brokers.in_sync("orders") == [1, 2, 3])
    assert brokers.values("orders") == [b"0", b"without 1", b"without 2", b"without 3"]
    assert "not be drained" not in brokers.errors(1)


def test_a_broker_that_is_lost_is_replaced_under_its_id_on_an_empty_disk(brokers):
    brokers.produce("orders", b"before")
    lost = brokers.leader("orders")
    brokers.kill(lost)
    shutil.rmtree(brokers.data(lost))
    brokers.produce("orders", b"after")
    brokers.start(lost)
    until(lambda: brokers.in_sync("orders") == [1, 2, 3])
    others = [each for each in (1, 2, 3) if each != lost]
    brokers.kill(others[0])
    brokers.produce("orders", b"at last")
    assert brokers.values("orders") == [b"before", b"after", b"at last"]


def test_committed_offsets_are_told_by_whoever_coordinates_next(brokers):
    """Each commit was answered, so it is on every replica in sync."""
    found = []

    def is_coordinated() -> bool:
        """By a broker that runs, which knows it, and what it says was committed."""
        with brokers.client() as client:
            request = FindCoordinatorRequest(coordinator_keys=["readers"])
            (told,) = client.ask(request, 6, FindCoordinatorResponse).coordinators
        if told.error_code or told.node_id not in brokers.running:
            return False
        found[:] = [told.node_id]
        with brokers.client(told.node_id) as client:
            (group,) = client.ask(fetch_request(), 9, OffsetFetchResponse).groups
        if group.error_code:  # it loads what its predecessor has written
            return False
        found.append(group.topics[0].partitions[0].committed_offset)
        return True

    def fetch_request() -> OffsetFetchRequest:
        topic = OffsetFetchRequestTopics(name="orders", partition_indexes=[0])
        return OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(group_id="readers", topics=[topic])]
        )

    until(is_coordinated)
    coordinator, none = found
    assert none == -1
    with brokers.client(coordinator) as client:
        answer = client.ask(commit_request("readers", "orders", 0, 7), 9, OffsetCommitResponse)
        assert answer.topics[0].partitions[0].error_code == 0
    brokers.kill(coordinator)
    until(is_coordinated)
    assert found[0] != coordinator
    assert found[1] == 7


def test_while_etcd_is_away_brokers_go_on_and_one_that_starts_waits(brokers, etcd):
    brokers.produce("orders", b"before")
    (member,) = etcd.members
    member.kill()
    starting = brokers.begin(4)
    assert not starting.is_ready_within(2 * LEASE_S), "long after every lease would have ended"
    brokers.produce("orders", b"meanwhile")
    assert brokers.values("orders") == [b"before", b"meanwhile"]
    with brokers.client(1) as client:
        answer = client.try_create_topic("more", timeout_ms=1000)
        assert answer.topics[0].error_code != 0
    member.start()
    member.wait_until_healthy()
    starting.wait_until_ready()
    assert "waiting for the metadata store" in brokers.errors(4)
    with brokers.client(4) as client:
        client.create_topic("more-now")
    brokers.produce("orders", b"after")
    assert brokers.values("orders") == [b"before", b"meanwhile", b"after"]
    assert "no member of the cluster any more" not in "".join(map(brokers.errors, (1, 2, 3)))


@pytest.mark.parametrize("etcd", [3], indirect=True)
def test_one_etcd_member_of_three_may_be_lost(brokers, etcd):
    lost = etcd.leader
    lost.kill()
    brokers.produce("orders", b"a")

    def created() -> bool:
        with brokers.client(2) as client:
            return client.try_create_topic("more").topics[0].error_code == 0

    until(created)
    brokers.kill(brokers.leader("orders"))
    brokers.produce("orders", b"b")
    assert brokers.values("orders") == [b"a", b"b"]


def test_etcd_restored_from_a_backup_is_refused_until_it_is_accepted(brokers, etcd, tmp_path, run):
    brokers.produce("orders", b"before the backup")
    (member,) = etcd.members
    member.kill()
    shutil.copytree(tmp_path / "m0", tmp_path / "backup")
    member.start()
    member.wait_until_healthy()
    brokers.stop(1)
    brokers.produce("orders", b"after it")
    brokers.start(1)
    until(lambda: brokers.in_sync("orders") == [1, 2, 3])

    member.kill()
    shutil.rmtree(tmp_path / "m0")
    (tmp_path / "backup").rename(tmp_path / "m0")
    member.start()
    member.wait_until_healthy()
    refusal = "kbroker: the metadata store was restored from a backup, and has forgotten what came"
    for node_id in (1, 2, 3):
        assert brokers.running[node_id].wait() == 1
        assert brokers.running.pop(node_id).refusal.startswith(refusal)
    (tmp_path / "broker-1.stderr").unlink()
    again = brokers.begin(1)
    assert again.wait() == 1
    assert brokers.running.pop(1).refusal.startswith(refusal)

    command = ("metadata", "accept-restore", "--metadata", brokers.metadata_url, *OLD)
    until(lambda: main([*command]) == 0)  # the leases in the backup end
    assert "2 partitions" in run(*command) or "1 partitions" in run(*command)
    assert "accepted; start the brokers" in run(*command, "--apply")
    brokers.start(1, 2, 3)
    brokers.produce("orders", b"and on")
    assert brokers.values("orders") == [b"before the backup", b"after it", b"and on"]


def test_what_is_no_restored_cluster_is_refused(etcd, run):
    url = f"etcd://{etcd.endpoints[0]}/nothing"
    command = ("metadata", "accept-restore", "--metadata")
    assert run(*command, url, *OLD, status=1) == "there is no cluster at /kbroker/nothing/"
    assert "nothing to accept" in run(*command, "sqlite", status=1)
    assert run(*command, "etcd://here", status=1).startswith("--metadata: ")
    assert "127.0.0.1:1" in run(*command, "etcd://127.0.0.1:1", *OLD, status=1)
