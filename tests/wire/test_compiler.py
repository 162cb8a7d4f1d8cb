"""Compiled codecs agree with the readable one, and refuse what it refuses."""

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.message_strategies import (
    API_MESSAGES,
    EXAMPLES,
    STORED,
    message_settings,
    title,
    top_level,
    versions_of,
)
from tests.wire.reference_codec import decode_reference, encode_reference
from wire.compiler import decode, encode
from wire.errors import WireError
from wire.messages.fetch import FetchResponse
from wire.messages.metadata import MetadataRequest
from wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from wire.records.file_slice import FileSlice
from wire.schema import (
    NIL_UUID,
    Struct,
    array,
    binary,
    boolean,
    float64,
    int8,
    int8_array,
    int16,
    int32,
    int32_array,
    int64,
    record_set,
    string,
    string_array,
    struct,
    uint16,
    uuid,
)


class Inner(Struct):
    """A struct with a tagged field of its own."""

    number: int = int16(default=3)
    label: str = string("1+", tag=0, default="none")


class Everything(Struct, versions="0-3", flexible="1+"):
    """Every kind, in place and tagged, nullable and not: what no single message of Kafka's has."""

    flag: bool = boolean()
    tiny: int = int8()
    port: int = uint16()
    rate: float = float64()
    text: str = string()
    maybe_text: str | None = string(nullable="0+")
    data: bytes = binary()
    maybe_data: bytes | None = binary(nullable="0+")
    records: memoryview | None = record_set()
    maybe_records: memoryview | None = record_set(nullable="0+")
    topic_id: bytes = uuid()
    tiny_numbers: list[int] = int8_array()
    numbers: list[int] = int32_array()
    maybe_numbers: list[int] | None = int32_array(nullable="0+")
    names: list[str] = string_array()
    maybe_names: list[str] | None = string_array(nullable="0+")
    structs: list[Inner] = array(Inner)
    maybe_structs: list[Inner] | None = array(Inner, nullable="0+")
    inner: Inner | None = struct(Inner)
    maybe_inner: Inner | None = struct(Inner, nullable="0+")
    late: int = int64("2+", default=-1)
    tagged_number: int = int32("1+", tag=4, default=-1)
    tagged_text: str | None = string("1+", nullable="1+", tag=0, default=None)
    tagged_data: bytes = binary("2+", tag=1, default=b"")
    tagged_id: bytes = uuid("1+", tag=2, default=NIL_UUID)
    tagged_numbers: list[int] = int32_array("1+", tag=3, default=())
    tagged_names: list[str] = string_array("1+", tag=5, default=())
    tagged_structs: list[Inner] = array(Inner, "1+", tag=6, default=())
    tagged_inner: Inner | None = struct(Inner, "1+", tag=7, default=None)
    tagged_rate: float = float64("2+", tag=9, default=0.0)
    tagged_tiny_numbers: list[int] = int8_array("2+", tag=10, default=())
    tagged_flag: bool = boolean("3+", tag=8, default=True)


CLASSES = [Everything, *API_MESSAGES, *STORED]


def joined(message: Struct, version: int) -> bytes:
    return b"".join(encode(message, version))


def outcome(decoder, cls: type[Struct], version: int, data: bytes):
    """What came of decoding: the message and where it ended, or that it was refused."""
    try:
        return decoder(cls, version, data)
    except WireError:
        return WireError


@pytest.mark.parametrize(("cls", "version"), versions_of(CLASSES), ids=title)
@given(data=st.data())
@message_settings
def test_compiled_and_reference_codec_agree(cls, version, data):
    message = data.draw(top_level(cls, version))
    encoded = joined(message, version)
    assert encoded == encode_reference(message, version)
    assert decode(cls, version, encoded) == (message, len(encoded))
    assert decode_reference(cls, version, encoded) == (message, len(encoded))
    # At an offset, from a view, with bytes of the next message behind.
    padded = memoryview(b"---" + encoded + b"...")
    assert decode(cls, version, padded, 3) == (message, 3 + len(encoded))


@pytest.mark.parametrize("cls", CLASSES, ids=title)
@given(data=st.data())
@settings(message_settings, max_examples=4 * EXAMPLES)
def test_cut_and_corrupted_messages_are_refused_alike(cls, data):
    version = data.draw(st.sampled_from(list(cls.VERSIONS)))
    encoded = bytearray(encode_reference(data.draw(top_level(cls, version)), version))
    cuts = st.integers(0, len(encoded))
    for cut in data.draw(st.lists(cuts, min_size=1, max_size=4)):
        piece = bytes(encoded[:cut])
        assert outcome(decode, cls, version, piece) == outcome(
            decode_reference, cls, version, piece
        )
    if encoded:
        places = st.integers(0, len(encoded) - 1)
        values = st.sampled_from([0x00, 0x01, 0x02, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
        for place, value in data.draw(st.lists(st.tuples(places, values), max_size=3)):
            encoded[place] = value
        corrupt = bytes(encoded)
        assert outcome(decode, cls, version, corrupt) == outcome(
            decode_reference, cls, version, corrupt
        )


@pytest.mark.parametrize("cls", CLASSES, ids=title)
@given(data=st.data())
@settings(message_settings, max_examples=3 * EXAMPLES)
def test_random_bytes_raise_only_wire_errors(cls, data):
    version = data.draw(st.sampled_from(list(cls.VERSIONS)))
    junk = data.draw(st.binary(max_size=200))
    assert outcome(decode, cls, version, junk) == outcome(decode_reference, cls, version, junk)


@pytest.mark.parametrize(
    ("version", "data", "reason"),
    [
        (1, b"\0\0\0\1\xff\xff", "name"),
        (1, b"\0\0\0\1\0\2\xc3(", "utf-8"),
        (9, b"\x02\x00\x00", "name"),
        (9, b"\xff\xff\xff\xff\xff\x01", "varint"),
        (9, b"\x80\x80\x80\x80\x10", "varint"),
        (9, b"\x02\x81\x80\x02" + bytes(40000), "name"),
        (4, b"\xff\xff\xff\xff", "MetadataRequest v4"),
        (9, b"\x01\x01\x00\x00\x01\x05", "index out of range"),
    ],
    ids=[
        "null where none may be",
        "not UTF-8",
        "compact null where none may be",
        "six-byte varint",
        "varint over 32 bits",
        "compact string over 32767 bytes",
        "ends before a fixed field",
        "ends within a tag",
    ],
)
def test_refusals_say_what_is_wrong(version, data, reason):
    with pytest.raises(WireError, match=reason):
        decode(MetadataRequest, version, data)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (b"\1\0\2\1\0", "node_endpoints"),
        (b"\1\0\0\1", "node_endpoints"),
        (b"\1\x09\5ab", "tagged field"),
        (b"\1\0\5\1", "tagged field"),
    ],
    ids=["known, too long", "known, too short", "unknown, cut", "known, cut"],
)
def test_the_size_of_a_tagged_field_must_be_right(tags, reason):
    with pytest.raises(WireError, match=reason):
        decode(ProduceResponse, 10, b"\1" + bytes(4) + tags)


def test_records_are_a_view_of_the_frame_and_nothing_else_is():
    request = ProduceRequest(
        acks=-1,
        timeout_ms=1,
        topic_data=[
            TopicProduceData(
                name="t",
                partition_data=[PartitionProduceData(index=0, records=memoryview(b"batch"))],
            )
        ],
    )
    frame = bytearray(joined(request, 9))
    decoded, _ = decode(ProduceRequest, 9, memoryview(frame))
    records = decoded.topic_data[0].partition_data[0].records
    assert isinstance(records, memoryview)
    frame[frame.index(b"batch") : frame.index(b"batch") + 5] = b"BATCH"
    assert records == b"BATCH"
    records.release()
    del decoded
    frame.clear()  # a bytearray with a living view would refuse


class NoSource:
    """A source that is never read: the encoder needs lengths only."""

    def fileno(self) -> int | None:
        return None

    def read_at(self, position: int, size: int) -> bytes:
        raise AssertionError

    def read_at_nowait(self, position: int, size: int) -> bytes | None:
        raise AssertionError

    def retain(self) -> None: ...

    def release(self) -> None: ...


@pytest.mark.parametrize("version", Everything.VERSIONS)
def test_a_file_slice_is_sent_by_reference(version):
    piece = FileSlice(NoSource(), position=10, size=300)
    message = plain_everything()
    message.records = piece
    parts = encode(message, version)
    assert parts[1] is piece
    message.records = bytes(300)
    expected = encode_reference(message, version)
    rest = b"".join(bytes(300) if part is piece else part for part in parts)
    assert rest == expected


def plain_everything() -> Everything:
    return Everything(
        flag=True,
        tiny=1,
        port=1,
        rate=0.5,
        text="t",
        maybe_text=None,
        data=b"",
        maybe_data=None,
        records=memoryview(b""),
        maybe_records=None,
        topic_id=NIL_UUID,
        tiny_numbers=[],
        numbers=[],
        maybe_numbers=None,
        names=[],
        maybe_names=None,
        structs=[],
        maybe_structs=None,
        inner=Inner(),
        maybe_inner=None,
    )


def test_small_messages_are_one_part():
    assert len(encode(MetadataRequest(topics=[]), 13)) == 1
    parts = encode(FetchResponse(responses=[]), 13)
    assert len(parts) == 1


def test_a_tagged_struct_at_its_default_is_not_sent():
    message = plain_everything()
    bare = joined(message, 1)
    message.tagged_inner = Inner()
    assert joined(message, 1) == bare
    message.tagged_inner = Inner(number=4)
    assert joined(message, 1) != bare


def test_an_unknown_version_is_the_callers_mistake():
    with pytest.raises(AssertionError, match="no version 14"):
        decode(MetadataRequest, 14, b"")


def test_tracebacks_show_generated_code():
    with pytest.raises(WireError) as caught:
        decode(MetadataRequest, 2, b"\0\0")
    lines = traceback.format_exception(caught.value)
    assert any("unpack_i(buffer, position)" in line for line in lines)
