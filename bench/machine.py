"""The machine under the measurement: what it is, which cores to use, where the data lies."""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from dataclasses import dataclass

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the broker and the load run; None where the machine has one core or cannot pin."""

    broker: int | None
    load: int | None

    def __str__(self) -> str:
        if self.broker is None:
            return "not pinned"
        return f"broker on core {self.broker}, load on core {self.load}"


def choose_cores() -> Cores:
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[-1], usable[0]) if len(usable) > 1 else Cores(None, None)


def describe() -> dict[str, str]:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "cpu": f"{cpu_model()}, {os.cpu_count()} cores",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "load average before": load,
    }


class Neighbours:
    """How much of the machine others used from construction on: figures suffer from it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.busy = busy_seconds() - own_seconds()

    def __str__(self) -> str:
        cores = (busy_seconds() - own_seconds() - self.busy) / (time.monotonic() - self.began)
        return f"other processes used {max(cores, 0):.1f} of {os.cpu_count()} cores meanwhile"


def busy_seconds() -> float:
    """CPU time the machine has spent in all processes and interrupts; 0 where it cannot say."""
    try:
        with open("/proc/stat", encoding="utf-8") as lines:
            user, nice, system, _, _, irq, softirq, *_ = map(int, lines.readline().split()[1:])
    except OSError:
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Of this process and of all that it started and that has ended."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in own)


def cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def file_system_of(path: str, mounts: str) -> str:
    """The type of the file system that holds `path`, by the text of /proc/mounts."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        _, mount_point, mount_kind, *_ = line.split()
        inside = path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best):
            best, kind = mount_point, mount_kind
    return kind


def read_mounts() -> str:
    try:
        with open("/proc/mounts", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def choose_data_root() -> tuple[str, str]:
    """A directory for temporary data, on a real disk where there is one, and its file system."""
    mounts = read_mounts()
    build = os.path.join(os.path.dirname(os.path.abspath(__file__)), "build")
    candidates = [tempfile.gettempdir(), "/var/tmp", build]
    for path in candidates:
        kind = file_system_of(os.path.realpath(path), mounts)
        if os.access(path, os.W_OK) and kind not in ("tmpfs", "ramfs"):
            return path, kind
    return candidates[0], file_system_of(os.path.realpath(candidates[0]), mounts)


def prime_page_cache(directory: str, size: int) -> None:
    """Writes and removes a file, so that the next writes find memory the machine has touched.

    A virtual machine hands freed memory back to its host within seconds; a page used for the
    first time then costs a fault on the host, ten times its write. On bare metal this is a no-op
    in effect.
    """
    if not size:
        return
    chunk = bytes(CHUNK_BYTES)
    path = os.path.join(directory, "prime")
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // CHUNK_BYTES):
            file.write(chunk)
    os.remove(path)
