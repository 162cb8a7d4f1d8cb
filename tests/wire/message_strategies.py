"""Hypothesis strategies that build messages from their declarations, for one version at a time."""

import os
from collections.abc import Callable
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.wire.reference_codec import default_struct
from wire.messages import MESSAGES
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from wire.schema import NIL_UUID, Field, Struct, present_fields

# Nightly runs ask for more; the default keeps all of tests/wire within half a minute.
EXAMPLES = int(os.environ.get("KBROKER_EXAMPLES", "6"))
message_settings = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

API_MESSAGES = [cls for pair in MESSAGES.values() for cls in pair]
STORED = [OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue]

INTEGERS = {
    kind: st.one_of(
        st.sampled_from([-1, 0, 1, -(1 << (bits - 1)), (1 << (bits - 1)) - 1]),
        st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    )
    for kind, bits in (("int8", 8), ("int16", 16), ("int32", 32), ("int64", 64))
}
INTEGERS["uint16"] = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF]) | st.integers(0, 0xFFFF)
# A NaN equals nothing, itself included, so that messages could not be compared.
FLOATS = st.floats(allow_nan=False)
TEXT = st.text(max_size=8) | st.sampled_from(["", "topic", "é" * 70, "x" * 200])
BINARY = st.binary(max_size=8) | st.just(b"\x00" * 150)
UUIDS = st.just(NIL_UUID) | st.binary(min_size=16, max_size=16)
TAGS = st.dictionaries(st.integers(1000, 1 << 31), st.binary(max_size=6), max_size=2)

# What a differential test knows better than the declaration, for values that another codec refuses.
Override = Callable[[type[Struct], Field], st.SearchStrategy | None]


def no_override(_cls: type[Struct], _field: Field) -> None:
    return None


def versions_of(classes: list[type[Struct]]) -> list[tuple[type[Struct], int]]:
    return [(cls, version) for cls in classes for version in cls.VERSIONS]


def title(value: object) -> str:
    """A test id: the class's name, and v7."""
    return f"v{value}" if isinstance(value, int) else value.__name__


@cache
def messages(
    cls: type[Struct],
    version: int,
    *,
    flexible: bool,
    with_unknown_tags: bool = True,
    override: Override = no_override,
) -> st.SearchStrategy[Struct]:
    """Messages as a decoder of `version` would return them: absent fields at their defaults."""

    def of_struct(element: type[Struct]) -> st.SearchStrategy[Struct]:
        return messages(
            element,
            version,
            flexible=flexible,
            with_unknown_tags=with_unknown_tags,
            override=override,
        )

    def of_field(field: Field) -> st.SearchStrategy:
        given = override(cls, field)
        if given is not None:
            return given
        is_nullable = version in field.nullable
        if field.kind == "struct" and field.tag is not None:
            default = default_struct(field.element)
            return st.none() | of_struct(field.element).filter(lambda value: value != default)
        if field.kind == "array":
            elements = {**INTEGERS, "string": TEXT}.get(field.element)
            if elements is None:
                elements = of_struct(field.element)
            value = st.lists(elements, max_size=2)
            if field.element in INTEGERS:
                value |= st.lists(elements, min_size=9, max_size=9)
        elif field.kind == "struct":
            value = of_struct(field.element)
        elif field.kind in INTEGERS:
            value = INTEGERS[field.kind]
        else:
            kinds = {"boolean": st.booleans(), "string": TEXT, "uuid": UUIDS, "float64": FLOATS}
            value = kinds.get(field.kind, BINARY)
        return st.none() | value if is_nullable else value

    plain, tagged = present_fields(cls, version)
    fields = {field.name: of_field(field) for field in [*plain, *tagged]}
    tags = TAGS if flexible and with_unknown_tags else st.just({})

    def build(values: dict, unknown_tags: dict) -> Struct:
        message = default_struct(cls)
        for name, value in values.items():
            setattr(message, name, value)
        if unknown_tags:
            message.unknown_tags = unknown_tags
        return message

    return st.builds(build, st.fixed_dictionaries(fields), tags)


def top_level(
    cls: type[Struct],
    version: int,
    *,
    with_unknown_tags: bool = True,
    override: Override = no_override,
) -> st.SearchStrategy[Struct]:
    """Whole messages of one version."""
    return messages(
        cls,
        version,
        flexible=version in cls.FLEXIBLE,
        with_unknown_tags=with_unknown_tags,
        override=override,
    )
