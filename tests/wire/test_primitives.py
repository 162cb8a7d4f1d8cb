"""Varints, arrays of numbers and sections of tagged fields, against their definitions."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.primitives import (
    VARINT,
    decode_int8s,
    decode_int32s,
    encode_int8s,
    encode_int32s,
    encode_tags,
    encode_unsigned_varint,
    read_unknown_tags,
    read_unsigned_varint,
    skip_tags,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2**32 - 1, "ffffffff0f"),
    ],
)
def test_varints(value, encoded):
    assert encode_unsigned_varint(value).hex() == encoded
    assert VARINT[value].hex() == encoded
    assert read_unsigned_varint(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


def test_a_varint_may_be_longer_than_it_needs_to_be():
    assert read_unsigned_varint(b"\x81\x80\x00", 0) == (1, 3)


@pytest.mark.parametrize("encoded", ["ffffffff1f", "808080808001", "ffffffffff"])
def test_a_varint_over_32_bits_is_refused(encoded):
    with pytest.raises(WireError):
        read_unsigned_varint(bytes.fromhex(encoded), 0)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_int32_arrays(values):
    encoded = encode_int32s(values)
    assert encoded == b"".join(struct.pack(">i", value) for value in values)
    assert decode_int32s(b"-" + encoded, 1, len(values)) == values


@given(st.lists(st.integers(-128, 127), max_size=20))
def test_int8_arrays(values):
    encoded = encode_int8s(values)
    assert encoded == bytes(value & 0xFF for value in values)
    assert decode_int8s(b"-" + encoded, 1, len(values)) == values


@given(st.dictionaries(st.integers(0, 2**31), st.binary(max_size=200), max_size=5), st.binary())
def test_tagged_fields(tags, rest):
    encoded = encode_tags(tags)
    assert skip_tags(encoded + rest, 0) == len(encoded)
    if tags:
        position, room, found = read_unknown_tags(encoded + rest, 1, 10, encoded[0])
        assert (position, room, found) == (len(encoded), 10 - len(tags), tags)
        assert list(found) == sorted(tags)


@pytest.mark.parametrize("cut", range(1, 5))
def test_cut_tagged_fields_are_refused(cut):
    encoded = encode_tags({7: b"ab"})[:cut]
    with pytest.raises((WireError, IndexError)):
        skip_tags(encoded, 0)
    with pytest.raises((WireError, IndexError)):
        read_unknown_tags(encoded, 1, 10, 1)
