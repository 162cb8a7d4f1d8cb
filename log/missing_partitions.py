"""Partitions of which something tells that they had records, and whose directory is not there.

They would be made anew, empty, without a word. Counterparts: `log.log_directory` (what is there),
`log.flushed_ends` and `log.checkpoint_writer` (what tells).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping

from log import directory_names
from log.checkpoints import TopicPartition
from log.flushed_ends import FlushedEnds
from log.partition_directory import StrayPartition
from log.recovery import LogDamagedError

logger = logging.getLogger(__name__)


def check_missing(
    path: str,
    *,
    opened: Container[TopicPartition],
    strays: Mapping[TopicPartition, StrayPartition],
    flushed_ends: FlushedEnds,
    checkpointed: Iterable[Mapping[TopicPartition, int]],
    topic_ids: Mapping[str, bytes],
    was_clean: bool,
    may_lose: Callable[[TopicPartition], bool],
) -> list[TopicPartition]:
    """The partitions of topics that exist which are missing in `path`, as far as that is certain.

    Raises `LogDamagedError` for one that `may_lose` does not let go.

    Flushed ends know topics by their ids. The checkpoints know names only: after a crash theirs may
    be of an earlier topic, that was deleted, and whose name has been taken since. That is worth an
    error line. Where making or deleting a partition was interrupted, none of them speaks of it.
    """
    topic_names = {topic_id: name for name, topic_id in topic_ids.items()}
    certain: dict[TopicPartition, int] = {}
    for topic_id, partition, end_offset in flushed_ends.ends():
        name = topic_names.get(topic_id)
        key = name or "", partition
        is_there = key in opened or (key in strays and strays[key].is_damaged)
        if name is not None and end_offset > 0 and not is_there:
            certain[key] = end_offset
    claimed: dict[TopicPartition, int] = {}
    for offsets in checkpointed:
        for key, offset in offsets.items():
            is_there = key in opened or key in strays
            if offset > 0 and not is_there and key[0] in topic_ids:
                claimed[key] = max(offset, claimed.get(key, 0))
    if was_clean:
        certain = claimed | certain
    for key in sorted(claimed.keys() | certain.keys()):
        name = directory_names.of_partition(*key)
        end_offset = certain.get(key, claimed.get(key, 0))
        text = f"{path}/{name} is missing, which had records up to offset {end_offset}"
        if key not in certain:
            text += ", unless it is of a topic that was deleted and made anew before the crash"
        elif not may_lose(key):
            raise LogDamagedError(
                f"{text}. Restore it from a copy, or accept that {name} begins anew, without them"
            )
        logger.error("%s: %s begins anew, empty", text, name)
    return sorted(certain)
