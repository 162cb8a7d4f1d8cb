"""All that a power loss at one moment can leave on a simulated disk, each outcome with a number.

An image is taken before a change. What is not durable then are its atoms: changes of names, and of
each file the sectors of each write, the truncations, and two things that go wrong besides: the
file's new size is there without the data (zeros), and the last write that came through is torn
within its sector. An outcome is the set of the atoms that came to be, as the bits of a number: 0 is
the durable state alone. Counterpart: `disk_nodes`, which draws one outcome at a time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.disk import SimulatedDisk
from simulator.disk_nodes import SECTOR_BYTES, DirectoryNode, FileNode, Node, Truncate, Write

FLAWS = 2
"""Atoms of a file besides its changes: zeros up to the new size, a torn last write."""


@dataclass(frozen=True, slots=True)
class FileImage:
    """One file. `pieces` are its changes since the last flush, none larger than a sector."""

    durable: bytes
    pieces: tuple[Write | Truncate, ...]
    modified_ms: int
    first_bit: int

    @property
    def bit_count(self) -> int:
        return len(self.pieces) + FLAWS if self.pieces else 0

    def content(self, bits: int) -> bytes:
        """The bytes after the outcome of which `bits` are this file's."""
        if not bits:
            return self.durable
        content = bytearray(self.durable)
        chosen = [piece for at, piece in enumerate(self.pieces) if bits >> at & 1]
        flaws = bits >> len(self.pieces)
        if flaws & 2 and chosen and isinstance(chosen[-1], Write):
            last = chosen[-1]
            chosen[-1] = Write(last.position, last.data[: len(last.data) // 2])
        for piece in chosen:
            piece.apply(content)
        if flaws & 1:
            writes = [each for each in self.pieces if isinstance(each, Write)]
            ends = [each.position + len(each.data) for each in writes]
            content.extend(bytes(max(0, max(ends, default=0) - len(content))))
        return bytes(content)


Names = dict[str, int]
Change = tuple[tuple[int, str, int | None], ...]


@dataclass(slots=True)
class DiskImage:
    """Nodes by number, 0 the root. Immutable but for the cache of contents."""

    directories: dict[int, Names]
    files: dict[int, FileImage]
    changes: tuple[Change, ...]
    bit_count: int
    now_ms: int
    _contents: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def tree(self, bits: int) -> dict[str, tuple[int, bytes]]:
        """Path -> (node, content) of each file after this outcome; of a directory (node, b'/')."""
        directories = self._directories(bits)
        found: dict[str, tuple[int, bytes]] = {}

        def walk(prefix: str, number: int) -> None:
            for name, child in sorted(directories[number].items()):
                if child in directories:
                    found[prefix + name] = child, b"/"
                    walk(f"{prefix}{name}/", child)
                else:
                    found[prefix + name] = child, self._content(child, bits)

        walk("", 0)
        return found

    def disk(self, bits: int) -> SimulatedDisk:
        """The machine's next life."""
        directories = self._directories(bits)
        made: dict[int, Node] = {}

        def make(number: int) -> Node:
            node = made.get(number)
            if node is not None:
                return node
            if number in directories:
                directory = DirectoryNode()
                directory.entries = {
                    name: make(child) for name, child in sorted(directories[number].items())
                }
                directory.durable = dict(directory.entries)
                made[number] = directory
                return directory
            made[number] = file = FileNode(self._content(number, bits))
            file.modified_ms = self.files[number].modified_ms
            return file

        root = make(0)
        assert isinstance(root, DirectoryNode)
        disk = SimulatedDisk.holding(root)
        disk.now_ms = self.now_ms
        return disk

    def outcomes(self, count: int, chance: random.Random) -> Iterator[int]:
        """Up to `count` outcomes, perhaps equal ones: all where there are no more, else some plain
        ones (nothing, everything, names alone, bytes alone) and drawn ones."""
        if self.bit_count < 30 and 1 << self.bit_count <= count:
            yield from range(1 << self.bit_count)
            return
        names = self.changes_mask
        plain = [0, self.everything(), names, self.everything() & ~names]
        yield from chance.sample(plain, min(len(plain), count // 3))
        for _ in range(count - min(len(plain), count // 3)):
            yield self._draw(chance)

    @property
    def changes_mask(self) -> int:
        return (1 << len(self.changes)) - 1

    def everything(self) -> int:
        """The outcome in which everything came through, without flaws."""
        bits = self.changes_mask
        for file in self.files.values():
            bits |= ((1 << len(file.pieces)) - 1) << file.first_bit
        return bits

    def _draw(self, chance: random.Random) -> int:
        count = len(self.changes)
        if chance.random() < 0.5:
            bits = (1 << chance.randrange(count + 1)) - 1
        else:
            bits = chance.getrandbits(count) if count else 0
        for number in self._reachable(bits):
            file = self.files[number]
            pieces = len(file.pieces)
            if not pieces:
                continue
            how = chance.randrange(5)
            own = 0
            if how == 1:
                own = (1 << pieces) - 1
            elif how == 2:
                own = (1 << chance.randrange(pieces + 1)) - 1 | chance.getrandbits(1) << pieces + 1
            elif how >= 3:
                own = chance.getrandbits(pieces)
                if chance.random() < 0.3:
                    own |= chance.getrandbits(FLAWS) << pieces
            bits |= own << file.first_bit
        return bits

    def _reachable(self, bits: int) -> list[int]:
        """The files that have a name after this outcome."""
        directories = self._directories(bits)
        found: set[int] = set()
        waiting = [0]
        while waiting:
            for child in directories[waiting.pop()].values():
                if child in directories:
                    waiting.append(child)
                else:
                    found.add(child)
        return sorted(found)

    def _directories(self, bits: int) -> dict[int, Names]:
        if not bits & self.changes_mask:
            return self.directories
        directories = {number: dict(names) for number, names in self.directories.items()}
        for at, change in enumerate(self.changes):
            if bits >> at & 1:
                for directory, name, node in change:
                    if node is None:
                        directories[directory].pop(name, None)
                    else:
                        directories[directory][name] = node
        return directories

    def _content(self, number: int, bits: int) -> bytes:
        file = self.files[number]
        own = bits >> file.first_bit & (1 << file.bit_count) - 1
        content = self._contents.get((number, own))
        if content is None:
            content = self._contents[number, own] = file.content(own)
        return content


def take(disk: SimulatedDisk) -> DiskImage:
    """The image of this moment."""
    root, pending = disk.tree
    numbers: dict[int, int] = {id(root): 0}
    nodes: list[Node] = [root]

    def number_of(node: Node) -> int:
        number = numbers.get(id(node))
        if number is None:
            number = numbers[id(node)] = len(nodes)
            nodes.append(node)
        return number

    changes = tuple(
        tuple(
            (number_of(directory), name, None if node is None else number_of(node))
            for directory, name, node in change.settings
        )
        for change in pending
    )
    directories: dict[int, Names] = {}
    files: dict[int, FileImage] = {}
    bit = len(changes)
    at = 0
    while at < len(nodes):
        node = nodes[at]
        if isinstance(node, DirectoryNode):
            directories[at] = {name: number_of(each) for name, each in node.durable.items()}
        else:
            pieces = tuple(_pieces(node.forgotten + node.pending))
            files[at] = file = FileImage(bytes(node.durable), pieces, node.modified_ms, bit)
            bit += file.bit_count
        at += 1
    return DiskImage(directories, files, changes, bit, disk.now_ms)


def _pieces(operations: list[Write | Truncate]) -> Iterator[Write | Truncate]:
    for operation in operations:
        if isinstance(operation, Truncate):
            yield operation
            continue
        start, end = operation.position, operation.position + len(operation.data)
        while start < end:
            stop = min(end, start - start % SECTOR_BYTES + SECTOR_BYTES)
            first = start - operation.position
            yield Write(start, operation.data[first : first + stop - start])
            start = stop
