"""Zigzag varints against the definition and at their limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.records.varint import append_varint, read_varint, read_varlong


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (-64, "7f"),
        (64, "8001"),
        (2**31 - 1, "feffffff0f"),
        (-(2**31), "ffffffff0f"),
    ],
)
def test_protobuf_examples(value: int, encoded: str) -> None:
    out = bytearray()
    append_varint(out, value)
    assert out.hex() == encoded
    assert read_varint(out, 0) == (value, len(out))


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3))
def test_any_64_bit_value_survives(value: int, prefix: bytes) -> None:
    out = bytearray(prefix)
    append_varint(out, value)
    assert read_varlong(out, len(prefix)) == (value, len(out))
    with pytest.raises(WireError):
        read_varlong(bytes(out[:-1]), len(prefix))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 5, b"\xff\xff\xff\xff\x1f", b"\x80" * 9])
def test_cut_or_too_long_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError):
        read_varint(data, 0)


@pytest.mark.parametrize("data", [b"\xff" * 10, b"\xff" * 9 + b"\x02", b"\x80" * 20])
def test_more_than_64_bits_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError):
        read_varlong(data, 0)
