"""`kbroker cluster up`: etcd and some brokers on this machine, for development.

Counterparts: `cluster_plan` (what is started), `cluster_processes` (how processes are kept).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace

import click

import kbroker
from kbroker.cli.cluster_etcd import EtcdProgram, ask_health, find_etcd, free_ports
from kbroker.cli.cluster_plan import (
    ClusterPlan,
    broker_address,
    broker_command,
    etcd_command,
    ready_text,
)
from kbroker.cli.cluster_processes import Child, Children, describe_end
from kbroker.cli.connection import CommandError, refuse, steady_s
from log.file_system import OsFileSystem, OsLock, write_atomically

BROKER = "broker-"
LOCK = "cluster.lock"
PROCESSES = "cluster.json"
ETCD_LOG = "etcd.log"
LAST_READY_LINE = "  python "
ETCD_READY_S = 30.0
ETCD_ASK_S = 1.0
BROKERS_READY_S = 60.0
BROKERS_STOP_S = 40.0
"""More than a broker takes that moves its leaders away and flushes."""
ETCD_STOP_S = 10.0
PAUSE_S = 0.1
MOST_BROKERS = 20
COLORS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan")


def check_listen(
    context: click.Context | None, parameter: click.Parameter | None, value: str
) -> tuple[str, int]:
    """The value of --listen, HOST:PORT; BadParameter."""
    host, _, port = value.strip().rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise click.BadParameter(f"expected HOST:PORT, found {value!r}", context, parameter)
    return host, int(port)


@click.command("up", short_help="Run brokers and their etcd on this machine.")
@click.option(
    "--brokers",
    "count",
    type=click.IntRange(1, MOST_BROKERS),
    metavar="N",
    default=3,
    show_default=True,
    help="How many.",
)
@click.option(
    "--data",
    metavar="DIR",
    default="./data-cluster",
    show_default=True,
    help="Directory for everything; what is there is taken up again.",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9092",
    show_default=True,
    callback=check_listen,
    help="Address of the first broker; the others take the ports behind it. Port 0: free ones.",
)
@click.option(
    "--dev",
    is_flag=True,
    help="Answer producers before records are on the disk: faster, and a power loss may lose them.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="One setting for every broker; may be repeated.",
)
@click.option("--etcd", metavar="PROGRAM", help="The etcd to run.  [default: the one on PATH]")
def up(
    *,
    count: int,
    data: str,
    listen: tuple[str, int],
    dev: bool,
    settings: tuple[str, ...],
    etcd: str | None,
) -> int:
    """Run some brokers and their etcd on this machine until Ctrl-C, for development.

    The first line that it prints tells programs where the brokers are. The data stay, and the next
    call takes them up again.
    """
    host, port = listen
    if port + count > 65536:
        raise click.UsageError(f"--listen: there are no {count} ports from {port} on")
    plan = ClusterPlan(os.path.abspath(data), count, host, port, dev, settings)
    try:
        program = find_etcd(etcd)
        lock = take_directory(plan.directory)
        try:
            ids = broker_ids_in(plan.directory)
            plan = replace(plan, known_count=len({*ids, *plan.broker_ids}))
            return LocalCluster(plan, program, lock).run()
        finally:
            lock.close()
    except CommandError as error:
        return refuse(str(error))


def take_directory(directory: str) -> OsLock:
    """The directory for this cluster alone. It stays taken until the last process of the cluster
    has ended, also when this one was killed. CommandError."""
    file_system = OsFileSystem()
    try:
        file_system.make_directory(directory)
        return file_system.lock(f"{directory}/{LOCK}")
    except BlockingIOError:
        raise CommandError(
            f"{directory} is in use by another cluster ({who_runs(directory)})"
        ) from None
    except OSError as error:
        raise CommandError(f"{directory} cannot be used: {error.strerror or error}") from None


def broker_ids_in(directory: str) -> list[int]:
    """Of which brokers there are data, whether they are started or not."""
    names = OsFileSystem().list_directory(directory)
    found = [name.removeprefix(BROKER) for name in names if name.startswith(BROKER)]
    return sorted(int(each) for each in found if each.isdecimal())


def who_runs(directory: str) -> str:
    """The processes that have taken a directory, as far as they can be told."""
    try:
        told = json.loads(OsFileSystem().read_file(f"{directory}/{PROCESSES}"))
        living = [f"{name} {pid}" for name, pid in told.items() if _lives(int(pid))]
    except (OSError, ValueError, AttributeError, TypeError):
        living = []
    return "processes: " + ", ".join(living) if living else "it is just starting"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class LocalCluster:
    """One run of the cluster. Mutable."""

    def __init__(self, plan: ClusterPlan, program: EtcdProgram, lock: OsLock) -> None:
        self._plan = plan
        self._program = program
        self._lock = lock
        self._children = Children(self._show_line)
        self._etcd: Child | None = None
        self._brokers: list[Child] = []
        self._stopping = False
        home = os.path.dirname(os.path.dirname(os.path.abspath(kbroker.__file__)))
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self) -> int:
        """Until somebody asks for an end, or nothing is left of it; the exit status."""
        with self._children.catching_signals():
            status = 1
            try:
                status = self._run()
            finally:
                is_orderly = self._stop()
        return status if is_orderly else 1

    def _run(self) -> int:
        metadata = self._start_etcd()
        if metadata is None:
            return 0
        self._start_brokers(metadata)
        if not self._wait_for_brokers():
            return 0
        etcd = f"etcd {self._program.version}"
        if self._program.is_old:
            etcd += ", good enough for development: production needs a newer one"
        text = ready_text(
            self._plan,
            [broker_address(broker.told) for broker in self._brokers],
            metadata=metadata,
            etcd=etcd,
            told_by_broker=self._brokers[0].told,
        )
        click.echo(text)
        self._warn_of_absent_brokers()
        return self._follow()

    # The start

    def _start_etcd(self) -> str | None:
        """Where the metadata is to be found, once it serves; None: an end was asked for."""
        directory = self._plan.directory
        client_port, peer_port = free_ports(2)
        command = etcd_command(
            self._program.path,
            f"{directory}/etcd",
            client_port=client_port,
            peer_port=peer_port,
        )
        self._etcd = self._start("etcd", command, log_path=f"{directory}/{ETCD_LOG}")

        def serves() -> bool:
            health = ask_health("127.0.0.1", client_port, ETCD_ASK_S)
            return not health.error and health.has_leader

        if not self._wait_until(serves, within_s=ETCD_READY_S, children=[self._etcd]):
            return None
        return f"etcd://127.0.0.1:{client_port}"

    def _start_brokers(self, metadata: str) -> None:
        for broker_id in self._plan.broker_ids:
            command = broker_command(
                self._plan, broker_id, metadata, allow_old_etcd=self._program.is_old
            )
            self._brokers.append(self._start(f"broker {broker_id}", command))
        pids = {child.name: child.process.pid for child in self._all()}
        note = json.dumps({"cluster": os.getpid(), **pids}).encode() + b"\n"
        write_atomically(OsFileSystem(), f"{self._plan.directory}/{PROCESSES}", note)

    def _start(self, name: str, command: list[str], log_path: str | None = None) -> Child:
        try:
            return self._children.start(
                name,
                command,
                environment=self._environment,
                log_path=log_path,
                inherited=(self._lock.fileno(),),
            )
        except OSError as error:
            raise CommandError(f"{name} cannot be started: {error.strerror or error}") from None

    def _wait_for_brokers(self) -> bool:
        """False: an end was asked for. CommandError: one did not come up."""
        return self._wait_until(
            lambda: all(LAST_READY_LINE in broker.told for broker in self._brokers),
            within_s=BROKERS_READY_S,
            children=self._all(),
        )

    def _wait_until(
        self, is_so: Callable[[], bool], *, within_s: float, children: list[Child]
    ) -> bool:
        """False: an end was asked for. CommandError: it did not come to that."""
        deadline = steady_s() + within_s
        while not is_so():
            if self._children.interrupts:
                return False
            for child in children:
                if not child.runs:
                    raise CommandError(self._why_ended(child))
            if steady_s() > deadline:
                late = [child.name for child in children if LAST_READY_LINE not in child.told]
                raise CommandError(f"not ready within {within_s:.0f} s: {', '.join(late)}")
            self._children.wait(PAUSE_S)
        return True

    def _why_ended(self, child: Child) -> str:
        assert child.status is not None
        if child is self._etcd:
            return (
                f"etcd {describe_end(child.status)}; why stands at the end of"
                f" {self._plan.directory}/{ETCD_LOG}"
            )
        own, is_reason, reason = child.last_words.partition("kbroker: ")
        told = f": {reason}" if is_reason and not own else ""
        return f"{child.name} {describe_end(child.status)}{told}"

    def _warn_of_absent_brokers(self) -> None:
        absent = sorted({*broker_ids_in(self._plan.directory)} - {*self._plan.broker_ids})
        if absent:
            self._say(
                "there are data of more brokers, which were not started: "
                + ", ".join(map(str, absent))
            )

    # The run and its end

    def _follow(self) -> int:
        ended: list[Child] = []
        while not self._children.interrupts:
            for child in self._all():
                if not child.runs and child not in ended:
                    ended.append(child)
                    self._say(f"{self._why_ended(child)}; the others go on")
            if not any(broker.runs for broker in self._brokers):
                self._say("no broker is left")
                return 1
            self._children.wait(timeout_s=60.0)
        return 1 if ended else 0

    def _stop(self) -> bool:
        """Brokers first, then etcd, which they need to take leave. True: none had to be killed."""
        self._stopping = True
        brokers = [broker for broker in self._brokers if broker.runs]
        killed = self._children.stop(brokers, within_s=BROKERS_STOP_S, now_s=steady_s)
        if self._etcd is not None and self._etcd.runs:
            killed += self._children.stop([self._etcd], within_s=ETCD_STOP_S, now_s=steady_s)
        for child in killed:
            self._say(f"{child.name} did not stop in time, and was killed")
        for broker in brokers:
            if broker.status and broker not in killed:
                self._say(self._why_ended(broker))
        return not killed and not any(broker.status for broker in brokers)

    def _all(self) -> list[Child]:
        return [*([] if self._etcd is None else [self._etcd]), *self._brokers]

    # What people see

    def _show_line(self, child: Child, line: str) -> None:
        number = self._brokers.index(child) if child in self._brokers else len(self._brokers)
        click.echo(
            click.style(f"{child.name} | ", fg=COLORS[number % len(COLORS)]) + line, err=True
        )

    def _say(self, words: str) -> None:
        click.echo(f"kbroker: {words}", err=True)
