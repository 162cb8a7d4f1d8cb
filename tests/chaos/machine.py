"""A machine of the cluster: a broker and an etcd member, in a place of the network of their own."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbroker.cli.cluster_etcd import EtcdHealth, ask_health
from tests.chaos.network import Network
from tests.process.broker_process import ROOT, BrokerProcess
from tests.soak.failing_disk import FailingDisk

SETTINGS: Mapping[str, str] = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "2",
    "log.segment.bytes": "1048576",
    "log.retention.ms": "-1",
    "log.flush.offset.checkpoint.interval.ms": "500",
    "group.min.session.timeout.ms": "1000",
    # So that short faults meet it as well: who lags leaves the ISR, leaders are moved back.
    "replica.lag.time.max.ms": "5000",
    "leader.imbalance.check.interval.seconds": "5",
    "inter.broker.listener.name": "REPLICATION",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT",
}
# A member that waits for a busy processor is not to lose its office for that.
ETCD_OPTIONS = ("--heartbeat-interval", "200", "--election-timeout", "2000", "--log-level", "warn")
HEALTH_S = 2.0
TOLD_LINES = 40
END_S = 60.0


class MachineError(Exception):
    """A process did what it must not: did not start, or ended where nothing asked it to."""


@dataclass(frozen=True, slots=True)
class Plant:
    """What all machines have in common. `directory`: for data and for what processes say."""

    network: Network
    directory: Path
    etcd_program: str
    lease_ms: int
    count: int
    settings: Sequence[str] = ()
    """KEY=VALUE, for every broker."""

    def url(self, machine: int, *, is_peer: bool = False) -> str:
        ports = self.network.ports(machine)
        port = ports.etcd_peer if is_peer else ports.etcd
        return f"http://{self.network.address(machine)}:{port}"

    @property
    def machines(self) -> range:
        return range(1, self.count + 1)


def etcd_arguments(plant: Plant, number: int) -> list[str]:
    client, peer = plant.url(number), plant.url(number, is_peer=True)
    members = ",".join(f"m{each}={plant.url(each, is_peer=True)}" for each in plant.machines)
    return [
        plant.etcd_program,
        *("--name", f"m{number}", "--data-dir", str(plant.directory / f"etcd-{number}")),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", members, *ETCD_OPTIONS),
    ]


def broker_arguments(plant: Plant, number: int, data: Path, *, is_old_etcd: bool) -> list[str]:
    address, ports = plant.network.address(number), plant.network.ports(number)
    stores = ",".join(plant.url(each).removeprefix("http://") for each in plant.machines)
    settings = {
        **SETTINGS,
        "listeners": f"PLAINTEXT://{address}:{ports.client},REPLICATION://{address}:{ports.internal}",
        "broker.session.timeout.ms": str(plant.lease_ms),
        "kbroker.metadata.etcd.allow.old": str(is_old_etcd).lower(),
    }
    assignments = [*(f"{key}={value}" for key, value in settings.items()), *plant.settings]
    return [
        *("--metadata", f"etcd://{stores}", "--node-id", str(number), "--data", str(data)),
        *(word for each in assignments for word in ("--set", each)),
    ]


class Machine:
    """Mutable. `broker` and `etcd` are None while they are not to run."""

    def __init__(
        self, plant: Plant, number: int, disk: FailingDisk | None, *, is_old_etcd: bool
    ) -> None:
        self.plant = plant
        self.number = number
        self.disk = disk
        self.data = plant.directory / f"broker-{number}" if disk is None else disk.path
        self.broker: BrokerProcess | None = None
        self.etcd: subprocess.Popen[bytes] | None = None
        self.is_paused = False
        self._is_old_etcd = is_old_etcd
        self._broker_log = plant.directory / f"broker-{number}.log"
        self._etcd_log = plant.directory / f"etcd-{number}.log"

    @property
    def address(self) -> tuple[str, int]:
        """Of the broker, for clients."""
        return self.plant.network.address(self.number), self.plant.network.ports(self.number).client

    # The member of etcd.

    def start_etcd(self) -> None:
        with self._etcd_log.open("ab") as log:
            self.etcd = subprocess.Popen(
                [*self._prefix(), *etcd_arguments(self.plant, self.number)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def kill_etcd(self) -> None:
        if self.etcd is not None:
            self.etcd.kill()
            self.etcd.wait(END_S)
            self.etcd = None

    def etcd_health(self) -> EtcdHealth:
        host, port = self.plant.network.address(self.number), self.plant.network.ports(self.number)
        return ask_health(host, port.etcd, HEALTH_S)

    # The broker.

    def start(self) -> None:
        """Ready when this returns. MachineError."""
        arguments = broker_arguments(
            self.plant, self.number, self.data, is_old_etcd=self._is_old_etcd
        )
        self.broker = BrokerProcess(*arguments, log_path=self._broker_log, prefix=self._prefix())
        try:
            self.broker.wait_until_ready()
        except AssertionError as error:
            words = f"broker {self.number} does not start: {self.last_words()}"
            raise MachineError(words) from error

    def kill(self) -> None:
        assert self.broker is not None
        self.broker.kill()
        self._ended()

    def terminate(self) -> None:
        """In order; MachineError if it says that all was not well."""
        assert self.broker is not None
        try:
            status = self.broker.stop(signal.SIGTERM)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            raise MachineError(f"broker {self.number} does not stop: {error}") from error
        self._ended()
        if status != 0:
            words = f"SIGTERM ended broker {self.number} with status {status}"
            raise MachineError(f"{words}: {self.last_words()}")

    def pause(self) -> None:
        assert self.broker is not None
        self.is_paused = True
        self.broker.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.broker is not None
        self.broker.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def status_if_ended(self) -> int | None:
        """Its status if it has ended by itself, and is taken for ended from now on."""
        assert self.broker is not None
        status = self.broker.process.poll()
        if status is not None:
            self._ended()
        return status

    def lose_power(self, seed: int) -> None:
        assert self.disk is not None
        assert self.broker is not None
        if not self.disk.check_frozen():
            self.disk.freeze()
        self.broker.process.kill()
        self.disk.release()
        self.broker.wait()
        self._ended()
        self.disk.lose_power(seed)

    # Both.

    def check(self) -> None:
        """What is to run must be running. MachineError."""
        status = None if self.broker is None else self.broker.process.poll()
        if status is not None:
            words = f"broker {self.number} ended, status {status}"
            raise MachineError(f"{words}: {self.last_words()}")
        status = None if self.etcd is None else self.etcd.poll()
        if status is not None:
            raise MachineError(f"etcd {self.number} ended, status {status}: see {self._etcd_log}")

    def close(self) -> None:
        if self.broker is not None:
            self.broker.process.kill()
            if self.disk is not None:
                self.disk.release()
            self._ended()
        self.kill_etcd()

    def last_words(self) -> str:
        lines = self._broker_log.read_text(errors="replace").splitlines()[-TOLD_LINES:]
        return "\n".join(["", *lines])

    def _ended(self) -> None:
        assert self.broker is not None
        self.broker.close()
        self.broker = None
        self.is_paused = False

    def _prefix(self) -> tuple[str, ...]:
        """Whoever is killed without a chance to clean up takes all processes with it."""
        setpriv = shutil.which("setpriv")
        bound = () if setpriv is None else (setpriv, "--pdeathsig", "KILL")
        return (*self.plant.network.prefix(self.number), *bound)
