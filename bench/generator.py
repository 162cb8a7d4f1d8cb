"""Compiles wireload.c when it is newer than its program, and runs it; its answer is a Sample."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TypedDict

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("wireload.c", "frames.h")
PROGRAM = os.path.join(HERE, "build", "wireload")
PATIENCE_SECONDS = 20
"""Beyond the asked measuring time, before a generator that hangs is ended."""


class Sample(TypedDict):
    """One run of the generator; `broker_cpu_seconds` covers exactly its measured part."""

    kind: str
    requests: int
    errors: int
    first_error: int
    seconds: float
    payload_bytes: float
    requests_per_second: float
    bytes_per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    cpu_seconds: float
    broker_cpu_seconds: float


class GeneratorError(Exception):
    """The generator could not be built, or its load failed; the text is one line."""


def build() -> None:
    sources = [os.path.join(HERE, name) for name in SOURCES]
    newest = max(os.stat(source).st_mtime for source in sources)
    if os.path.exists(PROGRAM) and os.stat(PROGRAM).st_mtime >= newest:
        return
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise GeneratorError(
            "the load generator needs a C compiler (cc, gcc or $CC), and there is none"
        )
    os.makedirs(os.path.dirname(PROGRAM), exist_ok=True)
    unfinished = f"{PROGRAM}.{os.getpid()}"  # two runs may build at once
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", unfinished, sources[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GeneratorError(f"{' '.join(command)} failed: {last_line(done.stderr)}")
    os.replace(unfinished, PROGRAM)


def run(kind: str, address: str, topic: str, *arguments: str, seconds: float = 0) -> str:
    """Runs one command of wireload and returns what it printed."""
    command = [PROGRAM, kind, f"--address={address}", f"--topic={topic}", *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise GeneratorError(f"{kind} hung and was ended") from None
    if done.returncode:
        raise GeneratorError(last_line(done.stderr) or f"wireload {kind}: {done.returncode}")
    return done.stdout


def create_topic(address: str, topic: str, partitions: int = 1) -> None:
    run("create", address, topic, f"--partitions={partitions}")


def measure(
    kind: str,
    address: str,
    topic: str,
    *arguments: str,
    seconds: float,
    warmup_seconds: float,
    broker_pid: int,
) -> Sample:
    printed = run(
        kind,
        address,
        topic,
        *arguments,
        f"--seconds={seconds}",
        f"--warmup={warmup_seconds}",
        f"--broker-pid={broker_pid}",
        seconds=seconds + warmup_seconds,
    )
    sample: Sample = json.loads(printed)
    return sample


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
