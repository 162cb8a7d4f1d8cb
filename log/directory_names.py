"""The names of the directories in a data directory, as Kafka has them.

`<topic>-<n>` is a partition, `<topic>-<n>.<32 hex digits>-delete` one that is being deleted, and
`...-stray` one that belongs to no topic. The topic is cut where the whole would exceed a file
name's 255 bytes (topic names have at most 249 characters, all ASCII).
"""

import re

MAX_NAME_BYTES = 255
DELETED = "-delete"
STRAY = "-stray"
NO_ID = bytes(16)
_PARTITION = re.compile(r"([a-zA-Z0-9._-]+)-(0|[1-9][0-9]*)", re.ASCII)
_DELETED = re.compile(r".*-[0-9]+\.[0-9a-f]{32}-delete", re.ASCII)


def of_partition(topic: str, partition: int) -> str:
    return f"{topic}-{partition}"


def of_deleted(topic: str, partition: int, unique_id: bytes) -> str:
    return _with_suffix(topic, partition, unique_id, DELETED)


def of_stray(topic: str, partition: int, topic_id: bytes | None) -> str:
    return _with_suffix(topic, partition, topic_id or NO_ID, STRAY)


def _with_suffix(topic: str, partition: int, unique_id: bytes, suffix: str) -> str:
    tail = f"-{partition}.{unique_id.hex()}{suffix}"
    return topic[: MAX_NAME_BYTES - len(tail)] + tail


def parse(name: str) -> tuple[str, int] | None:
    """`(topic, partition)`, None for any other name."""
    match = _PARTITION.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def is_deleted(name: str) -> bool:
    return _DELETED.fullmatch(name) is not None
