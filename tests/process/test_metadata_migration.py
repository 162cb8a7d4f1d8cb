"""`kbroker metadata migrate`: a single broker becomes the first of a cluster, or is left alone."""

import re
from pathlib import Path

import pytest

from kbroker.__main__ import main
from kbroker.cli.cluster_etcd import is_old
from tests.kbroker.cluster.etcd_process import EtcdCluster
from tests.process.broker_process import BrokerProcess, running
from tests.process.raw_client import RawClient, batch

OLD = ("--set", "kbroker.metadata.etcd.allow.old=true")
FEW_OFFSETS = ("--set", "offsets.topic.num.partitions=1")
NOWHERE = "etcd://127.0.0.1:1"


@pytest.fixture(scope="module")
def etcd(tmp_path_factory):
    cluster = EtcdCluster(tmp_path_factory.mktemp("etcd"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def url(etcd, request) -> str:
    """A name of the test's own in that etcd."""
    return f"etcd://{etcd.endpoints[0]}/{request.node.name}"


@pytest.fixture
def run(capsys):
    """Calls the command; what it printed, or the one line of its refusal."""

    def call(data: Path, url: str, *arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        wanted = ["metadata", "migrate", "--data", str(data), "--to", url, *OLD, *arguments]
        found = main(wanted)
        shown = capsys.readouterr()
        assert found == status, shown
        if status:
            assert shown.out == ""
            assert shown.err.startswith("kbroker: ")
            assert shown.err.count("\n") == 1
            return shown.err.removeprefix("kbroker: ").strip()
        return shown.out + shown.err

    return call


def single_node(data: Path, *arguments: str) -> Path:
    """A broker has run there, and was stopped."""
    with running(data, *arguments) as broker, RawClient(broker.address) as client:
        client.create_topic("orders", partitions=3)
        assert client.produce("orders", 1, batch(b"value")).error_code == 0
        assert broker.stop() == 0
    return data


def refused_start(data: Path, *arguments: str) -> str:
    log_path = data.parent / "refused.stderr"
    log_path.unlink(missing_ok=True)
    broker = BrokerProcess(
        *("--data", str(data), "--listen", "127.0.0.1:0", *arguments), log_path=log_path
    )
    try:
        assert broker.wait() == 1, broker.errors
        return broker.refusal
    finally:
        broker.close()


def test_the_node_is_the_first_broker_of_a_cluster_with_its_records(tmp_path, run, url):
    data = single_node(tmp_path / "data")
    told = refused_start(data, "--metadata", url, *OLD)
    assert told.endswith(f"to move them: kbroker metadata migrate --data {data} --to URL")

    planned = run(data, url)
    assert re.search(r"^topics +1$", planned, re.MULTILINE)
    assert re.search(r"^partitions +3$", planned, re.MULTILINE)
    assert "nothing was changed; to do it add --apply" in planned
    assert (data / ".kafka_cleanshutdown").exists()
    assert (data / "metadata.sqlite").exists()

    assert f"--node-id 1 --metadata {url}" in run(data, url, "--apply")
    assert (data / "metadata.sqlite.migrated").exists()
    line = refused_start(data)
    assert line == (
        f"kbroker: {data} belongs to a broker of a cluster, whose metadata are in etcd:"
        " name it with --metadata etcd://HOST:PORT"
    )
    with (
        running(data, "--metadata", url, *OLD, *FEW_OFFSETS) as broker,
        RawClient(broker.address) as client,
    ):
        assert client.read_all("orders", 1) == [(0, b"value")]
        assert client.produce("orders", 1, batch(b"more")).error_code == 0
        assert broker.stop() == 0
    assert run(data, url, "--apply", status=1) == (
        f"{data} has no metadata of its own, no metadata.sqlite: they were moved before"
    )


def test_one_that_was_interrupted_before_the_directory_knew_of_it_is_ended(tmp_path, run, url):
    data = single_node(tmp_path / "data")
    run(data, url, "--apply")
    (data / "metadata.sqlite.migrated").rename(data / "metadata.sqlite")
    assert "are there from an earlier, interrupted migration" in run(data, url)
    run(data, url, "--apply")
    assert not (data / "metadata.sqlite").exists()


def test_a_broker_that_runs_is_left_alone(tmp_path, run, url):
    data = tmp_path / "data"
    with running(data) as broker:
        line = run(data, url, "--apply", status=1)
        assert line == f"{data} is in use by a broker: stop it first"
        broker.kill()
    line = run(data, url, "--apply", status=1)
    assert "was not left by a clean stop" in line


def test_two_nodes_are_two_clusters(tmp_path, run, url):
    run(single_node(tmp_path / "one"), url, "--apply")
    other = single_node(tmp_path / "two")
    assert "there is a cluster already" in run(other, url, "--apply", status=1)
    assert (other / "metadata.sqlite").exists()
    run(other, f"{url}-2", "--apply")


def test_what_does_not_match_is_refused(tmp_path, run, etcd, url):
    data = single_node(tmp_path / "data", "--node-id", "4")
    line = run(data, url, "--set", "node.id=5", status=1)
    assert line == f"{data} belongs to node 4, the configuration is of node 5"
    assert "node 4" in run(data, url, "--set", "node.id=4")
    assert run(data, "sqlite", status=1).startswith("the target is to be etcd://")
    assert run(data, "etcd://here", status=1).startswith("--to: ")
    assert "127.0.0.1:1" in run(data, NOWHERE, status=1)
    version = str((etcd.members[0].ask("/version") or {})["etcdserver"])
    if is_old(version):
        line = run(data, url, "--set", "kbroker.metadata.etcd.allow.old=false", status=1)
        assert f"etcd {version} at" in line
    assert run(tmp_path, url, status=1).endswith("it has no meta.properties")
    (data / "metadata.sqlite").write_bytes(b"no database" * 1000)
    assert "not an SQLite database" in run(data, url, status=1)
    (data / "metadata.sqlite").unlink()
    assert run(data, url, status=1).endswith("no metadata.sqlite: there are none")
