"""Targets in `wire`: every message in every version, headers, frames, batches, records, codecs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from struct import pack

from tests.fuzz.batches import (
    MARKER_KEYS,
    MARKER_VALUES,
    batch_sample,
    batches_sample,
    body_sample,
    repaired,
    zigzag,
)
from tests.fuzz.messages import message_sample
from tests.fuzz.mutation import Sample
from tests.fuzz.target import Target, require
from wire.api_key import FIRST_FLEXIBLE_VERSION, ApiKey
from wire.compiler import decode, encode
from wire.errors import WireError
from wire.frame import read_correlation_id, read_response, response_frame
from wire.header import read_request_header
from wire.messages import MESSAGES
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from wire.primitives import VARINT, encode_unsigned_varint, read_unsigned_varint, skip_tags
from wire.records.batch import (
    build_batch,
    crc_is_valid,
    declared_size,
    iterate_batches,
    read_header,
    recompressed,
)
from wire.records.batch_header import HEADER, HEADER_SIZE
from wire.records.compression import Compression, compress, decompress
from wire.records.control import (
    build_end_transaction_marker,
    parse_end_transaction_marker,
    read_end_transaction_marker,
)
from wire.records.record import Record, iterate_records
from wire.records.varint import append_varint, read_varint, read_varlong
from wire.schema import NO_END, Response, Struct
from wire.versioned import decode_versioned, encode_versioned

MOST_DECOMPRESSED = 1 << 20
STORED = (OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue)
MESSAGE = ("wire.compiler.decode",)


def wire_targets() -> Iterator[Target]:
    yield from message_targets()
    yield from frame_targets()
    yield from batch_targets()
    yield from codec_targets()


# Messages.


def message_targets() -> Iterator[Target]:
    for request, response in MESSAGES.values():
        for cls in (request, response):
            for version in cls.VERSIONS:
                yield Target(
                    f"{cls.__name__}.v{version}",
                    partial(message_sample, cls, version),
                    partial(check_message, cls, version),
                    covers=MESSAGE,
                )
    for cls in STORED:
        yield Target(
            cls.__name__,
            partial(versioned_sample, cls),
            partial(check_versioned, cls),
            covers=("wire.versioned.decode_versioned", "wire.versioned.read_version"),
            weight=4,
        )


def check_message(cls: type[Struct], version: int, data: bytes) -> None:
    message, end = decode(cls, version, data)
    require(0 <= end <= len(data), f"decoding ended at byte {end} of {len(data)}")
    encoded = b"".join(encode(message, version))
    if encoded == data[:end]:
        return
    again, end = decode(cls, version, encoded)
    require(end == len(encoded), f"{len(encoded) - end} bytes follow what was encoded")
    # Bytes, not values: a NaN equals nothing.
    require(b"".join(encode(again, version)) == encoded, f"{message} decodes to {again}")


def versioned_sample(cls: type[Struct], chance: Random) -> Sample:
    version = chance.choice(cls.VERSIONS)
    body = message_sample(cls, version, chance)
    return Sample([pack(">h", version), *body.pieces], "h" + body.kinds)


def check_versioned(cls: type[Struct], data: bytes) -> None:
    value = decode_versioned(cls, data)
    version = int.from_bytes(data[:2], "big")
    encoded = encode_versioned(value, version)
    require(decode_versioned(cls, encoded) == value, f"{value} does not decode to itself")


# Headers, frames, varints.


def frame_targets() -> Iterator[Target]:
    yield Target(
        "request_header",
        request_header_sample,
        check_request_header,
        covers=("wire.header.read_request_header", "wire.primitives.skip_tags"),
        weight=10,
    )
    yield Target(
        "response_frame",
        response_frame_sample,
        check_response_frame,
        covers=("wire.frame.read_response", "wire.frame.read_correlation_id"),
        weight=10,
    )
    # The callers of these turn an IndexError into a WireError.
    yield Target(
        "unsigned_varint",
        lambda chance: Sample([encode_unsigned_varint(chance.getrandbits(32) >> 3)], "v"),
        check_unsigned_varint,
        (WireError, IndexError),
        covers=(
            "wire.primitives.read_unsigned_varint",
            "wire.primitives.finish_unsigned_varint",
        ),
    )
    yield Target(
        "tags",
        tags_sample,
        lambda data: require(0 < skip_tags(data, 0) <= len(data), "tags end past their bytes"),
        (WireError, IndexError),
        covers=("wire.primitives.skip_tags", "wire.primitives.read_unknown_tags"),
    )
    yield Target(
        "varint",
        lambda chance: Sample([zigzag(chance.getrandbits(60) >> chance.randrange(60))], "z"),
        check_varint,
        covers=("wire.records.varint.read_varint", "wire.records.varint.read_varlong"),
    )


def request_header_sample(chance: Random) -> Sample:
    key = chance.choice([*ApiKey, -1, 200, 32767])
    version = chance.choice((0, 1, 2, 3, 9, 13, -1, 32767))
    name = chance.choice((None, b"", b"client", b"caf\xc3\xa9", b"x" * 200))
    pieces = [pack(">h", key), pack(">h", version), pack(">i", chance.getrandbits(31))]
    pieces += [pack(">h", -1 if name is None else len(name)), name or b""]
    kinds = "hhihd"
    if version >= FIRST_FLEXIBLE_VERSION.get(key, NO_END):
        tags = tags_sample(chance)
        pieces += tags.pieces
        kinds += tags.kinds
    return Sample([*pieces, b"body"], kinds + "d")


def tags_sample(chance: Random) -> Sample:
    pieces, kinds = [b""], "v"
    count = chance.choice((0, 0, 1, 2))
    pieces[0] = VARINT[count]
    for _ in range(count):
        value = chance.randbytes(chance.randrange(6))
        pieces += [VARINT[chance.randrange(300)], VARINT[len(value)], value]
        kinds += "vvd"
    return Sample(pieces, kinds)


def check_request_header(data: bytes) -> None:
    for buffer in (data, memoryview(data)):
        header = read_request_header(buffer)
        require(10 <= header.body_position <= len(data), f"the body begins outside: {header}")
    fixed = pack(">hhi", *header[:3])
    name = b"" if header.client_id is None else header.client_id.encode()
    rest = data[8 + 2 + len(name) :]
    length = -1 if header.client_id is None else len(name)
    again = read_request_header(fixed + pack(">h", length) + name + rest)
    require(again == header, f"{header} decodes to {again}")


def response_frame_sample(chance: Random) -> Sample:
    """The key of an API and a version in front tell what the rest is the response of."""
    key = chance.choice(list(MESSAGES))
    cls = MESSAGES[key][1]
    version = chance.choice(cls.VERSIONS)
    body = message_sample(cls, version, chance)
    tagged = version in cls.FLEXIBLE and key != ApiKey.API_VERSIONS
    pieces = [bytes([key, version]), pack(">i", chance.getrandbits(31)), b"\0" * tagged]
    return Sample([*pieces, *body.pieces], "div" + body.kinds)


def check_response_frame(data: bytes) -> None:
    if len(data) < 2 or data[0] not in MESSAGES:
        return
    cls: type[Response] = MESSAGES[ApiKey(data[0])][1]
    version = data[1]
    if version not in cls.VERSIONS:
        return
    correlation_id, response = read_response(cls, version, data[2:])
    require(read_correlation_id(data[2:]) == correlation_id, "two correlation ids")
    frame = b"".join(response_frame(response, version, correlation_id))[4:]
    again = read_response(cls, version, frame)
    require(again[0] == correlation_id, "another correlation id")
    whole = b"".join(response_frame(again[1], version, correlation_id))[4:]
    require(whole == frame, f"{response} decodes to {again[1]}")


def check_unsigned_varint(data: bytes) -> None:
    value, end = read_unsigned_varint(data, 0)
    require(0 <= value < 1 << 32, f"{value} has more than 32 bits")
    require(0 < end <= min(5, len(data)), f"a varint of {end} bytes")
    encoded = encode_unsigned_varint(value)
    require(read_unsigned_varint(encoded, 0) == (value, len(encoded)), f"{value} is another")


def check_varint(data: bytes) -> None:
    for read, bits in ((read_varlong, 64), (read_varint, 32)):
        value, end = read(data, 0)
        require(-(1 << bits - 1) <= value < 1 << bits - 1, f"{value} has more than {bits} bits")
        out = bytearray()
        append_varint(out, value)
        require(read(out, 0) == (value, len(out)), f"{value} is another after encoding")
        require(len(out) <= end <= len(data), f"{value} in {end} bytes")


# Batches and records.


def batch_targets() -> Iterator[Target]:
    for codec in Compression:
        yield Target(
            f"records.{codec.name.lower()}",
            partial(batch_sample, codec=codec),
            check_records,
            covers=("wire.records.record.iterate_records", "wire.records.batch.read_header"),
            weight=25 if codec is Compression.NONE else 8,
            repair=repaired,
        )
    yield Target(
        "batches",
        batches_sample,
        check_batches,
        covers=(
            "wire.records.batch.iterate_batches",
            "wire.records.batch.declared_size",
            "wire.records.batch.crc_is_valid",
            "wire.records.batch_header.read_header",
        ),
        weight=20,
        repair=repaired,
    )
    yield Target(
        "recompression", batch_sample, check_recompression, covers=(), weight=8, repair=repaired
    )
    yield Target(
        "control_batch",
        partial(batch_sample, codec=Compression.NONE, control=True),
        check_control_batch,
        covers=("wire.records.control.read_end_transaction_marker",),
        weight=10,
        repair=repaired,
    )
    yield Target(
        "control_record",
        control_record_sample,
        check_control_record,
        covers=(
            "wire.records.control.control_type",
            "wire.records.control.parse_end_transaction_marker",
        ),
        weight=2,
    )


def check_records(data: bytes) -> None:
    header = read_header(data)
    records = list(iterate_records(data, max_decompressed_bytes=MOST_DECOMPRESSED))
    require(len(records) == header.record_count, f"{len(records)} of {header.record_count}")
    if not records or header.has_log_append_time:
        return
    # Absolute offsets and times may lie outside of what a batch can hold, where deltas overflow.
    if not all(_fits(record, records[0].timestamp_ms, header.base_offset) for record in records):
        return
    encoded = build_batch(records, base_offset=header.base_offset, keep_offsets=True)
    again = list(iterate_records(encoded, max_decompressed_bytes=MOST_DECOMPRESSED))
    require(again == records, f"{records} decode to {again}")


def _fits(record: Record, base_timestamp: int, base_offset: int) -> bool:
    return (
        -(1 << 63) <= record.timestamp_ms < 1 << 63
        and -(1 << 63) <= record.timestamp_ms - base_timestamp < 1 << 63
        and -(1 << 63) <= record.offset < 1 << 63
        and -(1 << 31) <= record.offset - base_offset < 1 << 31
    )


def check_batches(data: bytes) -> None:
    position = 0
    for at, header in iterate_batches(data):
        require(at == position, f"a batch at {at}, not {position}")
        require(declared_size(data, at) == header.size_bytes, "two sizes")
        require(header.size_bytes >= HEADER_SIZE or header.magic < 2, "smaller than its header")
        # As Kafka counts, in 64 bits; nothing else may come of any field.
        for value in (header.last_offset, header.next_offset, header.last_sequence):
            require(isinstance(value, int), "no number")
        if crc_is_valid(data, at, header) and header.magic == 2:
            fields = HEADER.pack(*header)
            require(fields == data[at : at + HEADER_SIZE], "the header is another")
            for _ in iterate_records(data, at, max_decompressed_bytes=MOST_DECOMPRESSED):
                pass
        position += header.size_bytes
    declared_size(data, position)


def check_recompression(data: bytes) -> None:
    header = read_header(data)
    if header.magic != 2 or header.size_bytes > len(data):
        return
    codec = Compression((header.attributes + 1) % len(Compression))
    new = recompressed(data, header, codec, level=None, max_decompressed_bytes=MOST_DECOMPRESSED)
    made = read_header(new)
    require(made.compression is codec, "another codec")
    require(crc_is_valid(new, 0, made) and made.size_bytes == len(new), "not sound")
    require(made[:1] + made[6:] == header[:1] + header[6:], f"{made} of {header}")
    require(_outcome(new) == _outcome(data), "other records")


def _outcome(data: bytes | bytearray) -> list[Record] | None:
    try:
        return list(iterate_records(data, max_decompressed_bytes=MOST_DECOMPRESSED))
    except WireError:
        return None


def check_control_batch(data: bytes) -> None:
    header = read_header(data)
    marker = read_end_transaction_marker(data, 0, header)
    if marker is not None:
        built = build_end_transaction_marker(
            marker, producer_id=1, producer_epoch=0, timestamp_ms=5
        )
        again = read_end_transaction_marker(built, 0, read_header(built))
        require(again == marker, f"{marker} decodes to {again}")


def control_record_sample(chance: Random) -> Sample:
    """A byte that says how long the key is, the key, the value."""
    key = chance.choice(MARKER_KEYS) or b""
    return Sample([bytes([len(key)]), key, chance.choice(MARKER_VALUES) or b""], "bdd")


def check_control_record(data: bytes) -> None:
    end = 1 + data[0] if data else 1
    record = Record(0, 0, data[1:end] or None, data[end:] or None)
    parse_end_transaction_marker(record)


# Codecs.


def codec_targets() -> Iterator[Target]:
    for codec in Compression:
        yield Target(
            f"decompress.{codec.name.lower()}",
            partial(compressed_sample, codec),
            partial(check_decompress, codec),
            covers=("wire.records.compression.decompress",),
            weight=1 if codec is Compression.NONE else 8,
        )


def compressed_sample(codec: Compression, chance: Random) -> Sample:
    data = body_sample(chance, count=chance.choice((1, 3, 10))).data
    if chance.random() < 0.1:
        data = bytes(chance.choice((1 << 12, 1 << 16, 1 << 20)))
    elif chance.random() < 0.1:
        data = chance.randbytes(500)
    whole = compress(codec, data)
    if chance.random() < 0.1:
        whole += compress(codec, data[:50])
    # The frame's own headers and lengths are at the front and at the end.
    return Sample([whole[:4], whole[4:8], whole[8:20], whole[20:-8], whole[-8:]], "iiddd")


def check_decompress(codec: Compression, data: bytes) -> None:
    for most in (MOST_DECOMPRESSED, 1000):
        out = decompress(codec, data, max_output_bytes=most)
        require(len(out) <= most, f"{len(out)} bytes, at most {most} were asked for")
        again = decompress(codec, compress(codec, out), max_output_bytes=most)
        require(again == out, "it decompresses to something else")
