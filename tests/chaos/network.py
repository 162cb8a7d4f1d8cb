"""Machines of one kernel: a network namespace each, a bridge between them, a firewall to cut them.

The bridge lies in a namespace of its own, the hub, and so do the clients and whoever runs all of
this: no address, device or rule of the machine's own is touched, and all addresses are free.
Needs Linux, root, iproute2, nsenter (util-linux), and nft or iptables.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PREFIX = "kbchaos"
HUB = "10.213.0.1"
NAMED = Path("/run/netns")
COMMAND_S = 30.0
CLONE_NEWNET = 0x40000000
CLIENT_PORT = 9092
INTERNAL_PORT = 9094
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one machine: a broker's for clients and for brokers, etcd's for clients and members."""

    client: int = CLIENT_PORT
    internal: int = INTERNAL_PORT
    etcd: int = ETCD_PORT
    etcd_peer: int = ETCD_PEER_PORT


@dataclass(frozen=True, slots=True)
class Rule:
    """What is dropped without a word on its way into a machine, or out of it. None: any."""

    is_input: bool
    peer: str | None = None
    port: int | None = None
    """Of the destination, TCP."""


class Network(Protocol):
    can_cut: bool

    def address(self, machine: int) -> str: ...

    def ports(self, machine: int) -> Ports: ...

    def prefix(self, machine: int) -> tuple[str, ...]:
        """Before the command of a process of that machine."""
        ...

    def cut(self, machine: int, kind: str) -> None: ...

    def heal(self, machine: int) -> None: ...


CUTS = ("isolated", "deaf", "mute", "unplugged", "no-etcd", "no-brokers")


def cut_rules(kind: str, others: Sequence[str]) -> list[Rule]:
    """What each cut drops; `others` are the addresses of the other machines."""
    both = (True, False)
    match kind:
        case "isolated":  # clients still reach it
            return [Rule(way, each) for each in others for way in both]
        case "deaf":  # one way: what others send does not arrive
            return [Rule(True, each) for each in others]
        case "mute":
            return [Rule(False, each) for each in others]
        case "unplugged":
            return [Rule(way, each) for each in (*others, HUB) for way in both]
        case "no-etcd":  # its own member as well
            return [Rule(False, port=ETCD_PORT)]
        case "no-brokers":
            return [Rule(way, each, INTERNAL_PORT) for each in others for way in both]
        case _:
            raise ValueError(kind)


def nft_words(rule: Rule) -> list[str]:
    chain, end = ("input", "saddr") if rule.is_input else ("output", "daddr")
    peer = [] if rule.peer is None else ["ip", end, rule.peer]
    port = [] if rule.port is None else ["tcp", "dport", str(rule.port)]
    return ["nft", "add", "rule", "inet", PREFIX, chain, *peer, *port, "drop"]


def iptables_words(rule: Rule) -> list[str]:
    chain, end = ("INPUT", "--source") if rule.is_input else ("OUTPUT", "--destination")
    peer = [] if rule.peer is None else [end, rule.peer]
    port = [] if rule.port is None else ["--protocol", "tcp", "--dport", str(rule.port)]
    return ["iptables", "-w", "-A", chain, *peer, *port, "-j", "DROP"]


NFT_START = (
    ["nft", "add", "table", "inet", PREFIX],
    *(
        [
            *("nft", "add", "chain", "inet", PREFIX, each),
            f"{{ type filter hook {each} priority 0 ; }}",
        ]
        for each in ("input", "output")
    ),
)
NFT_HEAL = (["nft", "flush", "table", "inet", PREFIX],)
IPTABLES_HEAL = (["iptables", "-w", "-F"],)


def reason_against_namespaces() -> str | None:
    """Why machines of their own cannot be had here; None: they can."""
    if not sys.platform.startswith("linux"):
        return "no network namespaces: this is not Linux"
    if os.geteuid() != 0:
        return "no network namespaces: they need root"
    for program, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(program) is None:
            return f"no network namespaces: {program} is not installed ({package})"
    if shutil.which("nft") is None and shutil.which("iptables") is None:
        return "no network namespaces: neither nft nor iptables is installed"
    name = f"{PREFIX}-{os.getpid()}-probe"
    try:
        command("ip", "netns", "add", name)
        command("ip", "netns", "del", name)
    except NetworkError as error:
        return f"no network namespaces: {error}"
    return None


class NetworkError(Exception):
    """A command of the system's refused. The message has both."""


def command(*words: str) -> str:
    """Its output; NetworkError."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
            text=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NetworkError(f"{' '.join(words)}: {error}") from error
    if done.returncode:
        raise NetworkError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Namespaces:
    """Made by `namespaces`. Machines are numbered from 1 on."""

    can_cut = True

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.count = count
        self.has_nft = shutil.which("nft") is not None

    def address(self, machine: int) -> str:
        return f"10.213.0.{10 + machine}"

    def ports(self, machine: int) -> Ports:
        return Ports()

    def prefix(self, machine: int) -> tuple[str, ...]:
        # Not `ip netns exec`: that has mounts of its own, and hides those that come later.
        return ("nsenter", f"--net={NAMED / self.namespace(machine)}")

    def namespace(self, machine: int) -> str:
        """0: the hub."""
        return f"{self.name}-{machine}"

    def cut(self, machine: int, kind: str) -> None:
        others = [self.address(each) for each in self._machines() if each != machine]
        render = nft_words if self.has_nft else iptables_words
        self._run(machine, map(render, cut_rules(kind, others)))

    def heal(self, machine: int) -> None:
        self._run(machine, NFT_HEAL if self.has_nft else IPTABLES_HEAL)

    def make(self, stack: ExitStack) -> None:
        """All of it; taken away again by the stack."""
        for each in (0, *self._machines()):
            command("ip", "netns", "add", self.namespace(each))
            stack.callback(remove, self.namespace(each))
        hub = ("ip", "-n", self.namespace(0))
        command(*hub, "link", "add", "bridge", "type", "bridge")
        command(*hub, "address", "add", f"{HUB}/24", "dev", "bridge")
        for each in ("lo", "bridge"):
            command(*hub, "link", "set", each, "up")
        for each in self._machines():
            own = ("ip", "-n", self.namespace(each))
            pair = ("type", "veth", "peer", "name", "eth0", "netns", self.namespace(each))
            command(*hub, "link", "add", f"m{each}", *pair)
            command(*hub, "link", "set", f"m{each}", "master", "bridge", "up")
            command(*own, "address", "add", f"{self.address(each)}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                command(*own, "link", "set", device, "up")
            if self.has_nft:
                self._run(each, NFT_START)

    def _machines(self) -> range:
        return range(1, self.count + 1)

    def _run(self, machine: int, commands: Iterable[Sequence[str]]) -> None:
        for words in commands:
            command(*self.prefix(machine), *words)


class Loopback:
    """Where there are no namespaces: processes side by side, and nothing to cut."""

    can_cut = False

    def __init__(self, count: int, free_ports: Sequence[int]) -> None:
        """`free_ports`: four for each machine."""
        self._ports = [Ports(*free_ports[4 * each : 4 * each + 4]) for each in range(count)]

    def address(self, machine: int) -> str:
        return "127.0.0.1"

    def ports(self, machine: int) -> Ports:
        return self._ports[machine - 1]

    def prefix(self, machine: int) -> tuple[str, ...]:
        return ()

    def cut(self, machine: int, kind: str) -> None:
        raise NetworkError("there is nothing to cut on loopback")

    def heal(self, machine: int) -> None:
        return None


@contextmanager
def namespaces(count: int) -> Iterator[Namespaces]:
    """Machines 1 to `count`; the calling thread, and those it starts, are in the hub meanwhile."""
    for name in stale(command("ip", "netns", "list"), lives):
        remove(name)
    network = Namespaces(f"{PREFIX}-{os.getpid()}", count)
    with ExitStack() as stack:
        network.make(stack)
        stack.enter_context(inside(NAMED / network.namespace(0)))
        yield network


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """The calling thread is in a network namespace."""
    with open("/proc/thread-self/ns/net", "rb") as before, namespace.open("rb") as wanted:
        enter(wanted.fileno())
        try:
            yield
        finally:
            enter(before.fileno())


def enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns comes with Python 3.12
    if libc.setns(descriptor, CLONE_NEWNET):
        raise NetworkError(f"setns: {os.strerror(ctypes.get_errno())}")


def remove(name: str) -> None:
    """Its devices go when its last process has ended."""
    with contextlib.suppress(NetworkError):
        command("ip", "netns", "del", name)


def stale(listed: str, is_alive: Callable[[int], bool]) -> list[str]:
    """Of `ip netns list`: what a run left that was killed itself."""
    found = []
    for line in listed.splitlines():
        name = line.split(" ")[0]
        prefix, _, rest = name.partition("-")
        pid = rest.partition("-")[0]
        if prefix == PREFIX and pid.isdecimal() and not is_alive(int(pid)):
            found.append(name)
    return found


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
