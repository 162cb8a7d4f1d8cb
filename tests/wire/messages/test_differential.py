"""Our bytes are kio's and kafka-python's, for every message and version that they know too.

Both carry schemas of Kafka 4.3, each with a codec of its own. What we encode they must decode to
the same values, and encode again to the same bytes; that we decode those bytes to the message we
began with, `tests/wire/test_compiler.py` shows for the same strategies.

Left out, because the other codec cannot hold it and not because it disagrees:
- unknown tagged fields: kio refuses them, kafka-python does not write them again;
- kio: error codes that do not exist, and times beyond Python's datetime (it makes objects of both);
- kafka-python: it reads an ApiVersions response with an error as v0 whatever the version is, since
  that is what brokers send (KIP-511).
"""

import datetime
import enum
import io
import uuid
from types import ModuleType

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.index import UnknownEntity, load_request_schema, load_response_schema
from kio.schema.errors import ErrorCode
from kio.serial import entity_reader, entity_writer

from tests.wire.message_strategies import (
    API_MESSAGES,
    message_settings,
    title,
    top_level,
    versions_of,
)
from wire.compiler import decode, encode
from wire.messages.api_versions import ApiVersionsResponse
from wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from wire.schema import NIL_UUID, Field, Request, Struct, present_fields

KAFKA_PYTHON_MODULES: list[ModuleType] = [
    kafka.protocol.admin,
    kafka.protocol.consumer,
    kafka.protocol.metadata,
    kafka.protocol.producer,
]
KIO_ALONE = (UnregisterBrokerRequest, UnregisterBrokerResponse)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
ERROR_CODES = st.sampled_from([int(code) for code in ErrorCode])
# Milliseconds that are a datetime to kio, up to the year 2109; -1 is None.
INSTANTS = st.integers(-1, 1 << 42)


def kio_class(cls: type[Struct], version: int):
    """kio's class for a message of ours; None where it lacks the version."""
    load = load_request_schema if issubclass(cls, Request) else load_response_schema
    try:
        return load(cls.API_KEY, version)
    except UnknownEntity:
        return None


def kafka_python_class(cls: type[Struct]):
    """kafka-python's class for a message of ours; None where it has none."""
    found = (getattr(module, cls.__name__, None) for module in KAFKA_PYTHON_MODULES)
    return next((each for each in found if each is not None), None)


def suits_kio(_cls: type[Struct], field: Field) -> st.SearchStrategy | None:
    if field.name.endswith("error_code"):
        return ERROR_CODES
    if field.name in ("timestamp", "log_append_time_ms", "commit_timestamp", "retention_time_ms"):
        return INSTANTS
    return None


def suits_kafka_python(cls: type[Struct], field: Field) -> st.SearchStrategy | None:
    if cls is ApiVersionsResponse and field.name == "error_code":
        return st.just(0)
    return None


def plain(value: object) -> object:
    """A value of another codec's as ours has it."""
    match value:
        case enum.Enum():
            return value.value
        case datetime.timedelta():
            return round(value.total_seconds() * 1000)
        case datetime.datetime():
            return round((value - EPOCH).total_seconds() * 1000)
        case uuid.UUID():
            return value.bytes
        case memoryview():
            return bytes(value)
        case set():
            # kafka-python's bit field of authorised operations.
            return int.from_bytes(sum(1 << bit for bit in value).to_bytes(4), signed=True)
    return value


# What another codec makes of the values that mean "none" there.
NONE_MEANS: dict[object, tuple[object, ...]] = {
    "uuid": (NIL_UUID,),
    "int32": (-(1 << 31),),
    "int64": (-1,),
}


def key(name: str) -> str:
    """Field names differ in underscores, kio drops the unit, kafka-python whose operations."""
    if name.endswith("_authorized_operations") and not name.startswith("include"):
        name = "authorized_operations"
    return name.removesuffix("_ms").replace("_", "")


def assert_same(ours: Struct, theirs: object, names: list[str], version: int) -> None:
    """Compares every field that `version` carries, by name."""
    named = {key(name): name for name in names}
    for group in present_fields(type(ours), version):
        for field in group:
            value = getattr(ours, field.name)
            other = getattr(theirs, named[key(field.name)])
            where = f"{type(ours).__name__}.{field.name}"
            if field.kind == "struct" or isinstance(field.element, type):
                assert_same_structs(field, value, other, version)
            elif other is None and value is not None:
                assert value in NONE_MEANS[field.kind], where
            else:
                other = list(other) if isinstance(other, tuple) else plain(other)
                assert value == other, where


def assert_same_structs(field: Field, ours: object, theirs: object, version: int) -> None:
    if field.kind == "struct":
        # An absent tag: None here, and there None or a struct of defaults.
        if ours is not None:
            assert_same(ours, theirs, field_names(theirs), version)
    elif ours is None or (field.tag is not None and not ours):
        assert not theirs
    else:
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other, field_names(other), version)


def field_names(value: object) -> list[str]:
    """The field names of a message of kio's (a dataclass) or kafka-python's."""
    if hasattr(value, "__dataclass_fields__"):
        return list(value.__dataclass_fields__)
    return list(value._struct.fields)


KIO = [case for case in versions_of(API_MESSAGES) if kio_class(*case) is not None]
KAFKA_PYTHON = [
    (cls, version)
    for cls, version in versions_of(API_MESSAGES)
    if cls not in KIO_ALONE and version <= kafka_python_class(cls).max_version
]


def test_both_know_every_version():
    assert versions_of(API_MESSAGES) == KIO
    known = [cls for cls in API_MESSAGES if cls not in KIO_ALONE]
    assert versions_of(known) == KAFKA_PYTHON
    assert not any(map(kafka_python_class, KIO_ALONE))


@pytest.mark.parametrize(("cls", "version"), KIO, ids=title)
@given(data=st.data())
@message_settings
def test_kio_agrees(cls, version, data):
    message = data.draw(top_level(cls, version, with_unknown_tags=False, override=suits_kio))
    encoded = b"".join(encode(message, version))
    theirs, size = entity_reader(kio_class(cls, version))(encoded, 0)
    assert size == len(encoded)
    assert_same(message, theirs, field_names(theirs), version)
    buffer = io.BytesIO()
    entity_writer(kio_class(cls, version))(buffer, theirs)
    assert buffer.getvalue() == encoded
    assert decode(cls, version, buffer.getvalue()) == (message, len(encoded))


@pytest.mark.parametrize(("cls", "version"), KAFKA_PYTHON, ids=title)
@given(data=st.data())
@message_settings
def test_kafka_python_agrees(cls, version, data):
    message = data.draw(
        top_level(cls, version, with_unknown_tags=False, override=suits_kafka_python)
    )
    encoded = b"".join(encode(message, version))
    theirs = kafka_python_class(cls).decode(encoded, version=version)
    assert_same(message, theirs, field_names(theirs), version)
    theirs._header = None  # what its constructor sets and its decoder forgets
    again = theirs.encode(version=version)
    assert again == encoded
    assert decode(cls, version, again) == (message, len(encoded))
