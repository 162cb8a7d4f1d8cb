"""The brokers measured: how each is started, when it is ready, and how it is ended."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from bench.generator import last_line

READY_WITHIN_SECONDS = 20
PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE_CACHE = "log.flush.interval.messages=9223372036854775807"
"""Kafka's own default, which leaves flushing to the operating system."""

ADDRESS = re.compile(r"127\.0\.0\.1:[1-9]\d*")


class BrokerError(Exception):
    """A broker did not start; the text is one line."""


@dataclass(frozen=True, slots=True)
class Target:
    """A broker by name, with its command lines for both durability classes but for the data."""

    name: str
    page_cache: tuple[str, ...]
    flushed: tuple[str, ...]

    def command(self, data: str, *, is_flushed: bool) -> list[str]:
        return [*(self.flushed if is_flushed else self.page_cache), "--data", data]


def floor(*, loop: str, read: str) -> Target:
    module = (sys.executable, "-m", "bench.floor", "--listen", "127.0.0.1:0")
    command = (*module, "--loop", loop, "--read", read)
    return Target("floor", (*command, "--flush", "none"), (*command, "--flush", "group"))


def kbroker(settings: list[str]) -> Target:
    """`settings` are further key=value pairs; flushing each append is kbroker's default."""
    module = (sys.executable, "-m", "kbroker", "--listen", "127.0.0.1:0")
    command = (*module, *(word for setting in settings for word in ("--set", setting)))
    return Target("kbroker", (*command, "--set", PAGE_CACHE), command)


@dataclass(slots=True)
class RunningBroker:
    process: subprocess.Popen[str]
    address: str
    started_at: float
    ready_seconds: float

    @property
    def pid(self) -> int:
        return self.process.pid

    def resident_bytes(self) -> int:
        """Memory in RAM now; 0 where there is no /proc."""
        try:
            with open(f"/proc/{self.pid}/status", encoding="utf-8") as lines:
                for line in lines:
                    if line.startswith("VmRSS:"):
                        return int(line.split()[1]) * 1024
        except OSError:
            pass
        return 0


@contextmanager
def running(
    target: Target, data_root: str, *, is_flushed: bool, core: int | None
) -> Iterator[RunningBroker]:
    """A fresh broker on a fresh data directory; afterwards neither is left."""
    directory = tempfile.mkdtemp(prefix=f"bench-{target.name}-", dir=data_root)
    try:
        # An existing empty directory: the floor wants one and kbroker takes one.
        data = os.path.join(directory, "data")
        os.mkdir(data)
        with open(os.path.join(directory, "stderr"), "w+", encoding="utf-8") as stderr:
            broker = start(target.command(data, is_flushed=is_flushed), stderr, core)
            try:
                yield broker
            finally:
                end(broker.process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def start(command: list[str], stderr: IO[str], core: int | None) -> RunningBroker:
    """Starts it on `core` and waits for the line on stdout that says where it listens."""
    own_cores = os.sched_getaffinity(0) if core is not None else set()
    if core is not None:
        os.sched_setaffinity(0, {core})  # inherited, so that its start is pinned too
    started_at = time.perf_counter()
    try:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    finally:
        if core is not None:
            os.sched_setaffinity(0, own_cores)
    assert process.stdout is not None
    impatience = threading.Timer(READY_WITHIN_SECONDS, process.kill)
    impatience.start()
    try:
        for line in process.stdout:
            if found := ADDRESS.search(line):
                ready_seconds = time.perf_counter() - started_at
                threading.Thread(target=drain, args=(process.stdout,), daemon=True).start()
                return RunningBroker(process, found[0], started_at, ready_seconds)
    except BaseException:
        end(process)
        raise
    finally:
        impatience.cancel()
    end(process)
    stderr.seek(0)
    why = last_line(stderr.read()) or f"status {process.returncode}, nothing on stderr"
    raise BrokerError(f"did not start: {why}")


def drain(lines: IO[str]) -> None:
    for _ in lines:
        pass


def end(process: subprocess.Popen[str]) -> None:
    """Ends the broker and whatever it started, at once: a clean stop would flush data that is
    about to be removed, and keep the disk busy under the next measurement."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # its own group, see start()
    process.wait()
