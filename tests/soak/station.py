"""The broker of a soak and the disk under it: started, killed, stopped, frozen, started again."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

from tests.process.broker_process import BrokerProcess
from tests.soak.failing_disk import FailingDisk
from tests.soak.scene import Scene

SETTINGS = (
    "log.segment.bytes=1048576",
    "log.retention.ms=-1",
    "log.flush.offset.checkpoint.interval.ms=500",
    "offsets.topic.num.partitions=2",
    "group.min.session.timeout.ms=1000",
)
ARGUMENTS = [word for setting in SETTINGS for word in ("--set", setting)]
TOLD_LINES = 40


class StationError(Exception):
    """The broker did what it must not: did not start, or ended where nothing asked it to."""


class Station:
    """Mutable. Without a disk of ours, `data` is a plain directory."""

    def __init__(self, data: Path, scene: Scene, disk: FailingDisk | None) -> None:
        self.data = data
        self.disk = disk
        self._scene = scene
        self._errors = data.with_suffix(".stderr")
        self._broker: BrokerProcess | None = None

    @property
    def broker(self) -> BrokerProcess:
        assert self._broker is not None
        return self._broker

    def start(self) -> None:
        host, port = self._scene.address
        self._broker = BrokerProcess(
            *("--data", str(self.data), "--listen", f"{host}:{port}", *ARGUMENTS),
            log_path=self._errors,
        )
        try:
            self._broker.wait_until_ready()
        except AssertionError as error:
            raise StationError(f"the broker does not start: {self.last_words()}") from error

    def check(self) -> None:
        """It must be running. StationError."""
        status = self.broker.process.poll()
        if status is not None:
            raise StationError(f"the broker ended, status {status}: {self.last_words()}")

    def kill(self) -> None:
        self.broker.kill()
        self._ended()

    def terminate(self) -> None:
        """In order; StationError if it says that all was not well."""
        status = self.broker.stop(signal.SIGTERM)
        self._ended()
        if status != 0:
            raise StationError(f"SIGTERM ended it with status {status}: {self.last_words()}")

    def pause(self) -> None:
        self.broker.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.broker.process.send_signal(signal.SIGCONT)

    def ended_within(self, seconds: float) -> int | None:
        """Its status if it ends by itself in so many seconds."""
        try:
            status = self.broker.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._ended()
        return status

    def lose_power(self, seed: int) -> None:
        assert self.disk is not None
        if not self.disk.check_frozen():
            self.disk.freeze()
        self.broker.process.kill()
        self.disk.release()
        self.broker.wait()
        self._ended()
        self.disk.lose_power(seed)

    def close(self) -> None:
        if self._broker is not None:
            self._broker.process.kill()
            if self.disk is not None:
                self.disk.release()
            self._broker.close()

    def last_words(self) -> str:
        lines = self._errors.read_text().splitlines()[-TOLD_LINES:]
        return "\n".join(["", *lines])

    def _ended(self) -> None:
        self._scene.broker_ended()
        self.broker.close()


def free_port() -> int:
    """One that the broker can have again and again; nobody else asks for it meanwhile, we hope."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
