"""Records as lines of text, for `produce` and `consume`.

JSON is one object per line: `topic`, `partition`, `offset`, `timestamp` (milliseconds), `key`,
`value`, `headers` (pairs of name and value). A key or value is null, its text where it is UTF-8,
else `{"base64": "..."}`. What `consume --format json` prints, `produce --format json` takes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from kbroker.cli.positions import time_text


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """What is to be sent. `partition` and `timestamp_ms` are None where the client chooses."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class IncomingRecord:
    """What was read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class LineError(ValueError):
    """A line that is no record; the message says why."""


def json_bytes(data: bytes | None) -> str | dict[str, str] | None:
    """A key or a value in JSON."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def read_json_bytes(value: object, name: str) -> bytes | None:
    """The reverse; LineError."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise LineError(f"{name} holds half of a surrogate pair") from None
    if isinstance(value, dict) and list(value) == ["base64"]:
        try:
            return base64.b64decode(str(value["base64"]), validate=True)
        except ValueError:  # binascii.Error is one; letters beyond ASCII are another
            raise LineError(f"{name} is not base64") from None
    raise LineError(f'{name} is neither a string, nor null, nor {{"base64": ...}}')


def read_json_line(line: bytes) -> OutgoingRecord:
    """A record from one line of JSON; `topic` and `offset` are passed over. LineError."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise LineError("not a JSON object")
    unknown = set(value) - {
        *("key", "value", "headers", "partition", "timestamp", "topic", "offset", "time")
    }
    if unknown:
        raise LineError(f"unknown field {min(unknown)!r}")
    return OutgoingRecord(
        key=read_json_bytes(value.get("key"), "key"),
        value=read_json_bytes(value.get("value"), "value"),
        headers=_read_headers(value.get("headers") or []),
        partition=_read_integer(value.get("partition"), "partition"),
        timestamp_ms=_read_integer(value.get("timestamp"), "timestamp"),
    )


def _read_headers(value: object) -> tuple[tuple[str, bytes | None], ...]:
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list):
        raise LineError("headers are neither pairs nor an object")
    found = []
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise LineError("a header is not a pair of a name and a value")
        found.append((pair[0], read_json_bytes(pair[1], f"header {pair[0]}")))
    return tuple(found)


def _read_integer(value: object, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise LineError(f"{name} is not a number from 0 on")
    return value


def read_plain_line(line: bytes, key_separator: bytes | None) -> OutgoingRecord:
    """A record from a line: its value, or key and value with the separator between."""
    if key_separator is None:
        return OutgoingRecord(None, line)
    key, found, value = line.partition(key_separator)
    if not found:
        raise LineError(f"has no key separator {key_separator.decode(errors='replace')!r}")
    return OutgoingRecord(key, value)


def json_line(record: IncomingRecord) -> bytes:
    fields = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "key": json_bytes(record.key),
        "value": json_bytes(record.value),
        "headers": [[name, json_bytes(value)] for name, value in record.headers],
    }
    return json.dumps(fields, ensure_ascii=False).encode(errors="backslashreplace")


def value_line(record: IncomingRecord) -> bytes:
    """The value as it is; nothing for null."""
    return record.value or b""


def key_line(record: IncomingRecord) -> bytes:
    """Key, a tab, and the value, as they are."""
    return (record.key or b"") + b"\t" + (record.value or b"")


def full_line(record: IncomingRecord) -> bytes:
    """For people: all of it, with what cannot be printed written out."""
    time = time_text(record.timestamp_ms) or "-"
    parts = [f"{record.topic}:{record.partition}:{record.offset}", time]
    parts.append(f"key={readable(record.key)}")
    parts += [f"{readable(name.encode())}={readable(value)}" for name, value in record.headers]
    parts.append(f"value={readable(record.value)}")
    return " ".join(parts).encode()


def readable(data: bytes | None) -> str:
    """Text on one line: `null`, the text itself, or with escapes for what cannot be printed."""
    if data is None:
        return "null"
    text = data.decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


FORMATS: dict[str, Callable[[IncomingRecord], bytes]] = {
    "value": value_line,
    "key-value": key_line,
    "full": full_line,
    "json": json_line,
}
