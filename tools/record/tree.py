"""A message of one version as plain data: only the fields of that version, errors by their names.

Records are opened as far as they can be, so that a golden file says what was sent and fetched.
"""

from collections.abc import Mapping

from tools.record.text import Symbol, Tree
from wire.errors import ErrorCode, WireError
from wire.records.batch import HEADER_SIZE, BatchHeader, crc_is_valid, declared_size, read_header
from wire.records.batch_header import NO_LEADER_EPOCH
from wire.records.record import Record, iterate_records
from wire.schema import Field, Struct

MAX_SHOWN_BYTES = 40
MAX_SHOWN_RECORDS = 6
MAX_DECOMPRESSED_BYTES = 1 << 24
CURRENT_MAGIC = 2


def message_tree(message: Struct, version: int) -> dict[str, Tree]:
    """The fields that `version` carries, in order of declaration."""
    tree: dict[str, Tree] = {}
    for field in message.FIELDS:
        if version in field.versions:
            value = getattr(message, field.name)
            # Structs with tags are rare and long: said only where they are.
            if field.tag is None or field.kind != "struct" or value is not None:
                tree[field.name] = _value_tree(field, value, version)
    if message.unknown_tags:
        tree["unknown_tags"] = {str(k): v.hex() for k, v in sorted(message.unknown_tags.items())}
    return tree


def _value_tree(field: Field, value: object, version: int) -> Tree:
    if value is None:
        return None
    if field.kind == "records":
        assert isinstance(value, bytes | bytearray | memoryview)
        return records_tree(bytes(value))
    if field.name.endswith("error_code") and isinstance(value, int):
        return error_name(value)
    if isinstance(value, list):
        return [_element_tree(element, version) for element in value]
    return _element_tree(value, version)


def _element_tree(value: object, version: int) -> Tree:
    if isinstance(value, Struct):
        return message_tree(value, version)
    if isinstance(value, bytes | bytearray | memoryview):
        return uuid_symbol(bytes(value)) if len(value) == 16 else shown(bytes(value))
    assert isinstance(value, str | int | bool)
    return value


def error_name(code: int) -> Symbol:
    """`NONE`, `UNKNOWN_TOPIC_ID` ...; a code that Kafka 4.3 does not have stays a number."""
    try:
        return Symbol(ErrorCode(code).name)
    except ValueError:
        return Symbol(f"ERROR_{code}")


def uuid_symbol(value: bytes) -> Symbol:
    """A uuid in hexadecimal; `zero` for the one that means none."""
    return Symbol("zero" if value == bytes(16) else f"uuid:{value.hex()}")


def shown(data: bytes | None) -> Tree:
    """Bytes as text where they are ASCII, else in hexadecimal; cut where they are many."""
    if data is None:
        return None
    cut = data[:MAX_SHOWN_BYTES]
    printable = all(0x20 <= byte < 0x7F for byte in cut)
    text = cut.decode() if printable else f"0x{cut.hex()}"
    return text if len(data) <= MAX_SHOWN_BYTES else f"{text}... ({len(data)} bytes)"


def records_tree(data: bytes) -> Tree:
    """The batches of a records field, whole ones opened, a cut one by what is there of it."""
    batches: list[Tree] = []
    position = 0
    while position < len(data):
        try:
            size = declared_size(data, position)
            header = read_header(data, position) if size else None
        except WireError:
            header = None
        if header is None:
            batches.append({"bytes": len(data) - position})
            break
        if position + header.size_bytes > len(data):
            batches.append({"base_offset": header.base_offset, "cut": len(data) - position})
            break
        batches.append(batch_tree(data, position, header))
        position += header.size_bytes
    return batches


def batch_tree(data: bytes, position: int, header: BatchHeader) -> Tree:
    """One whole batch; what has the value that most batches have is left out."""
    if header.magic != CURRENT_MAGIC:
        return {"magic": header.magic, "bytes": header.size_bytes}
    records = _records(data, position, header)
    tree: dict[str, Tree] = {"base_offset": header.base_offset}
    if header.partition_leader_epoch != NO_LEADER_EPOCH:
        tree["leader_epoch"] = header.partition_leader_epoch
    if not isinstance(records, list) or len(records) != header.record_count:
        tree["record_count"] = header.record_count
    if header.last_offset_delta != header.record_count - 1:
        tree["last_offset_delta"] = header.last_offset_delta
    tree["max_timestamp"] = header.max_timestamp
    if header.base_timestamp != header.max_timestamp:
        tree["base_timestamp"] = header.base_timestamp
    if header.attributes:
        tree["attributes"] = _attributes(header)
    usual = {"producer_id": -1, "producer_epoch": -1, "base_sequence": -1}
    actual = {name: getattr(header, name) for name in usual}
    if actual != usual:
        tree.update(actual)
    if not crc_is_valid(data, position, header):
        tree["crc"] = Symbol("wrong")
    tree["records"] = records
    return tree


def _attributes(header: BatchHeader) -> list[Tree]:
    names: Mapping[int, str] = {0x08: "log-append-time", 0x10: "transactional", 0x20: "control"}
    codecs = ["", "gzip", "snappy", "lz4", "zstd", "codec-5", "codec-6", "codec-7"]
    found = [codecs[header.attributes & 7]]
    found += [name for bit, name in names.items() if header.attributes & bit]
    if header.attributes & ~0x3F:
        found.append(f"0x{header.attributes & 0xFFC0:x}")
    return [Symbol(name) for name in found if name]


def _records(data: bytes, position: int, header: BatchHeader) -> Tree:
    if header.size_bytes == HEADER_SIZE:
        return []
    try:
        records = list(
            iterate_records(data, position, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES)
        )
    except WireError:
        return Symbol("unreadable")
    trees: list[Tree] = [_record(record, header) for record in records[:MAX_SHOWN_RECORDS]]
    if len(records) > MAX_SHOWN_RECORDS:
        trees.append(Symbol(f"{len(records) - MAX_SHOWN_RECORDS} more"))
    return trees


def _record(record: Record, header: BatchHeader) -> Tree:
    tree: dict[str, Tree] = {"key": shown(record.key), "value": shown(record.value)}
    if record.timestamp_ms != header.max_timestamp:
        tree["timestamp"] = record.timestamp_ms
    if record.headers:
        tree["headers"] = {header.key: shown(header.value) for header in record.headers}
    return tree["value"] if list(tree) == ["key", "value"] and tree["key"] is None else tree
