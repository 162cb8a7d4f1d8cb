"""Hands on a simulated disk behind the broker's back: bytes that change without a write."""

from __future__ import annotations

from simulator.disk import SimulatedDisk
from simulator.disk_nodes import DirectoryNode, FileNode, Node

Content = bytes | DirectoryNode
"""Of a file, or a whole directory."""


def names_in(disk: SimulatedDisk, path: str) -> list[str]:
    """Sorted; empty where there is no such directory."""
    node = _node(disk, path)
    return sorted(node.entries) if isinstance(node, DirectoryNode) else []


def is_there(disk: SimulatedDisk, path: str) -> bool:
    return _node(disk, path) is not None


def content_of(disk: SimulatedDisk, path: str) -> Content:
    node = _node(disk, path)
    assert node is not None, path
    return bytes(node.content) if isinstance(node, FileNode) else node


def replace_content(disk: SimulatedDisk, path: str, content: Content | None) -> None:
    """In place, as whoever has the file open sees it too, and durably; None removes the name."""
    parent_path, _, name = path.rpartition("/")
    parent = _node(disk, parent_path)
    assert isinstance(parent, DirectoryNode)
    if not isinstance(content, bytes):
        for names in (parent.entries, parent.durable):
            names.pop(name, None)
            if content is not None:
                names[name] = content
        return
    node = _node(disk, path)
    if node is None:
        node = _made(disk, path)
    assert isinstance(node, FileNode), path
    node.content[:] = content
    node.durable[:] = content
    node.pending.clear()


def write_back(disk: SimulatedDisk, path: str) -> None:
    """What the kernel does within half a minute: all that was written is on the disk."""
    node = _node(disk, path)
    if isinstance(node, FileNode):
        node.flush()
    elif node is not None:
        disk.sync_directory(path)
        for name in sorted(node.entries):
            write_back(disk, f"{path}/{name}")


def _made(disk: SimulatedDisk, path: str) -> FileNode:
    parent = _node(disk, path.rpartition("/")[0])
    assert isinstance(parent, DirectoryNode), path
    node = FileNode()
    for names in (parent.entries, parent.durable):
        names[path.rpartition("/")[2]] = node
    return node


def _node(disk: SimulatedDisk, path: str) -> Node | None:
    node: Node = disk.root
    for name in path.strip("/").split("/"):
        if isinstance(node, FileNode) or name not in node.entries:
            return None
        node = node.entries[name]
    return node
