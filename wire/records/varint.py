"""Zigzag variable-length integers, as records use them (protobuf's sint32 and sint64)."""

from wire.errors import WireError
from wire.records.batch_header import Buffer

MAX_VARINT_BITS = 32
MAX_VARLONG_BITS = 64


def append_varint(out: bytearray, value: int) -> None:
    """Append `value`, of at most 64 signed bits. Small numbers of either sign take one byte."""
    encoded = (value << 1) ^ (value >> 63)
    while encoded > 0x7F:
        out.append(encoded & 0x7F | 0x80)
        encoded >>= 7
    out.append(encoded)


def read_varint(buffer: Buffer, position: int, bits: int = MAX_VARINT_BITS) -> tuple[int, int]:
    """`(value, next position)`; `WireError` at the buffer's end or past `bits` bits."""
    try:
        byte = buffer[position]
        if byte < 0x80:
            return (byte >> 1) ^ -(byte & 1), position + 1
        encoded = byte & 0x7F
        shift = 7
        while True:
            position += 1
            byte = buffer[position]
            encoded |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= bits:
                raise WireError(f"a variable-length integer exceeds {bits} bits")
    except IndexError:
        raise WireError("a variable-length integer is cut") from None
    if encoded >> bits:
        raise WireError(f"a variable-length integer exceeds {bits} bits")
    return (encoded >> 1) ^ -(encoded & 1), position + 1


def read_varlong(buffer: Buffer, position: int) -> tuple[int, int]:
    """As `read_varint`, for 64 bits."""
    return read_varint(buffer, position, MAX_VARLONG_BITS)
