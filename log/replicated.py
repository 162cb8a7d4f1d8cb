"""Cut what a leader sent into pieces that are appended with one write each."""

from __future__ import annotations

from collections.abc import Iterator

from wire.records.batch import BatchHeader

PlacedBatch = tuple[int, BatchHeader]


def groups_of(batches: list[PlacedBatch], *, max_bytes: int) -> Iterator[list[PlacedBatch]]:
    """Runs of adjoining batches that fit into a segment; a control batch is a run of its own.

    A marker may need an entry in the transaction index before it is written.
    """
    group: list[PlacedBatch] = []
    size = 0
    for position, header in batches:
        if group and (header.is_control or size + header.size_bytes > max_bytes):
            yield group
            group, size = [], 0
        group.append((position, header))
        size += header.size_bytes
        if header.is_control:
            yield group
            group, size = [], 0
    if group:
        yield group
