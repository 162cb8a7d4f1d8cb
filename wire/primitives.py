"""The few encodings that compiled code does not write in line: varints, arrays of numbers, tags.

Counterpart: `compiler`, whose generated functions call these. An IndexError of theirs means that
the buffer ended; `compiler.decode` makes a WireError of it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from wire.errors import WireError

# Elements of arrays (of structs or strings) and unknown tagged fields that one message may hold:
# a thousand times what clients send, and less than 300 MB even if all are empty structs.
MAX_ELEMENTS = 1 << 20

Buffer = bytes | bytearray | memoryview


class _VarintTable(dict[int, bytes]):
    """Unsigned varints by value; those beyond the table are made when asked for, and not kept."""

    def __missing__(self, value: int) -> bytes:
        return encode_unsigned_varint(value)


def encode_unsigned_varint(value: int) -> bytes:
    """7 bits a byte, the lowest first; the high bit says that more follow (KIP-482)."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


# A subscript of this costs a fifth of the call.
VARINT: Mapping[int, bytes] = _VarintTable(
    (value, encode_unsigned_varint(value)) for value in range(512)
)


def finish_unsigned_varint(buffer: Buffer, position: int, first: int) -> tuple[int, int]:
    """(value, next position) of a varint whose first byte, `first` > 127, lies before `position`.

    WireError when it does not fit 32 bits; IndexError when the buffer ends within it.
    """
    value = first & 0x7F
    for shift in (7, 14, 21, 28):
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > 0xFFFFFFFF:
                break
            return value, position
    raise WireError(f"a varint before byte {position} exceeds 32 bits")


def read_unsigned_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """(value, next position); WireError and IndexError as above."""
    first = buffer[position]
    if first < 0x80:
        return first, position + 1
    return finish_unsigned_varint(buffer, position + 1, first)


# Replica lists are short: their formats are prepared.
_INT32S = tuple(struct.Struct(f">{count}i") for count in range(8))
PACK_INT32S = tuple(prepared.pack for prepared in _INT32S)


def encode_int32s(values: list[int]) -> bytes:
    """The elements of an array of int32, without its length."""
    count = len(values)
    if count < 8:
        return _INT32S[count].pack(*values)
    return struct.pack(f">{count}i", *values)


def decode_int32s(buffer: Buffer, position: int, count: int) -> list[int]:
    """`count` elements, which the caller has found to lie within the buffer."""
    if count < 8:
        return list(_INT32S[count].unpack_from(buffer, position))
    return list(struct.unpack_from(f">{count}i", buffer, position))


def encode_int8s(values: list[int]) -> bytes:
    """The elements of an array of int8, without its length."""
    return struct.pack(f">{len(values)}b", *values)


def decode_int8s(buffer: Buffer, position: int, count: int) -> list[int]:
    """`count` elements, which the caller has found to lie within the buffer."""
    return list(struct.unpack_from(f">{count}b", buffer, position))


def encode_tags(tags: Mapping[int, bytes]) -> bytes:
    """A section of tagged fields: their count, then tag, size and bytes of each, by tag."""
    parts = [VARINT[len(tags)]]
    for tag in sorted(tags):
        value = tags[tag]
        parts += (VARINT[tag], VARINT[len(value)], value)
    return b"".join(parts)


def read_unknown_tags(
    buffer: Buffer, position: int, room: int, count: int
) -> tuple[int, int, dict[int, bytes]]:
    """(next position, room left, values by tag) of a section whose first byte was `count` > 0.

    WireError when there are more than `room`, or one is cut; IndexError as above.
    """
    if count > 127:
        count, position = finish_unsigned_varint(buffer, position, count)
    if count > room:
        raise WireError(f"{count} tagged fields at byte {position}")
    tags = {}
    for _ in range(count):
        tag, position = read_unsigned_varint(buffer, position)
        size, position = read_unsigned_varint(buffer, position)
        if size > len(buffer) - position:
            raise WireError(f"a tagged field of {size} bytes at byte {position} is cut")
        tags[tag] = bytes(buffer[position : position + size])
        position += size
    return position, room - count, tags


def skip_tags(buffer: Buffer, position: int) -> int:
    """The position after a section of tagged fields; WireError or IndexError when it is cut."""
    count, position = read_unsigned_varint(buffer, position)
    for _ in range(count):
        _, position = read_unsigned_varint(buffer, position)
        size, position = read_unsigned_varint(buffer, position)
        if size > len(buffer) - position:
            raise WireError(f"a tagged field of {size} bytes at byte {position} is cut")
        position += size
    return position
