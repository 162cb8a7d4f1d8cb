"""A broker as a process of its own: started, killed, stopped, and what it said.

Every wait ends: with what it is for, with the process, or with a deadline that only a hang reaches.
"""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 60.0
READY = re.compile(r"kbroker is ready on (.+)")
LAST_READY_LINE = "  python "

Address = tuple[str, int]


class BrokerProcess:
    """`python -m kbroker` with these arguments. Standard error goes to the file `log_path`."""

    program: Sequence[str] = ("-m", "kbroker")

    def __init__(
        self,
        *arguments: str,
        log_path: Path,
        prefix: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.log_path = log_path
        clean = {key: value for key, value in os.environ.items() if not key.startswith("KAFKA_")}
        with log_path.open("ab") as errors:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, *self.program, *arguments],
                cwd=ROOT,
                env={**clean, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.output = ""

    @property
    def errors(self) -> str:
        """All of its standard error so far, and of earlier processes with the same file."""
        return self.log_path.read_text()

    @property
    def refusal(self) -> str:
        """The one line that says why it ended."""
        lines = [line for line in self.errors.splitlines() if line.startswith("kbroker: ")]
        assert len(lines) == 1, self.errors
        assert "Traceback" not in self.errors, self.errors
        return lines[0]

    def wait_until_ready(self) -> "BrokerProcess":
        while LAST_READY_LINE not in self.output:
            if not self._read_some():
                status = self.wait()
                raise AssertionError(f"not ready, status {status}:\n{self.errors}")
        return self

    def is_ready_within(self, seconds: float) -> bool:
        """Whether it is ready after waiting so long at most; an end before that is an error."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        if readable and not self._read_some():
            raise AssertionError(f"not ready, status {self.wait()}:\n{self.errors}")
        return LAST_READY_LINE in self.output

    @property
    def addresses(self) -> list[Address]:
        """Of each listener, in the order of `listeners`."""
        match = READY.search(self.output)
        assert match is not None, self.output
        found = []
        for text in match[1].split(", "):
            host, _, port = text.split(" ")[0].rpartition(":")
            found.append((host.strip("[]"), int(port)))
        return found

    @property
    def address(self) -> Address:
        return self.addresses[0]

    def kill(self) -> None:
        """kill -9, and its end."""
        self.process.kill()
        self.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait; its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit status, negative if a signal ended it."""
        while self._read_some():
            pass
        return self.process.wait(timeout=DEADLINE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read_some(self) -> bool:
        """More of its standard output; False at the end of it."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        readable, _, _ = select.select([descriptor], [], [], DEADLINE_S)
        assert readable, f"no sign of life for {DEADLINE_S} s: {self.errors}"
        data = os.read(descriptor, 65536)
        self.output += data.decode()
        return bool(data)


@contextmanager
def started(
    data: Path, *arguments: str, prefix: Sequence[str] = (), **environment: str
) -> Iterator[BrokerProcess]:
    """A broker on `data` and a free port of 127.0.0.1, not yet ready; killed at the end."""
    broker = BrokerProcess(
        *("--data", str(data), "--listen", "127.0.0.1:0", *arguments),
        log_path=data.parent / f"{data.name}.stderr",
        prefix=prefix,
        **environment,
    )
    try:
        yield broker
    finally:
        broker.close()


@contextmanager
def running(data: Path, *arguments: str, **environment: str) -> Iterator[BrokerProcess]:
    """The same, ready."""
    with started(data, *arguments, **environment) as broker:
        yield broker.wait_until_ready()
