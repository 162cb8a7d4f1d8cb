"""Keep beside a log what recovery cuts off behind a hole: batches that nobody was told of.

`<base offset>.<position>.log.aside` are the bytes of a segment from a position on; segments behind
it are renamed to `.aside` as they are. Nothing loads or removes them, in Kafka neither. One set is
at most what the machine held unwritten at a power cut; a later cut at the same place replaces it.
"""

from __future__ import annotations

import contextlib
import errno
import logging

from log.file_system import FileSystem, parent_directory
from log.scan import WHOLE_CHUNK_BYTES
from log.segment import ASIDE_SUFFIX, LOG_SUFFIX, Segment
from log.segments import Segments

logger = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT)


def set_aside(
    file_system: FileSystem,
    segments: Segments,
    segment: Segment,
    position: int,
    rest: list[Segment],
) -> None:
    """Keep what `segment` holds from `position` on, and `rest`, which follows it; durable.

    The bytes are copied: cutting them off is the caller's. Where the disk has no room for them it
    is said, and they are lost: the broker is to start by itself. Raises any other OSError.
    """
    segments.set_aside(rest[::-1])
    if position == segment.size:
        return
    path = _aside_path(segment, position)
    try:
        _copy(file_system, segment, position, path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        logger.error("there is no room for %s: these bytes are lost", path)
        with contextlib.suppress(FileNotFoundError):
            file_system.remove(path)


def _aside_path(segment: Segment, position: int) -> str:
    whole = segment.path(LOG_SUFFIX)
    return f"{whole.removesuffix(LOG_SUFFIX)}.{position}{LOG_SUFFIX}{ASIDE_SUFFIX}"


def _copy(file_system: FileSystem, segment: Segment, position: int, path: str) -> None:
    source = segment.log()
    target = file_system.open(path, create=True)
    try:
        target.truncate(0)
        for start in range(position, segment.size, WHOLE_CHUNK_BYTES):
            size = min(WHOLE_CHUNK_BYTES, segment.size - start)
            target.append(source.read_at(start, size))
        target.flush()
    finally:
        target.close()
    file_system.sync_directory(parent_directory(path))
