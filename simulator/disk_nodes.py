"""What lies on a simulated disk: files and directories, each as the process sees it and as a power
loss would leave it.

The model is POSIX at its least: only fsync makes a file's bytes durable, only an fsync of the
directory makes a name durable, and until then any part may be there or not, in any order, torn
between sectors, or with zeros where data should be.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Write:
    position: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        if len(content) < self.position:
            content.extend(bytes(self.position - len(content)))
        content[self.position : self.position + len(self.data)] = self.data


@dataclass(frozen=True, slots=True)
class Truncate:
    size: int

    def apply(self, content: bytearray) -> None:
        if len(content) < self.size:
            content.extend(bytes(self.size - len(content)))
        del content[self.size :]


class FileNode:
    """Mutable. `content` is what the process reads, `durable` what is surely on the platter."""

    __slots__ = ("content", "durable", "forgotten", "modified_ms", "pending")

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.durable = bytearray(content)
        self.modified_ms = 0
        self.pending: list[Write | Truncate] = []
        """Not yet flushed, in order."""
        self.forgotten: list[Write | Truncate] = []
        """What a failed fsync was to write: no later one will (the pages count as clean)."""

    def change(self, operation: Write | Truncate, *, now_ms: int) -> None:
        operation.apply(self.content)
        self.pending.append(operation)
        self.modified_ms = now_ms

    def flush(self) -> None:
        for operation in self.pending:
            operation.apply(self.durable)
        self.pending.clear()

    def fail_flush(self) -> None:
        self.forgotten += self.pending
        self.pending.clear()

    def forget_cache(self) -> None:
        """Clean pages are dropped; the size, which the file system knows, stays."""
        assert not self.pending
        size = len(self.content)
        self.content = bytearray(self.durable)
        self.forgotten.clear()
        if len(self.content) != size:
            self.change(Truncate(size), now_ms=self.modified_ms)

    def survive(self, chance: random.Random) -> FileNode:
        """The file after a power loss: what was flushed, and by chance parts of the rest."""
        content = bytearray(self.durable)
        unflushed = self.forgotten + self.pending
        if unflushed:
            how = chance.choice((_keep_nothing, _keep_all, _keep_prefix, _keep_sectors))
            how(content, unflushed, chance)
        node = FileNode(bytes(content))
        node.modified_ms = self.modified_ms
        return node


def _keep_nothing(
    content: bytearray, operations: list[Write | Truncate], chance: random.Random
) -> None:
    """No dirty page had been written back."""


def _keep_all(
    content: bytearray, operations: list[Write | Truncate], chance: random.Random
) -> None:
    for operation in operations:
        operation.apply(content)


def _keep_prefix(
    content: bytearray, operations: list[Write | Truncate], chance: random.Random
) -> None:
    """Written back in order, the last write torn."""
    count = chance.randrange(len(operations) + 1)
    for operation in operations[:count]:
        operation.apply(content)
    if count < len(operations):
        torn = operations[count]
        if isinstance(torn, Write):
            Write(torn.position, torn.data[: chance.randrange(len(torn.data) + 1)]).apply(content)


def _keep_sectors(
    content: bytearray, operations: list[Write | Truncate], chance: random.Random
) -> None:
    """Written back in any order: each sector made it or not; the size may be ahead of the data."""
    likelihood = chance.random()
    for operation in operations:
        if isinstance(operation, Truncate):
            if chance.random() < likelihood:
                operation.apply(content)
            continue
        start, end = operation.position, operation.position + len(operation.data)
        while start < end:
            stop = min(end, start - start % SECTOR_BYTES + SECTOR_BYTES)
            if chance.random() < likelihood:
                first = start - operation.position
                Write(start, operation.data[first : first + stop - start]).apply(content)
            start = stop
    if chance.random() < 0.3:
        ends = [op.position + len(op.data) for op in operations if isinstance(op, Write)]
        content.extend(bytes(max(0, max(ends, default=0) - len(content))))


class DirectoryNode:
    """Mutable. Names -> nodes, as the process sees them and as they are on the platter."""

    __slots__ = ("durable", "entries")

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}


Node = FileNode | DirectoryNode


@dataclass(frozen=True, slots=True)
class NameChange:
    """One atomic change of names: `(directory, name, node or None)` each."""

    settings: tuple[tuple[DirectoryNode, str, Node | None], ...]

    def touches(self, directory: DirectoryNode) -> bool:
        return any(setting[0] is directory for setting in self.settings)

    def apply(self) -> None:
        for directory, name, node in self.settings:
            _set(directory.entries, name, node)

    def make_durable(self) -> None:
        for directory, name, node in self.settings:
            _set(directory.durable, name, node)


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


@dataclass(slots=True)
class NameJournal:
    """The changes of names that no sync of a directory has covered, in order. Mutable."""

    pending: list[NameChange] = field(default_factory=list)

    def change(self, *settings: tuple[DirectoryNode, str, Node | None]) -> None:
        change = NameChange(settings)
        change.apply()
        self.pending.append(change)

    def sync(self, directory: DirectoryNode) -> None:
        rest = []
        for change in self.pending:
            if change.touches(directory):
                change.make_durable()
            else:
                rest.append(change)
        self.pending = rest

    def survive(self, chance: random.Random) -> None:
        """By chance make a prefix of the changes durable, as a journal does, or any of them."""
        if chance.random() < 0.5:
            for change in self.pending[: chance.randrange(len(self.pending) + 1)]:
                change.make_durable()
        else:
            for change in self.pending:
                if chance.random() < 0.5:
                    change.make_durable()
        self.pending = []


def surviving_tree(root: DirectoryNode, chance: random.Random) -> DirectoryNode:
    """What a power loss leaves below `root`, as new nodes; a file with two names stays one."""
    files: dict[int, FileNode] = {}

    def copy(node: Node) -> Node:
        if isinstance(node, DirectoryNode):
            survivor = DirectoryNode()
            for name in sorted(node.durable):
                survivor.entries[name] = copy(node.durable[name])
            survivor.durable = dict(survivor.entries)
            return survivor
        if id(node) not in files:
            files[id(node)] = node.survive(chance)
        return files[id(node)]

    tree = copy(root)
    assert isinstance(tree, DirectoryNode)
    return tree
