"""The records of `__consumer_offsets` in words: what groups committed, and who was in them."""

from __future__ import annotations

from kbroker.cli.positions import time_text
from kbroker.cli.record_lines import json_bytes, readable
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from wire.records.record import Record
from wire.versioned import decode_versioned, read_version

Described = tuple[str, dict[str, object]]


def describe_offset_record(record: Record) -> Described:
    """Text and fields. WireError for a record that is malformed; other kinds are shown raw."""
    if record.key is not None:
        version = read_version(record.key)
        if version in OffsetCommitKey.VERSIONS:
            return _describe_commit(decode_versioned(OffsetCommitKey, record.key), record.value)
        if version in GroupMetadataKey.VERSIONS:
            return _describe_group(decode_versioned(GroupMetadataKey, record.key), record.value)
    return (
        f"of another kind: key={readable(record.key)} value={readable(record.value)}",
        {"kind": "other", "key": json_bytes(record.key), "value": json_bytes(record.value)},
    )


def _describe_commit(key: OffsetCommitKey, data: bytes | None) -> Described:
    start = f"group {_name(key.group)}, {_name(key.topic)}:{key.partition}"
    fields: dict[str, object] = {
        "kind": "offset",
        "group": key.group,
        "topic": key.topic,
        "partition": key.partition,
    }
    if data is None:
        return f"{start}: forgotten", {**fields, "committed": None}
    value = decode_versioned(OffsetCommitValue, data)
    parts = [f"{start}: committed {value.offset}"]
    if value.leader_epoch >= 0:
        parts.append(f"leader epoch {value.leader_epoch}")
    if value.metadata:
        parts.append(f"metadata {_name(value.metadata)}")
    parts.append(f"at {time_text(value.commit_timestamp) or '-'}")
    if value.expire_timestamp >= 0:
        parts.append(f"until {time_text(value.expire_timestamp) or '-'}")
    return ", ".join(parts), {
        **fields,
        "committed": value.offset,
        "leader_epoch": value.leader_epoch,
        "metadata": value.metadata,
        "commit_timestamp": value.commit_timestamp,
        "expire_timestamp": value.expire_timestamp,
    }


def _describe_group(key: GroupMetadataKey, data: bytes | None) -> Described:
    start = f"group {_name(key.group)}"
    fields: dict[str, object] = {"kind": "group", "group": key.group}
    if data is None:
        return f"{start}: removed", {**fields, "generation": None}
    value = decode_versioned(GroupMetadataValue, data)
    members = [member.member_id for member in value.members]
    names = f": {' '.join(map(_name, members))}" if members else ""
    return (
        f"{start}: generation {value.generation}, protocol {_name(value.protocol or '-')}, leader"
        f" {_name(value.leader or '-')}, {len(members)} member{'s' * (len(members) != 1)}{names}",
        {
            **fields,
            "generation": value.generation,
            "protocol_type": value.protocol_type,
            "protocol": value.protocol,
            "leader": value.leader,
            "state_timestamp": value.current_state_timestamp,
            "members": [
                {
                    "member_id": member.member_id,
                    "instance_id": member.group_instance_id,
                    "client_id": member.client_id,
                    "host": member.client_host,
                    "session_timeout_ms": member.session_timeout,
                    "rebalance_timeout_ms": member.rebalance_timeout,
                }
                for member in value.members
            ],
        },
    )


def _name(text: str) -> str:
    return readable(text.encode(errors="surrogatepass"))
