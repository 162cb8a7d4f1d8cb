"""A file system in memory that tells apart what is durable, and fails when told to.

The nodes are those of the simulator's disk: bytes are durable after an fsync of their file, names
after an fsync of their directory. The methods are the operations of FUSE, with their names and
arguments; errors are OSError. `disk_server.py` mounts it.

Faults: `fail` (an error of one operation on matching paths), `slow_fsync`, `capacity_bytes`, and
`freeze_after`: at a chosen operation the machine stops dead, as when its power goes. From then on
every operation hangs, until `release` lets it fail: by then whoever asked has been killed.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase

from simulator.disk_nodes import (
    DirectoryNode,
    FileNode,
    NameJournal,
    Node,
    Truncate,
    Write,
    surviving_tree,
)

BLOCK_BYTES = 4096
ENDLESS_BYTES = 1 << 36
"""What a disk without a capacity says it has."""
HANG_S = 120.0
"""Who hangs longer than this was forgotten."""
CHANGES = frozenset(["write", "truncate", "fsync", "create", "mkdir", "rename", "unlink", "rmdir"])


@dataclass(slots=True)
class Fault:
    """Mutable: `skip` and `count` run down. `count` None: until healed."""

    operation: str
    pattern: str
    error_number: int
    skip: int = 0
    count: int | None = None


@dataclass(slots=True)
class Counts:
    """What happened since the mount. Mutable."""

    changes: int = 0
    fsyncs: int = 0
    errors: int = 0
    reads: int = 0


def no_news(_: str) -> None: ...


@dataclass
class DiskTree:
    """Mutable; one lock around all of it, which nothing holds while it waits."""

    tell: Callable[[str], None] = no_news
    """Called once when the disk freezes."""
    counts: Counts = field(default_factory=Counts)
    faults: list[Fault] = field(default_factory=list)
    slow_fsync: tuple[str, float] = ("", 0.0)
    """Pattern of paths, seconds."""
    capacity_bytes: int | None = None
    freeze_after: int | None = None

    def __post_init__(self) -> None:
        self._root = DirectoryNode()
        self._names = NameJournal()
        self._handles: dict[int, tuple[Node, str]] = {}
        self._next_handle = 1
        self._lock = threading.Lock()
        self.is_frozen = False
        self._released = threading.Event()
        self._used_bytes = 0

    # Faults and the end of a life.

    def fail(self, operation: str, pattern: str, error_number: int, **times: int | None) -> None:
        with self._lock:
            fault = Fault(operation, pattern, error_number)
            fault.skip = times.get("skip") or 0
            fault.count = times.get("count")
            self.faults.append(fault)

    def heal(self) -> None:
        with self._lock:
            self._heal()

    def _heal(self) -> None:
        self.faults.clear()
        self.slow_fsync = ("", 0.0)
        self.capacity_bytes = None
        self.freeze_after = None

    def leave_room(self, more_bytes: int) -> None:
        """The disk is full after so many more bytes."""
        with self._lock:
            self.capacity_bytes = self._used_bytes + more_bytes

    def freeze(self) -> None:
        """The power goes now."""
        with self._lock:
            self._freeze()

    def release(self) -> None:
        """What hangs fails, without an effect: nobody is there to see it."""
        self._released.set()

    def drop_caches(self) -> None:
        """Pages that a failed fsync left, and that count as written, go: the disk's bytes are read.

        FUSE is not told when a process advises so (POSIX_FADV_DONTNEED), as the broker does before
        it trusts a log: so whoever starts it does this for it.
        """
        with self._lock:
            for node in _files_below(self._root):
                if node.forgotten:
                    node.flush()
                    node.forget_cache()
            self._count_bytes()

    def lose_power(self, chance: random.Random) -> None:
        """The next life: what was not fsynced is lost, torn or there; nothing is open."""
        with self._lock:
            self._names.survive(chance)
            self._root = surviving_tree(self._root, chance)
            self._names = NameJournal()
            self._begin_life()

    def keep_power(self) -> None:
        """The next life after the process was killed: all stays, in the page cache as it was."""
        with self._lock:
            self._begin_life()

    def erase(self) -> None:
        """The next life, on an empty disk."""
        with self._lock:
            self._root = DirectoryNode()
            self._names = NameJournal()
            self._begin_life()

    def read_counts(self) -> dict[str, int]:
        with self._lock:
            return {**asdict(self.counts), "used_bytes": self._used_bytes}

    def _begin_life(self) -> None:
        self._handles.clear()
        self.is_frozen = False
        self._released.clear()
        self._heal()
        self.counts = Counts()
        self._count_bytes()

    def _count_bytes(self) -> None:
        self._used_bytes = sum(len(node.content) for node in _files_below(self._root))

    def _freeze(self) -> None:
        if not self.is_frozen:
            self.is_frozen = True
            self.tell("frozen")

    def _begin(self, operation: str, path: str) -> None:
        """Called with the lock. Hangs if the power is gone; raises what the faults have."""
        if operation in CHANGES:
            self.counts.changes += 1
            if self.freeze_after is not None and self.counts.changes > self.freeze_after:
                self._freeze()
        if self.is_frozen:
            self._hang(path)
        for fault in self.faults:
            if fault.operation != operation or not fnmatchcase(path, fault.pattern):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.count is None or fault.count > 0:
                if fault.count is not None:
                    fault.count -= 1
                self.counts.errors += 1
                raise _error(fault.error_number, path)

    def _hang(self, path: str) -> None:
        self._lock.release()
        try:
            self._released.wait(HANG_S)
        finally:
            self._lock.acquire()
        raise _error(errno.EIO, path)

    # Operations of FUSE on names.

    def getattr(self, path: str | None, handle: int | None = None) -> dict[str, float]:
        with self._lock:
            node = self._handles[handle][0] if handle in self._handles else self._find(path)
            return _attributes_of(node)

    def opendir(self, path: str) -> int:
        with self._lock:
            return self._handle(self._directory(path), path)

    def readdir(self, path: None, handle: int) -> list[tuple[str, dict[str, float], int]]:
        """Name, attributes, 0; an entry without an inode's number would be passed over."""
        with self._lock:
            directory, name = self._opened_directory(handle)
            self._begin("list", name)
            entries = [(".", directory), ("..", directory), *sorted(directory.entries.items())]
            return [(name, _attributes_of(node), 0) for name, node in entries]

    def mkdir(self, path: str, mode: int) -> None:
        with self._lock:
            self._begin("mkdir", path)
            directory, name = self._parent(path)
            if name in directory.entries:
                raise _error(errno.EEXIST, path)
            self._names.change((directory, name, DirectoryNode()))

    def rmdir(self, path: str) -> None:
        with self._lock:
            self._begin("rmdir", path)
            if self._directory(path).entries:
                raise _error(errno.ENOTEMPTY, path)
            directory, name = self._parent(path)
            self._names.change((directory, name, None))

    def unlink(self, path: str) -> None:
        with self._lock:
            self._begin("unlink", path)
            directory, name = self._parent(path)
            self._used_bytes -= len(self._file(path).content)
            self._names.change((directory, name, None))

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            self._begin("rename", old)
            old_directory, old_name = self._parent(old)
            new_directory, new_name = self._parent(new)
            node = old_directory.entries.get(old_name)
            replaced = new_directory.entries.get(new_name)
            if node is None:
                raise _error(errno.ENOENT, old)
            if isinstance(replaced, DirectoryNode) and replaced.entries:
                raise _error(errno.ENOTEMPTY, new)
            if isinstance(replaced, FileNode) and replaced is not node:
                self._used_bytes -= len(replaced.content)
            self._names.change((old_directory, old_name, None), (new_directory, new_name, node))

    def fsyncdir(self, path: None, datasync: int, handle: int) -> None:
        with self._lock:
            directory, name = self._opened_directory(handle)
            self._begin("fsync", name)
            self.counts.fsyncs += 1
            self._names.sync(directory)

    def statfs(self, path: str) -> dict[str, int]:
        with self._lock:
            total = ENDLESS_BYTES if self.capacity_bytes is None else self.capacity_bytes
            free = max(0, total - self._used_bytes) // BLOCK_BYTES
            blocks = total // BLOCK_BYTES
        return {
            "f_bsize": BLOCK_BYTES,
            "f_frsize": BLOCK_BYTES,
            "f_blocks": blocks,
            "f_bfree": free,
            "f_bavail": free,
            "f_namemax": 255,
        }

    def chmod(self, path: str, mode: int) -> None: ...

    def chown(self, path: str, user: int, group: int) -> None: ...

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None: ...

    # Operations of FUSE on files.

    def open(self, path: str, flags: int) -> int:
        with self._lock:
            self._begin("open", path)
            node = self._file(path)
            if flags & os.O_TRUNC:
                self._resize(node, path, 0)
            return self._handle(node, path)

    def create(self, path: str, mode: int, flags: int) -> int:
        with self._lock:
            self._begin("create", path)
            directory, name = self._parent(path)
            node = FileNode()
            node.modified_ms = _now_ms()
            self._names.change((directory, name, node))
            return self._handle(node, path)

    def read(self, path: None, size: int, offset: int, handle: int) -> bytes:
        with self._lock:
            node, name = self._opened_file(handle)
            self._begin("read", name)
            self.counts.reads += 1
            return bytes(node.content[offset : offset + size])

    def write(self, path: None, data: bytes, offset: int, handle: int) -> int:
        """How many bytes there was room for: a disk that is nearly full takes a part first."""
        with self._lock:
            node, name = self._opened_file(handle)
            self._begin("write", name)
            growth = max(0, offset + len(data) - len(node.content))
            if self.capacity_bytes is not None:
                room = max(0, self.capacity_bytes - self._used_bytes)
                if growth > room:
                    data = data[: max(0, len(data) - (growth - room))]
                    if not data:
                        self.counts.errors += 1
                        raise _error(errno.ENOSPC, name)
                    growth = room
            node.change(Write(offset, data), now_ms=_now_ms())
            self._used_bytes += growth
            return len(data)

    def truncate(self, path: str | None, length: int, handle: int | None = None) -> None:
        with self._lock:
            if handle in self._handles:
                node, name = self._opened_file(handle)
            else:
                node, name = self._file(path), path or ""
            self._resize(node, name, length)

    def fsync(self, path: None, datasync: int, handle: int) -> None:
        """Makes durable what was written before the call; what comes while it is slow is not."""
        with self._lock:
            node, name = self._opened_file(handle)
            self.counts.fsyncs += 1
            covered = {id(operation) for operation in node.pending}
            pattern, seconds = self.slow_fsync
        if seconds and fnmatchcase(name, pattern):
            self._released.wait(seconds)
        with self._lock:
            try:
                self._begin("fsync", name)
            except OSError:
                if not self.is_frozen:
                    node.fail_flush()
                raise
            rest = [operation for operation in node.pending if id(operation) not in covered]
            node.pending = [operation for operation in node.pending if id(operation) in covered]
            node.flush()
            node.pending = rest

    def flush(self, path: None, handle: int) -> None: ...

    def close(self, path: None, handle: int) -> None:
        with self._lock:
            self._handles.pop(handle, None)

    def _resize(self, node: FileNode, path: str, length: int) -> None:
        self._begin("truncate", path)
        self._used_bytes += length - len(node.content)
        node.change(Truncate(length), now_ms=_now_ms())

    def _opened_file(self, handle: int) -> tuple[FileNode, str]:
        node, name = self._handles[handle]
        assert isinstance(node, FileNode)
        return node, name

    def _opened_directory(self, handle: int) -> tuple[DirectoryNode, str]:
        node, name = self._handles[handle]
        assert isinstance(node, DirectoryNode)
        return node, name

    def _handle(self, node: Node, path: str) -> int:
        handle = self._next_handle
        self._next_handle += 1
        self._handles[handle] = (node, path)
        return handle

    # The tree.

    def _find(self, path: str | None) -> Node:
        node: Node = self._root
        for name in (path or "").split("/"):
            if name:
                if isinstance(node, FileNode):
                    raise _error(errno.ENOTDIR, path)
                if name not in node.entries:
                    raise _error(errno.ENOENT, path)
                node = node.entries[name]
        return node

    def _file(self, path: str | None) -> FileNode:
        node = self._find(path)
        if isinstance(node, DirectoryNode):
            raise _error(errno.EISDIR, path)
        return node

    def _directory(self, path: str) -> DirectoryNode:
        node = self._find(path)
        if isinstance(node, FileNode):
            raise _error(errno.ENOTDIR, path)
        return node

    def _parent(self, path: str) -> tuple[DirectoryNode, str]:
        parent, _, name = path.rpartition("/")
        return self._directory(parent), name


def _attributes_of(node: Node) -> dict[str, float]:
    if isinstance(node, DirectoryNode):
        mode, size, moment = stat.S_IFDIR | 0o755, 0, 0
    else:
        mode, size = stat.S_IFREG | 0o644, len(node.content)
        moment = node.modified_ms * 1_000_000
    return {
        "st_mode": mode,
        "st_ino": id(node),
        "st_nlink": 1,
        "st_size": size,
        "st_blocks": -(-size // 512),
        "st_uid": os.getuid(),
        "st_gid": os.getgid(),
        "st_atime": moment,
        "st_mtime": moment,
        "st_ctime": moment,
    }


def _files_below(directory: DirectoryNode) -> list[FileNode]:
    files: list[FileNode] = []
    for node in directory.entries.values():
        files += _files_below(node) if isinstance(node, DirectoryNode) else [node]
    return files


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _error(number: int, path: str | None) -> OSError:
    return OSError(number, os.strerror(number), path)
