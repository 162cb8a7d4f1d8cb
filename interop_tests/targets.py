"""What is under test: brokers as processes on loopback, chosen by `--target`.

A target starts on a directory of its own with settings in Kafka's keys, keeps its address over a
restart, and ends cleanly or by SIGKILL. Scenarios know nothing else about it, so an image or a
cluster is one more class in TARGETS.
"""

from __future__ import annotations

import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from interop_tests.cluster_target import ClusterTarget, why_no_cluster
from interop_tests.image_target import ImageTarget, why_no_image

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
PORTS = range(21_000, 32_000, 2)
"""Where Kafka's listeners go, in pairs: below the range that outgoing connections take, so that a
restart finds its port free."""


class Target(Protocol):
    """A broker."""

    address: str
    """host:port, once started; the same after a restart."""

    def start(self) -> None:
        """Starts, with the data that is there, and returns when it answers."""

    def stop(self) -> None:
        """SIGTERM, and waits for the end."""

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""

    def remove(self) -> None:
        """Ends it, if it runs, and leaves nothing behind but what lies in its directory."""


class ProcessTarget:
    """`python -m kbroker`. Mutable: its process and, once known, its address."""

    def __init__(
        self, directory: Path, settings: Mapping[str, str], address: str = "127.0.0.1:0"
    ) -> None:
        self.address = address
        self._directory = directory
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "kbroker", "--listen", self.address]
        command += ["--data", str(self._directory / "data")]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value}"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, lines), daemon=True).start()
        try:
            self.address = self._ready_address(lines)
        except BaseException:
            self.kill()
            raise

    def _listen(self, process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        """Keeps what the broker prints in broker.log, and hands it on to who seeks the ready
        line."""
        assert process.stdout is not None
        with (self._directory / "broker.log").open("a") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                lines.put(line)
        lines.put(None)

    @staticmethod
    def _ready_address(lines: queue.Queue[str | None]) -> str:
        """The one of the ready line."""
        seen = ""
        while True:
            line = lines.get(timeout=START_TIMEOUT_S)
            assert line is not None, f"the broker ended before it was ready: {seen}"
            if found := re.search(r"is ready on (127\.0\.0\.1:[1-9]\d*)", line):
                return found[1]
            seen += line

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None


class KafkaTarget:
    """Apache Kafka through tools/apache-kafka."""

    TOOL = ROOT / "tools" / "apache-kafka" / "kafka"

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self._port = _free_port_pair()
        self.address = f"127.0.0.1:{self._port}"
        self._directory = directory
        self._settings = settings

    def start(self) -> None:
        settings = [f"{key}={value}" for key, value in self._settings.items()]
        self._tool("start", str(self._directory), str(self._port), *settings)

    def stop(self) -> None:
        self._tool("stop", str(self._directory))

    def kill(self) -> None:
        self._tool("kill", str(self._directory))

    def remove(self) -> None:
        self.stop()

    def _tool(self, *arguments: str) -> None:
        done = subprocess.run([str(self.TOOL), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"{self.TOOL} {' '.join(arguments)}: {done.stderr}"


def _free_port_pair() -> int:
    """A port whose successor is free too; a random one, since other workers look at the same
    time."""
    for port in random.sample(PORTS, len(PORTS)):
        try:
            with (
                socket.create_server(("127.0.0.1", port)),
                socket.create_server(("127.0.0.1", port + 1)),
            ):
                return port
        except OSError:
            continue
    raise AssertionError(f"no two free ports in {PORTS}")


def _image_target(directory: Path, settings: Mapping[str, str]) -> Target:
    return ImageTarget(directory, settings, _free_port_pair())


def _cluster_target(directory: Path, settings: Mapping[str, str]) -> Target:
    def make_member(home: Path, own: Mapping[str, str]) -> ProcessTarget:
        # A restart finds its port free although others connect meanwhile.
        return ProcessTarget(home, own, f"127.0.0.1:{_free_port_pair()}")

    return ClusterTarget(directory, settings, make_member)


TARGETS: dict[str, Callable[[Path, Mapping[str, str]], Target]] = {
    "process": ProcessTarget,
    "kafka": KafkaTarget,
    "image": _image_target,
    "cluster": _cluster_target,
}
"""What `--target` can name."""

MISSING: dict[str, Callable[[], str | None]] = {
    "image": why_no_image,
    "cluster": why_no_cluster,
}
"""Prepares a target once for a whole run, or says what this machine lacks for it."""
