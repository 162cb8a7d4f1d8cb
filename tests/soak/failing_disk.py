"""A failing disk for a process: a mount of our own, and what to do to it (see disk_tree.py)."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWER_S = 60.0


def reason_against_fuse() -> str | None:
    """Why no failing disk can be had here; None: it can."""
    if not sys.platform.startswith("linux"):
        return "no FUSE: this is not Linux"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no FUSE: /dev/fuse is not there, or not for us"
    if shutil.which("fusermount3") is None:
        return "no FUSE: fusermount3 is not installed (tools/install_fuse)"
    if importlib.util.find_spec("mfusepy") is None:
        return "no FUSE: mfusepy is not installed"
    return None


class FailingDisk:
    """A mounted disk, empty at first. Mutable; used as a context."""

    def __init__(self, mountpoint: Path) -> None:
        self.path = mountpoint
        self.is_frozen = False
        self._buffer = b""
        self._lines: list[dict[str, Any]] = []

    def __enter__(self) -> FailingDisk:
        self.path.mkdir(parents=True, exist_ok=True)
        # What FUSE says on standard error matters only where the disk does not come up.
        self._errors = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C at the terminal reaches us, who then end it in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.disk_server", str(self.path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        self._wait_until_mounted()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(ANSWER_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._errors.close()

    # What to do to it.

    def fail(
        self,
        operation: str,
        pattern: str = "*",
        *,
        error: int = errno.EIO,
        skip: int = 0,
        count: int | None = None,
    ) -> None:
        """`operation` of FUSE on matching paths fails, after `skip` times, `count` times."""
        self._do("fail", operation=operation, pattern=pattern, error=error, skip=skip, count=count)

    def slow_fsync(self, pattern: str, seconds: float) -> None:
        self._do("slow_fsync", pattern=pattern, seconds=seconds)

    def leave_room(self, more_bytes: int) -> None:
        """It is full after so many more bytes, until healed."""
        self._do("leave_room", more_bytes=more_bytes)

    def heal(self) -> None:
        self._do("heal")

    def counts(self) -> dict[str, int]:
        """`changes`, `fsyncs`, `reads` and `errors` since the mount."""
        return dict(self._do("counts"))

    def drop_caches(self) -> None:
        """What a failed fsync left in the page cache is read from the disk from now on."""
        self._do("drop_caches")

    def freeze_after(self, changes: int) -> None:
        """The power goes before the change after so many more: see `wait_until_frozen`."""
        self._do("freeze_after", changes=changes)

    def freeze(self) -> None:
        self._do("freeze")

    def fileno(self) -> int:
        """Readable when there may be news: see `check_frozen`."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def check_frozen(self) -> bool:
        """Whether the power is gone by now."""
        while self._read(0.0):
            pass
        return self.is_frozen

    def wait_until_frozen(self, seconds: float) -> bool:
        while not self.is_frozen and self._read(seconds):
            pass
        return self.is_frozen

    def release(self) -> None:
        """Frozen as it is, it lets go of whoever hangs on it and has been killed."""
        self._do("release")

    def lose_power(self, seed: int) -> None:
        """Mount anew what survives. Whoever used it must have been killed."""
        self._do("lose_power", seed=seed)
        self._wait_until_mounted()

    def keep_power(self) -> None:
        """Mount anew all that was written; healed."""
        self._do("keep_power")
        self._wait_until_mounted()

    def erase(self) -> None:
        """Mount an empty one."""
        self._do("erase")
        self._wait_until_mounted()

    # The process.

    def _do(self, what: str, **words: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **words}).encode() + b"\n")
        self._process.stdin.flush()
        return self._wait_for("done")

    def _wait_until_mounted(self) -> None:
        while self._wait_for("event") != "mounted":
            pass
        self.is_frozen = False

    def _wait_for(self, key: str) -> Any:
        while True:
            for line in self._lines:
                if key in line:
                    self._lines.remove(line)
                    return line[key]
            assert self._read(ANSWER_S), f"the disk at {self.path} does not answer"

    def _read(self, seconds: float) -> bool:
        readable, _, _ = select.select([self.fileno()], [], [], seconds)
        if not readable:
            return False
        data = os.read(self.fileno(), 65536)
        if not data:
            self._errors.seek(0)
            errors = self._errors.read().decode(errors="replace")
            raise AssertionError(f"the disk at {self.path} is gone: {errors}")
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in map(json.loads, lines):
            if line == {"event": "frozen"}:
                self.is_frozen = True
            else:
                self._lines.append(line)
        return True
