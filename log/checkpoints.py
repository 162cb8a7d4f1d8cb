"""The small text files of a log directory, each exactly as Kafka 4.3 writes it.

Formats only: bytes in, values out, and the reverse. They are written with
`file_system.write_atomically`, so that a crash leaves the old or the new content. What is malformed
raises `CheckpointError`, one readable line with the file and what is wrong in it.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

VERSION = 0
META_VERSION = 1
TOPIC_ID_BYTES = 16
NO_BROKER_EPOCH = -1

TopicPartition = tuple[str, int]


class CheckpointError(ValueError):
    """A file of the log directory that does not say what it should; the message names it."""


def encode_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """The offset checkpoints: `version, count`, then a line `topic partition offset` each."""
    lines = [f"{topic} {number} {offset}" for (topic, number), offset in sorted(offsets.items())]
    return _encode_lines(lines)


def decode_offsets(data: bytes, path: str) -> dict[TopicPartition, int]:
    """The offsets by topic and partition. `path` is for the error's text."""
    offsets = {}
    for line in _decode_lines(data, path):
        words = line.split()
        if len(words) != 3:
            raise CheckpointError(f"{path}: expected 'topic partition offset', found {line!r}")
        number, offset = _integer(words[1], path), _integer(words[2], path)
        if number < 0 or offset < 0:
            raise CheckpointError(f"{path}: negative number in {line!r}")
        offsets[words[0], number] = offset
    return offsets


def encode_epochs(entries: Iterable[tuple[int, int]]) -> bytes:
    """The leader-epoch checkpoint: `version, count`, then a line `epoch start_offset` each."""
    return _encode_lines([f"{epoch} {start_offset}" for epoch, start_offset in entries])


def decode_epochs(data: bytes, path: str) -> list[tuple[int, int]]:
    """`(epoch, start offset)` in the file's order, in which both ascend strictly."""
    entries: list[tuple[int, int]] = []
    for line in _decode_lines(data, path):
        words = line.split()
        if len(words) != 2:
            raise CheckpointError(f"{path}: expected 'epoch start_offset', found {line!r}")
        epoch, start_offset = _integer(words[0], path), _integer(words[1], path)
        least_epoch, least_start = entries[-1] if entries else (-1, -1)
        if epoch <= least_epoch or start_offset <= least_start:
            raise CheckpointError(f"{path}: {line!r} does not ascend")
        entries.append((epoch, start_offset))
    return entries


def _encode_lines(lines: list[str]) -> bytes:
    return "\n".join([str(VERSION), str(len(lines)), *lines, ""]).encode()


def _decode_lines(data: bytes, path: str) -> Iterator[str]:
    text = _text(data, path)
    lines = text.splitlines()
    if not lines:
        return  # Kafka makes its checkpoint files empty before it first writes them
    version = _integer(lines[0], path)
    if version != VERSION:
        raise CheckpointError(f"{path}: version {version} is unknown, expected {VERSION}")
    count = _integer(lines[1], path) if len(lines) > 1 else -1
    entries = lines[2:]
    if count != len(entries):
        raise CheckpointError(f"{path}: {len(entries)} entries, where {count} are announced")
    if not text.endswith("\n"):
        # Kafka, too, ends each line: half a number is another number.
        raise CheckpointError(f"{path}: its last line is cut")
    yield from entries


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CheckpointError(f"{path}: not UTF-8 text") from None


def _integer(word: str, path: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise CheckpointError(f"{path}: {word!r} is not a number") from None


def encode_partition_metadata(topic_id: bytes) -> bytes:
    """`partition.metadata`: which topic a directory belongs to, beyond its name (KIP-516)."""
    return f"version: {VERSION}\ntopic_id: {encode_uuid(topic_id)}".encode()


def decode_partition_metadata(data: bytes, path: str) -> bytes:
    """The topic id, 16 bytes."""
    values = dict(line.partition(":")[::2] for line in _text(data, path).splitlines())
    version = values.get("version", "").strip()
    if version != str(VERSION):
        raise CheckpointError(f"{path}: version {version!r} is unknown, expected {VERSION}")
    return decode_uuid(values.get("topic_id", "").strip(), path)


def encode_uuid(value: bytes) -> str:
    """Kafka's spelling of a 16-byte id: URL-safe base64 without padding, 22 characters."""
    assert len(value) == TOPIC_ID_BYTES, f"an id of {len(value)} bytes"
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode_uuid(text: str, path: str) -> bytes:
    """The 16 bytes; padding is accepted."""
    try:
        value = base64.b64decode(text.rstrip("=") + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        value = b""
    # The library takes the characters of plain base64 as well.
    if len(value) != TOPIC_ID_BYTES or "+" in text or "/" in text:
        raise CheckpointError(f"{path}: {text!r} is not an id of {TOPIC_ID_BYTES} bytes in base64")
    return value


@dataclass(frozen=True, slots=True)
class MetaProperties:
    """Whose directory this is. `others` are lines of another release, kept when written again."""

    cluster_id: str
    node_id: int
    directory_id: bytes
    others: Mapping[str, str] = field(default_factory=dict)


def encode_meta_properties(meta: MetaProperties) -> bytes:
    """`meta.properties`, version 1 (KIP-631, KIP-858)."""
    values = {
        **meta.others,
        "cluster.id": meta.cluster_id,
        "directory.id": encode_uuid(meta.directory_id),
        "node.id": str(meta.node_id),
        "version": str(META_VERSION),
    }
    return "".join(f"{key}={_escape(values[key])}\n" for key in sorted(values)).encode()


def decode_meta_properties(data: bytes, path: str) -> MetaProperties:
    """The reverse, of a file that Kafka or this broker has written."""
    values = {}
    for line in _text(data, path).splitlines():
        if not line.strip() or line.lstrip()[0] in "#!":
            continue
        key, separator, value = line.partition("=")
        if not separator:
            raise CheckpointError(f"{path}: expected key=value, found {line!r}")
        values[key.strip()] = _unescape(value.strip())
    version = values.pop("version", "")
    if version != str(META_VERSION):
        raise CheckpointError(f"{path}: version {version!r} is unknown, expected {META_VERSION}")
    for key in ("cluster.id", "node.id", "directory.id"):
        if key not in values:
            raise CheckpointError(f"{path}: {key} is missing")
    return MetaProperties(
        cluster_id=values.pop("cluster.id"),
        node_id=_integer(values.pop("node.id"), path),
        directory_id=decode_uuid(values.pop("directory.id"), path),
        others=values,
    )


def _escape(value: str) -> str:
    """As java.util.Properties stores a value; usual ids hold none of these characters."""
    text = "".join("\\" + character if character in "\\:=#!" else character for character in value)
    # A blank in front would be taken for one around the equals sign.
    return "\\" + text if text[:1].isspace() else text


def _unescape(value: str) -> str:
    characters = iter(value)
    return "".join(
        next(characters, "") if character == "\\" else character for character in characters
    )


def encode_clean_shutdown(broker_epoch: int = NO_BROKER_EPOCH) -> bytes:
    """`.kafka_cleanshutdown`: there only while everything that the directory holds is synced."""
    return f'{{"version":{VERSION},"brokerEpoch":{broker_epoch}}}'.encode()


def decode_clean_shutdown(data: bytes) -> int:
    """The broker's epoch then, -1 if the file does not tell: its presence is what counts."""
    try:
        value = json.loads(data)
        epoch = value["brokerEpoch"] if value["version"] == VERSION else NO_BROKER_EPOCH
    except (ValueError, KeyError, TypeError, RecursionError):
        return NO_BROKER_EPOCH
    return epoch if isinstance(epoch, int) else NO_BROKER_EPOCH
