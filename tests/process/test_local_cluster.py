"""`kbroker cluster`: brokers and their etcd on this machine, started, watched and stopped."""

import fcntl
import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from kbroker.__main__ import main
from tests.process.broker_process import BrokerProcess, running


def up(data: Path, *arguments: str) -> BrokerProcess:
    return BrokerProcess(
        *("cluster", "up", "--data", str(data), "--listen", "127.0.0.1:0", *arguments),
        log_path=data.parent / f"{data.name}.stderr",
    )


def refused(data: Path, *arguments: str, status: int) -> str:
    """The one line with which a start is refused."""
    (data.parent / f"{data.name}.stderr").unlink(missing_ok=True)
    with closing(up(data, *arguments)) as cluster:
        assert cluster.wait() == status, cluster.errors
        assert cluster.output == ""
        return cluster.refusal


# Refused.


def test_an_etcd_that_is_none(tmp_path):
    line = refused(tmp_path / "data", "--etcd", "/no/such/etcd", status=1)
    assert line == "kbroker: --etcd /no/such/etcd: it does not run, or is no etcd"
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_none(tmp_path):
    line = refused(tmp_path / "data", "--listen", "here", status=2)
    assert "expected HOST:PORT, found 'here'" in line
    line = refused(tmp_path / "data", "--listen", "127.0.0.1:65534", status=2)
    assert "there are no 3 ports from 65534 on" in line


def fake_etcd(folder: Path, lines: str) -> str:
    program = folder / "etcd"
    program.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo 'etcd Version: 3.6.9' && exit\n{lines}\n"
    )
    program.chmod(0o755)
    return str(program)


def test_a_directory_in_use(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    with (data / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        etcd = fake_etcd(tmp_path, "")
        line = refused(data, "--etcd", etcd, status=1)
        assert line == f"kbroker: {data} is in use by another cluster (it is just starting)"
        (data / "cluster.json").write_text(json.dumps({"broker 1": os.getpid(), "etcd": 2**22}))
        line = refused(data, "--etcd", etcd, status=1)
        assert line.endswith(f"by another cluster (processes: broker 1 {os.getpid()})")


def test_a_file_in_place_of_the_directory(tmp_path):
    (tmp_path / "data").write_text("")
    line = refused(tmp_path / "data", "--etcd", fake_etcd(tmp_path, ""), status=1)
    assert line.startswith(f"kbroker: {tmp_path}/data cannot be used: ")


def test_an_etcd_that_ends_says_why_in_a_file(tmp_path):
    data = tmp_path / "data"
    line = refused(data, "--etcd", fake_etcd(tmp_path, "echo broken >&2; exit 3"), status=1)
    assert line == (f"kbroker: etcd ended with status 3; why stands at the end of {data}/etcd.log")
    assert (data / "etcd.log").read_text() == "broken\n"


# How a cluster is.


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with running(tmp_path_factory.mktemp("broker") / "data", "--dev") as process:
        yield process


def test_a_single_broker_is_a_cluster_of_one(broker, monkeypatch, capsys):
    monkeypatch.setenv("KBROKER_BOOTSTRAP", "{}:{}".format(*broker.address))
    assert main(["topics", "create", "orders", "--partitions", "3"]) == 0
    capsys.readouterr()
    assert main(["cluster", "status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metadata"] == "sqlite"
    assert found["etcd"] == []
    (only,) = found["cluster"]["brokers"]
    assert (only["id"], only["leaders"], only["in_sync"], only["state"]) == (1, 3, 3, "up")
    assert found["cluster"]["controller"] == 1
    assert found["cluster"]["under_min_isr"] == 0
    assert main(["cluster", "status"]) == 0
    assert "controller 1\n" in capsys.readouterr().out
