"""The process behind a failing disk: mounts a `DiskTree` by FUSE, and obeys its standard input.

`python -m tests.soak.disk_server MOUNTPOINT`. Commands are lines of JSON, `{"do": "heal"}`; each is
answered by one line `{"done": ...}`. Between them come `{"event": "mounted"}` and
`{"event": "frozen"}`. When standard input ends, the mount goes and so does the process: it never
outlives who started it.
"""

import json
import os
import queue
import random
import subprocess
import sys
import threading
import traceback
from typing import Any

import mfusepy

from tests.soak.disk_tree import DiskTree, no_news

UNMOUNT_S = 20.0
LAST_S = 5.0
"""At the end: a file that is still open keeps the mount, but not us."""


class Operations:
    """What FUSE calls: the tree's methods, under the names that the binding looks for."""

    use_ns = True
    flag_nopath = True
    flag_nullpath_ok = True

    def __init__(self, tree: DiskTree, mounted: Any) -> None:
        for name in OPERATIONS:
            setattr(self, name, getattr(tree, name))
        self.release = self.releasedir = tree.close
        self._mounted = mounted

    def create(self, path: str, mode: int, flags: int) -> int:
        raise NotImplementedError  # replaced by the tree's; the binding counts its parameters

    def init(self, path: str) -> None:
        self._mounted()


OPERATIONS = (
    "getattr", "opendir", "readdir", "mkdir", "rmdir", "unlink", "rename", "fsyncdir", "statfs",
    "chmod", "chown", "utimens", "open", "create", "read", "write", "truncate", "fsync", "flush",
)  # fmt: skip


class Mount(mfusepy.FUSE):
    """FUSE 3 tells a truncation of an open file by its handle alone, which the binding drops."""

    def truncate_fuse_3(self, path: bytes | None, length: int, fip: Any) -> Any:
        handle = fip.contents.fh if fip else None
        return self.operations.truncate(None if path is None else path.decode(), length, handle)


class Server:
    """Mutable: the tree, and whether another life comes after the mount."""

    def __init__(self, mountpoint: str) -> None:
        self.mountpoint = mountpoint
        self.tree = DiskTree(tell=self.tell)
        self.next_life: queue.Queue[Any] = queue.Queue()
        self.ended = threading.Event()
        self._out = threading.Lock()

    def say(self, **words: Any) -> None:
        with self._out:
            sys.stdout.write(json.dumps(words) + "\n")
            sys.stdout.flush()

    def tell(self, event: str) -> None:
        self.say(event=event)

    def run(self) -> None:
        threading.Thread(target=self.obey, daemon=True).start()
        while True:
            operations = Operations(self.tree, lambda: self.tell("mounted"))
            Mount(
                operations,
                self.mountpoint,
                foreground=True,
                hard_remove=True,
                direct_io=True,
                use_ino=True,
                fsname="failing-disk",
            )
            change = self.next_life.get()
            if change is None:
                self.ended.set()
                return
            change()

    def obey(self) -> None:
        """Until there are no more commands, or nobody reads the answers."""
        try:
            for line in sys.stdin:
                command = json.loads(line)
                do = command.pop("do")
                self.say(done=getattr(self, f"do_{do}")(**command))
        finally:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            self.tree.tell = no_news
            self.tree.freeze()
            self.tree.release()
            self.next_life.put(None)
            self.unmount()
            self.ended.wait(LAST_S)
            os._exit(0)

    def unmount(self) -> bool:
        command = ["fusermount3", "-u", "-z", self.mountpoint]
        return subprocess.run(command, check=False, timeout=UNMOUNT_S).returncode == 0

    # Commands.

    def do_fail(self, operation: str, pattern: str, error: int, **times: int | None) -> None:
        self.tree.fail(operation, pattern, error, **times)

    def do_slow_fsync(self, pattern: str, seconds: float) -> None:
        self.tree.slow_fsync = (pattern, seconds)

    def do_leave_room(self, more_bytes: int) -> None:
        self.tree.leave_room(more_bytes)

    def do_heal(self) -> None:
        self.tree.heal()

    def do_drop_caches(self) -> None:
        self.tree.drop_caches()

    def do_freeze(self) -> None:
        self.tree.freeze()

    def do_release(self) -> None:
        if self.tree.is_frozen:
            self.tree.release()

    def do_freeze_after(self, changes: int) -> None:
        self.tree.freeze_after = self.tree.counts.changes + changes

    def do_counts(self) -> dict[str, int]:
        return self.tree.read_counts()

    def do_lose_power(self, seed: int) -> None:
        """The next mount has what survived. Whoever used this one must be gone."""
        self._remount(lambda: self.tree.lose_power(random.Random(seed)))

    def do_keep_power(self) -> None:
        self._remount(self.tree.keep_power)

    def do_erase(self) -> None:
        self._remount(self.tree.erase)

    def _remount(self, change: Any) -> None:
        self.tree.release()
        self.next_life.put(change)
        assert self.unmount(), f"cannot unmount {self.mountpoint}"


if __name__ == "__main__":
    Server(sys.argv[1]).run()
