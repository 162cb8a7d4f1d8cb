"""The processes of a local cluster: started, listened to, and ended, each by its own pid.

They are out of reach of the terminal's Ctrl-C, so that whoever started them decides in which order
they end. One thread waits for whatever comes first: a line, an end, a signal.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

READ_BYTES = 1 << 16
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_LINE_BYTES = 1 << 20
"""Of a line that does not end: what is there is taken for one."""


@dataclass(slots=True)
class Child:
    """A process. Mutable: `told` is what it has printed on its standard output so far."""

    name: str
    process: subprocess.Popen[bytes]
    told: str = ""
    status: int | None = None  # None: it runs; negative: the signal that ended it
    last_words: str = ""  # the last line on its standard error
    _rest: bytearray = field(default_factory=bytearray)

    @property
    def runs(self) -> bool:
        return self.status is None

    def signal(self, number: signal.Signals) -> None:
        if self.runs:
            self.process.send_signal(number)

    def take(self, data: bytes) -> Iterator[str]:
        """Whole lines of its standard error; nothing: it has ended."""
        self._rest += data
        if (not data or len(self._rest) > MAX_LINE_BYTES) and self._rest:
            self._rest += b"\n"
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            self.last_words = line.decode(errors="replace")
            yield self.last_words


class Children:
    """Mutable: the processes in the order in which they were started.

    `on_line` is told each line of a standard error. Only within `catching_signals` do signals end a
    wait.
    """

    def __init__(self, on_line: Callable[[Child, str], None]) -> None:
        self.interrupts = 0
        """How often somebody has asked for an end since the start."""
        self._on_line = on_line
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_path: str | None = None,
        inherited: Sequence[int] = (),
    ) -> Child:
        """Start a process; its standard error is read, or goes to the end of a file. OSError.

        `inherited` are descriptors that it keeps open for as long as it lives.
        """
        descriptor = None
        if log_path is not None:
            descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if descriptor is None else descriptor,
                env=environment,
                pass_fds=inherited,
                start_new_session=True,
            )
        finally:
            if descriptor is not None:
                os.close(descriptor)
        child = Child(name, process)
        self._children.append(child)
        for stream in filter(None, (process.stdout, process.stderr)):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, child)
        return child

    def wait(self, timeout_s: float) -> None:
        """Until something has happened that was not known before, or the time is over."""
        for key, _ in self._selector.select(timeout_s):
            stream, child = key.fileobj, key.data
            if child is None:
                with suppress(BlockingIOError):
                    os.read(key.fd, READ_BYTES)  # signals: their handler has counted them
                continue
            self._read(stream, child)  # type: ignore[arg-type]

    def _read(self, stream: IO[bytes], child: Child) -> None:
        try:
            data = os.read(stream.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        if stream is child.process.stdout:
            child.told += data.decode(errors="replace")
        else:
            for line in child.take(data):
                self._on_line(child, line)
        if data:
            return
        self._selector.unregister(stream)
        stream.close()
        streams = (child.process.stdout, child.process.stderr)
        if all(each is None or each.closed for each in streams):
            child.status = child.process.wait()

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """What asks for an end is counted in the block, and ends a wait. For the main thread."""

        def count(number: int, frame: FrameType | None) -> None:
            self.interrupts += 1

        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._selector.register(reading, selectors.EVENT_READ, None)
        before = {each: signal.signal(each, count) for each in ENDING}
        wakeup = signal.set_wakeup_fd(writing)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(reading)
            os.close(reading)
            os.close(writing)

    def stop(
        self, children: Sequence[Child], *, within_s: float, now_s: Callable[[], float]
    ) -> list[Child]:
        """SIGTERM to these, and SIGKILL to those that still run after `within_s`, or when somebody
        asks for an end once more. All have ended then; the killed ones are the answer."""
        asked = self.interrupts
        deadline = now_s() + within_s
        for child in children:
            child.signal(signal.SIGTERM)
        while any(child.runs for child in children):
            left = deadline - now_s()
            if left <= 0 or self.interrupts > asked:
                break
            self.wait(left)
        killed = [child for child in children if child.runs]
        for child in killed:
            child.signal(signal.SIGKILL)
        for child in killed:
            child.status = child.process.wait()
        return killed


def describe_end(status: int) -> str:
    """How a process ended, in words that follow its name."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
