"""The JSON of etcd's gateway, to and from our own values (pure).

It is protobuf's mapping: int64 is text, bytes are base64, a field that holds its zero value is left
out. What arrives is looked at with suspicion: anything else than that is MalformedAnswerError.

Counterparts: `etcd_gateway.py` (carries it), `etcd_store.py` and `etcd_watch.py` (ask for it).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import cast

from kbroker.cluster.metadata_store import (
    Compare,
    CompareTarget,
    Delete,
    DeletePrefix,
    Event,
    Get,
    KeyValue,
    Operation,
    Put,
    StoreUnavailableError,
)

Json = dict[str, object]


class MalformedAnswerError(StoreUnavailableError):
    """It is no answer of etcd's."""


class Message:
    """One object of an answer; a field that is not there has its zero value."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    def parse(cls, text: bytes) -> Message:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        return cls(_object(value, "an answer"))

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def integer(self, name: str) -> int:
        value = self._fields.get(name, 0)
        if isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                raise _malformed(name) from None
        if isinstance(value, bool) or not isinstance(value, int):
            raise _malformed(name)
        return value

    def text(self, name: str) -> str:
        value = self._fields.get(name, "")
        if not isinstance(value, str):
            raise _malformed(name)
        return value

    def data(self, name: str) -> bytes:
        try:
            return base64.b64decode(self.text(name), validate=True)
        except (binascii.Error, ValueError):
            raise _malformed(name) from None

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise _malformed(name)
        return value

    def message(self, name: str) -> Message:
        return Message(_object(self._fields.get(name, {}), name))

    def messages(self, name: str) -> list[Message]:
        value = self._fields.get(name, [])
        if not isinstance(value, list):
            raise _malformed(name)
        return [Message(_object(each, name)) for each in value]

    @property
    def revision(self) -> int:
        """The store's, in the header of most answers: never 0."""
        revision = self.message("header").integer("revision")
        if revision <= 0:
            raise _malformed("revision")
        return revision


def key_value_of(message: Message, namespace: str) -> KeyValue:
    """Of a `mvccpb.KeyValue`. `namespace` is what all our keys start with."""
    try:
        key = message.data("key").decode()
    except UnicodeDecodeError:
        raise _malformed("key") from None
    if not key.startswith(namespace):
        raise _malformed("key")
    return KeyValue(
        key[len(namespace) :],
        message.data("value"),
        message.integer("create_revision"),
        message.integer("mod_revision"),
        message.integer("version"),
        message.integer("lease"),
    )


def event_of(message: Message, namespace: str) -> Event:
    """Of a `mvccpb.Event`."""
    kv = key_value_of(message.message("kv"), namespace)
    if message.text("type") == "DELETE":
        kv = KeyValue(kv.key, b"", 0, kv.mod_revision, 0)
    elif kv.version == 0:
        raise _malformed("version")
    return Event(kv)


def one_key(key: str) -> Json:
    return {"key": encoded(key)}


def all_keys(prefix: str) -> Json:
    """The range of every key with the prefix."""
    start = prefix.encode()
    kept = start.rstrip(b"\xff")
    # UTF-8 has no byte 0xff: only the empty prefix has no end of its own.
    end = kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"
    return {"key": encoded(start or b"\0"), "range_end": encoded(end)}


def keys_after(key: str, prefix: str) -> Json:
    """The rest of `all_keys(prefix)` behind that key."""
    return {**all_keys(prefix), "key": encoded(key.encode() + b"\0")}


def encoded(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def compare_json(compare: Compare, namespace: str) -> Json:
    operand = (
        encoded(compare.operand) if isinstance(compare.operand, bytes) else str(compare.operand)
    )
    return {
        **one_key(namespace + compare.key),
        "target": compare.target.value,
        "result": compare.operator.value,
        _OPERANDS[compare.target]: operand,
    }


def operation_json(operation: Operation, namespace: str) -> Json:
    match operation:
        case Put(key, value, lease):
            put = {**one_key(namespace + key), "value": encoded(value), "lease": str(lease)}
            return {"request_put": put}
        case Delete(key):
            return {"request_delete_range": one_key(namespace + key)}
        case DeletePrefix(prefix):
            return {"request_delete_range": all_keys(namespace + prefix)}
        case Get(key):
            return {"request_range": one_key(namespace + key)}


def values_of(
    responses: Sequence[Message], operations: Sequence[Operation], namespace: str
) -> tuple[KeyValue | None, ...]:
    """What the Gets among the operations found."""
    if len(responses) != len(operations):
        raise _malformed("responses")
    return tuple(
        first_of(response.message("response_range"), namespace)
        for response, operation in zip(responses, operations, strict=True)
        if isinstance(operation, Get)
    )


def first_of(found: Message, namespace: str) -> KeyValue | None:
    """The one key that a range of one key found."""
    items = found.messages("kvs")
    return key_value_of(items[0], namespace) if items else None


def version_of(text: str) -> tuple[int, int, int]:
    """Of "3.6.9" or "3.7.0-rc.1"."""
    parts = text.partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isdecimal() and part.isascii() for part in parts):
        raise _malformed("version")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _object(value: object, name: str) -> Json:
    if not isinstance(value, dict):
        raise _malformed(name)
    return cast(Json, value)


def _malformed(name: str) -> MalformedAnswerError:
    return MalformedAnswerError(f"etcd's answer makes no sense: {name}")


_OPERANDS = {
    CompareTarget.CREATE_REVISION: "create_revision",
    CompareTarget.MOD_REVISION: "mod_revision",
    CompareTarget.VERSION: "version",
    CompareTarget.VALUE: "value",
}
