"""`kbroker cluster`: brokers and their etcd on this machine, started, watched and stopped."""

import fcntl
import json
import os
import re
import signal
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from kbroker.__main__ import main
from tests.kbroker.cluster.etcd_process import etcd_binary
from tests.process.broker_process import BrokerProcess, running
from tests.process.terminal import terminal


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


# A whole one, in a terminal.

CTRL_C = "\x03"


@pytest.fixture(scope="module")
def etcd_program() -> str:
    return etcd_binary()


@pytest.fixture
def cluster(tmp_path, etcd_program):
    """Starts a cluster in a terminal; whatever is left of it in the end is killed by its pid."""
    data = tmp_path / "data"
    environment = {**os.environ, "TERM": "xterm"}

    @contextmanager
    def run(*arguments: str):
        places = ("--data", str(data), "--listen", "127.0.0.1:0", "--etcd", etcd_program, "--dev")
        with terminal(environment, "cluster", "up", *places, *arguments) as program:
            yield program

    run.data = data
    yield run
    for pid in processes_of(data).values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_of(data: Path) -> dict[str, int]:
    file = data / "cluster.json"
    return json.loads(file.read_text()) if file.exists() else {}


def bootstrap_of(program) -> str:
    program.read_until("  python ")
    found = re.search(r"kbroker cluster is ready on (\S+)", program.shown)
    assert found is not None, program.shown
    return found[1]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_its_records_survive_the_loss_of_a_broker_and_its_own_end(cluster, monkeypatch, capsys):
    def call(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    with cluster("--set", "offsets.topic.num.partitions=1") as program:
        bootstrap = bootstrap_of(program)
        assert bootstrap.count(",") == 2
        monkeypatch.setenv("KBROKER_BOOTSTRAP", bootstrap)
        (cluster.data / "lines").write_text("one\ntwo\n")
        call("topics", "create", "orders")
        call("produce", "orders", "--file", str(cluster.data / "lines"))

        found = json.loads(call("cluster", "status", "--json"))
        assert [each["id"] for each in found["cluster"]["brokers"]] == [1, 2, 3]
        assert found["cluster"]["controller"] in (1, 2, 3)
        (partition,) = json.loads(call("topics", "describe", "orders", "--json"))[0]["partitions"]
        assert sorted(partition["replicas"]) == [1, 2, 3]
        (member,) = found["etcd"]
        assert (member["leader"], member["error"]) == (True, None)
        assert f"etcd {member['version']}" in program.shown

        pids = processes_of(cluster.data)
        os.kill(pids["broker 2"], signal.SIGKILL)
        program.read_until("kbroker: broker 2 was killed by SIGKILL; the others go on")
        assert json.loads(call("cluster", "status", "--json"))["etcd"], "others tell where"
        assert call("consume", "orders") == "one\ntwo\n", "once another leads what it led"
        watching = ("cluster", "status", "--watch", "--interval", "0.2")
        with terminal({**os.environ, "TERM": "xterm"}, *watching) as status:
            status.read_until("absent")
            status.read_until("under-replicated")
            status.type(CTRL_C)
            assert status.finish() == 0

        in_use = refused(cluster.data, "--etcd", etcd_binary(), status=1)
        assert f"broker 1 {pids['broker 1']}" in in_use
        program.type(CTRL_C)
        assert program.finish() == 1, "not all of it was there to the end"
    assert all(is_gone(pid) for pid in pids.values())

    with cluster("--brokers", "2") as program:
        monkeypatch.setenv("KBROKER_BOOTSTRAP", bootstrap_of(program))
        program.read_until("data of more brokers, which were not started: 3")
        assert call("consume", "orders") == "one\ntwo\n"
        program.type(CTRL_C)
        assert program.finish() == 0
    assert "broker 1 | " in program.shown
    assert all(is_gone(pid) for pid in processes_of(cluster.data).values())


def test_what_a_killed_command_left_behind_keeps_the_directory(cluster):
    with cluster("--brokers", "1") as program:
        bootstrap_of(program)
        program.process.kill()
    pids = processes_of(cluster.data)
    line = refused(cluster.data, "--etcd", etcd_binary(), status=1)
    assert line.endswith(f"(processes: etcd {pids['etcd']}, broker 1 {pids['broker 1']})")


def test_a_broker_that_does_not_come_up_ends_it_all(cluster):
    with cluster("--brokers", "2", "--set", "num.partitions=none") as program:
        assert program.finish() == 1
    assert re.search(
        r"kbroker: broker [12] ended with status 2: --set: Invalid value none", program.shown
    )
    assert all(is_gone(pid) for pid in processes_of(cluster.data).values())


def test_ctrl_c_while_it_starts(cluster):
    with cluster() as program:
        program.read_until("broker 1 | ")
        program.type(CTRL_C)
        program.finish()
    assert "Traceback" not in program.shown
    assert all(is_gone(pid) for pid in processes_of(cluster.data).values())
