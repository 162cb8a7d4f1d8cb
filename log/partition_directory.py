"""The directory of one partition: whose it is, and making it.

`partition.metadata` in it bears the topic's id, beyond the name (KIP-516): a directory without it
belongs to nobody. Counterparts: `log.directory_names`, `log.log_directory` (all of them).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from log import directory_names
from log.checkpoints import (
    CheckpointError,
    TopicPartition,
    decode_partition_metadata,
    encode_partition_metadata,
    encode_uuid,
)
from log.file_system import FileSystem, write_all_atomically, write_atomically
from log.recovery import LogDamagedError
from log.segment import LOG_SUFFIX

logger = logging.getLogger(__name__)

PARTITION_METADATA = "partition.metadata"


@dataclass(frozen=True, slots=True)
class StrayPartition:
    """A directory that is no partition of a topic known now. It is left alone, and not opened."""

    directory: str
    topic: str
    partition: int
    topic_id: bytes | None
    reason: str
    is_damaged: bool = False
    """Its records are those of a topic that exists, as far as a damaged id can tell."""


def damaged_stray(directory: str, key: TopicPartition, reason: str) -> StrayPartition:
    """One whose records are of no use any more: it is kept beside the one that begins anew."""
    logger.error("%s is not opened: %s", directory, reason)
    return StrayPartition(directory, *key, None, reason, is_damaged=True)


def find_partitions(
    file_system: FileSystem,
    path: str,
    topic_ids: Mapping[str, bytes],
    may_lose: Callable[[TopicPartition], bool],
) -> tuple[
    dict[TopicPartition, bytes], dict[TopicPartition, StrayPartition], list[tuple[bytes, int]]
]:
    """What to open in `path`, with its topic's id; the strays; which of these `may_lose` let go.

    What was being deleted is removed. Raises `LogDamagedError`, OSError.
    """
    found: dict[TopicPartition, bytes] = {}
    strays: dict[TopicPartition, StrayPartition] = {}
    lost: list[tuple[bytes, int]] = []
    for name in file_system.list_directory(path):
        directory = f"{path}/{name}"
        if directory_names.is_deleted(name):
            file_system.remove_tree(directory)
            continue
        key = directory_names.parse(name)
        if key is None or not file_system.is_directory(directory):
            continue
        topic_id = topic_ids.get(key[0])
        stray = find_stray(file_system, directory, key, topic_id)
        if stray is None:
            assert topic_id is not None
            found[key] = topic_id
            continue
        if stray.is_damaged and topic_id is not None:
            if not may_lose(key):
                raise LogDamagedError(ways_out(stray, topic_id))
            lost.append((topic_id, key[1]))
        level = logging.WARNING if topic_id is None else logging.ERROR
        logger.log(level, "%s is not opened: %s", directory, stray.reason)
        strays[key] = stray
    return found, strays, lost


def find_stray(
    file_system: FileSystem, directory: str, key: TopicPartition, topic_id: bytes | None
) -> StrayPartition | None:
    """None if the directory is the partition that it is called; its id is added if missing.

    `topic_id` is that of the topic of this name, None where there is none. Raises OSError.
    """
    topic, _ = key
    path = f"{directory}/{PARTITION_METADATA}"
    found = None
    damage = f"{PARTITION_METADATA} is missing"
    if file_system.exists(path):
        try:
            found = decode_partition_metadata(file_system.read_file(path), path)
        except CheckpointError as error:
            damage = str(error)
    if topic_id is None:
        return StrayPartition(directory, *key, found, f"there is no topic {topic}")
    if found is not None and found != topic_id:
        if not _is_nearly(found, topic_id):
            return StrayPartition(directory, *key, found, f"it belongs to an earlier {topic}")
        damage = f"{path}: its id is that of {topic} but for a few bits"
    elif found is not None:
        return None
    if holds_records(file_system, directory):
        return StrayPartition(directory, *key, None, damage, is_damaged=True)
    # Creation was interrupted.
    write_atomically(file_system, path, encode_partition_metadata(topic_id))
    return None


def _is_nearly(found: bytes, topic_id: bytes) -> bool:
    """Whether a character of the one was changed: ids are random, so that chance leaves no two so
    alike."""
    return (int.from_bytes(found, "big") ^ int.from_bytes(topic_id, "big")).bit_count() <= 8


def ways_out(stray: StrayPartition, topic_id: bytes) -> str:
    """What to do about one that is damaged: it would be moved aside for an empty one."""
    return (
        f"{stray.topic}-{stray.partition}: {stray.reason}, so that it is unknown whose records "
        f"{stray.directory} holds. Restore {stray.directory}/{PARTITION_METADATA} (topic_id: "
        f"{encode_uuid(topic_id)}), or accept that the partition begins anew, without them; "
        "they are kept beside it"
    )


def holds_records(file_system: FileSystem, directory: str) -> bool:
    """Whether there is a `.log` file in it that is not empty. Raises OSError."""
    names = file_system.list_directory(directory)
    logs = [f"{directory}/{name}" for name in names if name.endswith(LOG_SUFFIX)]
    return any(file_system.status(path).size for path in logs)


def make_directories(file_system: FileSystem, parent: str, topic_ids: Mapping[str, bytes]) -> None:
    """Make these in `parent`, each with its id, durably. An OSError leaves none of them behind.

    One that is there already holds no records: it is what an earlier attempt could not remove.
    Waits for the disk, and may run in a thread.
    """
    try:
        for directory in topic_ids:
            file_system.make_directory(directory, durable=False)
        # The id comes before any record: records without it belong to nobody.
        write_all_atomically(
            file_system,
            {
                f"{directory}/{PARTITION_METADATA}": encode_partition_metadata(topic_id)
                for directory, topic_id in topic_ids.items()
            },
        )
        file_system.sync_directory(parent)
    except OSError:
        remove_directories(file_system, topic_ids)
        raise


def remove_directories(file_system: FileSystem, directories: Iterable[str]) -> None:
    """Remove what was made and holds no record, as far as the disk lets us."""
    for directory in directories:
        with contextlib.suppress(OSError):
            file_system.remove_tree(directory)
