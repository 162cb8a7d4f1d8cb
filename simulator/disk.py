"""A disk in memory that knows what is durable, loses the rest on demand, and fails when told to.

Counterpart of `log.file_system.OsFileSystem`. One `SimulatedDisk` is one life of the machine:
`crash` (power loss) and `kill` (the process dies, the page cache stays) end it and return the disk
of the next life; whatever still holds the old one, a `finally:` included, gets OSErrors.

Faults: `fail` makes operations on matching paths raise, `capacity_bytes` makes the disk full,
`corrupt` changes bytes behind everyone's back, `power_off_after` ends this life at a chosen
operation, so that a test can try them all. `observe` is told of every change just before it: it may
end this life as well.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from log.file_system import DiskSpace, FileStatus
from simulator.disk_file import SimulatedFile, error_of
from simulator.disk_nodes import (
    DirectoryNode,
    FileNode,
    NameChange,
    NameJournal,
    Node,
    Write,
    surviving_tree,
)

OPERATIONS = frozenset(
    [
        "open",
        "read",
        "append",
        "flush",
        "truncate",
        "rename",
        "remove",
        "list",
        "make_directory",
        "sync_directory",
        "space",
    ]
)
ENDLESS_BYTES = 1 << 40
"""What a disk without a capacity says it has."""


@dataclass(slots=True)
class Fault:
    """Mutable: `skip` and `count` run down as the operation happens."""

    operation: str
    pattern: str
    error_number: int
    skip: int
    count: int | None
    torn: bool


class SimulatedDisk:
    """A `FileSystem`. Mutable; `now_ms` is the clock of the files' modification times."""

    def __init__(self, *, capacity_bytes: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self.now_ms = 0
        self.is_dead = False
        self.operation_count = 0
        """Changes so far: appends, flushes, truncations, creations, renames, removals, syncs."""
        self.power_off_after: int | None = None
        """This life ends when as many changes have happened."""
        self.observe: Callable[[str, str, int], None] | None = None
        """Called with (operation, path, bytes) just before each change; the next life keeps it."""
        self.on_refused: Callable[[str, str], None] | None = None
        """Called with (operation, path) before an error is raised that a fault is the reason of."""
        self.open_files: Counter[str] = Counter()
        """Path -> files that are open there, in this life."""
        self.injected_errors = 0
        """Operations that a fault has made fail, a full disk included."""
        self.cold_patterns: list[str] = []
        """Files whose bytes `read_at_nowait` does not find in the page cache."""
        self._root = DirectoryNode()
        self._names = NameJournal()
        self._faults: list[Fault] = []
        self._locks: set[str] = set()

    # --- the end of a life ---

    def crash(self, chance: random.Random) -> SimulatedDisk:
        """Power loss: what was not flushed is lost, torn, or there, as `chance` has it."""
        self.is_dead = True
        self._names.survive(chance)
        return self._next_life(surviving_tree(self._root, chance))

    def kill(self) -> SimulatedDisk:
        """The process dies; everything written stays, in the page cache as it was."""
        self.is_dead = True
        successor = self._next_life(self._root)
        successor._names = self._names
        return successor

    @classmethod
    def holding(cls, root: DirectoryNode) -> SimulatedDisk:
        """The disk of a machine that finds this after a power loss."""
        disk = cls()
        disk._root = root
        return disk

    @property
    def tree(self) -> tuple[DirectoryNode, Sequence[NameChange]]:
        """The root, and the changes of names that are not durable yet. Not to be changed."""
        return self._root, self._names.pending

    def _next_life(self, root: DirectoryNode) -> SimulatedDisk:
        successor = SimulatedDisk(capacity_bytes=self.capacity_bytes)
        successor.now_ms = self.now_ms
        successor.observe, successor.on_refused = self.observe, self.on_refused
        successor._root = root
        return successor

    # --- faults ---

    def fail(
        self,
        operation: str,
        pattern: str = "*",
        *,
        error_number: int = errno.EIO,
        skip: int = 0,
        count: int | None = None,
        torn: bool = False,
    ) -> None:
        """Make `operation` on paths that match `pattern` raise: after `skip` times, `count` times.

        A failed flush forgets what it was to write, as Linux does. `torn` appends leave half of
        their bytes behind and raise TornAppendError.
        """
        assert operation in OPERATIONS, operation
        self._faults.append(Fault(operation, pattern, error_number, skip, count, torn))

    def heal(self) -> None:
        self._faults.clear()
        self.power_off_after = None

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """What is done meanwhile meets no fault, and nobody is told."""
        kept = self._faults, self.power_off_after, self.observe
        self._faults, self.power_off_after, self.observe = [], None, None
        try:
            yield
        finally:
            self._faults, self.power_off_after, self.observe = kept

    def corrupt(self, path: str, position: int, data: bytes) -> None:
        """Overwrite durable bytes, as bit rot or a stray write does."""
        node = self._file(path)
        write = Write(position, data)
        for content in (node.content, node.durable):
            write.apply(content)
        if node.pending:
            node.pending.append(write)  # else a later flush would make it good

    def durable_content(self, path: str) -> bytes:
        """The bytes of the file that a power loss cannot take."""
        return bytes(self._file(path).durable)

    def content(self, path: str) -> bytes:
        """The bytes of the file as a process sees them."""
        return bytes(self._file(path).content)

    def piece(self, path: str, start: int, size: int | None = None) -> bytes:
        """Some bytes of the file, or all from `start` on, as a process sees them."""
        content = self._file(path).content
        return bytes(content[start : len(content) if size is None else start + size])

    def surviving_content(self, path: str, start: int) -> bytes | None:
        """The bytes from `start` on that a power loss cannot take, nor their name; None: the name
        is not durable, or another file's."""
        node: Node | None = self._root
        for name in _names_of(path):
            node = node.durable.get(name) if isinstance(node, DirectoryNode) else None
        if not isinstance(node, FileNode) or node is not self._find(path):
            return None
        return bytes(node.durable[start:])

    @property
    def root(self) -> DirectoryNode:
        """For whoever changes files behind everyone's back."""
        return self._root

    @property
    def used_bytes(self) -> int:
        return sum(len(node.content) for node in _files_below(self._root))

    # --- FileSystem ---

    def open(self, path: str, *, create: bool = False) -> SimulatedFile:
        self.check("open", path)
        directory, name = self._parent(path)
        node = directory.entries.get(name)
        if node is None:
            if not create:
                raise error_of(errno.ENOENT, path)
            self.begin_change("open", path)
            node = FileNode()
            node.modified_ms = self.now_ms
            self._names.change((directory, name, node))
        if isinstance(node, DirectoryNode):
            raise error_of(errno.EISDIR, path)
        return SimulatedFile(self, path, node)

    def read_file(self, path: str) -> bytes:
        self.check("read", path)
        return bytes(self._file(path).content)

    def list_directory(self, path: str) -> list[str]:
        self.check("list", path)
        return sorted(self._directory(path).entries)

    def exists(self, path: str) -> bool:
        self.check_alive(path)
        return self._find(path) is not None

    def is_directory(self, path: str) -> bool:
        self.check_alive(path)
        return isinstance(self._find(path), DirectoryNode)

    def status(self, path: str) -> FileStatus:
        self.check_alive(path)
        node = self._find(path)
        if node is None:
            raise error_of(errno.ENOENT, path)
        if isinstance(node, DirectoryNode):
            return FileStatus(0, 0)
        return FileStatus(len(node.content), node.modified_ms)

    def make_directory(self, path: str, *, durable: bool = True) -> None:
        self.check("make_directory", path)
        directory = self._root
        names = _names_of(path)
        for depth, name in enumerate(names, 1):
            node = directory.entries.get(name)
            if node is None:
                self.begin_change("make_directory", path)
                node = DirectoryNode()
                self._names.change((directory, name, node))
                if durable or depth < len(names):
                    self._names.sync(directory)
            if isinstance(node, FileNode):
                raise error_of(errno.ENOTDIR, path)
            directory = node

    def rename(self, old: str, new: str) -> None:
        self.check("rename", old)
        old_directory, old_name = self._parent(old)
        new_directory, new_name = self._parent(new)
        node = old_directory.entries.get(old_name)
        if node is None:
            raise error_of(errno.ENOENT, old)
        self.begin_change("rename", old)
        self._names.change((old_directory, old_name, None), (new_directory, new_name, node))

    def remove(self, path: str) -> None:
        self.check("remove", path)
        directory, name = self._parent(path)
        self._file(path)
        self.begin_change("remove", path)
        self._names.change((directory, name, None))

    def remove_tree(self, path: str) -> None:
        self.check("remove", path)
        node = self._find(path)
        if node is None:
            return
        if isinstance(node, DirectoryNode):
            for name in sorted(node.entries):
                self.remove_tree(f"{path}/{name}")
        self.begin_change("remove", path)
        directory, name = self._parent(path)
        self._names.change((directory, name, None))

    def sync_directory(self, path: str) -> None:
        self.check("sync_directory", path)
        directory = self._directory(path)
        self.begin_change("sync_directory", path)
        self._names.sync(directory)

    def space(self, path: str) -> DiskSpace:
        self.check("space", path)
        total = ENDLESS_BYTES if self.capacity_bytes is None else self.capacity_bytes
        return DiskSpace(total, max(total - self.used_bytes, 0))

    def lock(self, path: str) -> SimulatedLock:
        self.open(path, create=True).close()
        if path in self._locks:
            raise error_of(errno.EAGAIN, path)
        self._locks.add(path)
        return SimulatedLock(self._locks, path)

    # --- for SimulatedFile ---

    def check_alive(self, path: str) -> None:
        if self.is_dead:
            raise error_of(errno.ENODEV, path)

    def check(self, operation: str, path: str) -> None:
        """Raise what the machine's state and the faults have for this operation."""
        self.check_alive(path)
        for fault in self._faults:
            if fault.operation != operation or not fnmatchcase(path, fault.pattern):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.count is None or fault.count > 0:
                if fault.count is not None:
                    fault.count -= 1
                self._refused("torn append" if fault.torn else operation, path)
                raise error_of(fault.error_number, path, torn=fault.torn)

    def begin_change(self, operation: str, path: str, size: int = 0) -> None:
        """Count a change; the power may go just before it."""
        if self.power_off_after is not None and self.operation_count >= self.power_off_after:
            self.is_dead = True
        elif self.observe is not None:
            self.observe(operation, path, size)
        self.check_alive(path)
        self.operation_count += 1

    def check_capacity(self, path: str, more_bytes: int) -> None:
        if self.capacity_bytes is not None and self.used_bytes + more_bytes > self.capacity_bytes:
            self._refused("room", path)
            raise error_of(errno.ENOSPC, path)

    def _refused(self, operation: str, path: str) -> None:
        self.injected_errors += 1
        if self.on_refused is not None:
            self.on_refused(operation, path)

    # --- the tree ---

    def _find(self, path: str) -> Node | None:
        node: Node = self._root
        for name in _names_of(path):
            if isinstance(node, FileNode) or name not in node.entries:
                return None
            node = node.entries[name]
        return node

    def _file(self, path: str) -> FileNode:
        node = self._find(path)
        if node is None:
            raise error_of(errno.ENOENT, path)
        if isinstance(node, DirectoryNode):
            raise error_of(errno.EISDIR, path)
        return node

    def _directory(self, path: str) -> DirectoryNode:
        node = self._find(path)
        if node is None:
            raise error_of(errno.ENOENT, path)
        if isinstance(node, FileNode):
            raise error_of(errno.ENOTDIR, path)
        return node

    def _parent(self, path: str) -> tuple[DirectoryNode, str]:
        names = _names_of(path)
        return self._directory("/".join(names[:-1])), names[-1]


class SimulatedLock:
    __slots__ = ("_locks", "_path")

    def __init__(self, locks: set[str], path: str) -> None:
        self._locks = locks
        self._path = path

    def close(self) -> None:
        self._locks.discard(self._path)


def _names_of(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _files_below(directory: DirectoryNode) -> list[FileNode]:
    files: list[FileNode] = []
    for node in directory.entries.values():
        files += _files_below(node) if isinstance(node, DirectoryNode) else [node]
    return files
