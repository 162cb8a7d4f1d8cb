"""A command in a real terminal: what is typed reaches it, Ctrl-C as its signal; what it shows."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from tests.process.broker_process import DEADLINE_S, ROOT

PROGRAM = (sys.executable, "-m", "kbroker")


def _at_the_terminal() -> None:
    """In the child: the terminal is its own, and Ctrl-C is its default, which whoever started the
    tests in the background has taken away from all of them."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A program whose input, output and errors are a terminal of 80 columns."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.master, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, 80))
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            preexec_fn=_at_the_terminal,
        )
        os.close(terminal)
        self.shown = ""

    def read_until(self, words: str) -> None:
        while words not in self.shown:
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def finish(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        return self.process.wait(timeout=DEADLINE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=DEADLINE_S)
        os.close(self.master)

    def _read(self) -> bool:
        readable, _, _ = select.select([self.master], [], [], DEADLINE_S)
        assert readable, f"no sign of life: {self.shown}"
        try:
            data = os.read(self.master, 65536)
        except OSError:  # Linux: whoever had the terminal open is gone
            return False
        self.shown += data.decode()
        return bool(data)


@contextmanager
def terminal(environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    program = Terminal(environment, *arguments)
    try:
        yield program
    finally:
        program.close()
