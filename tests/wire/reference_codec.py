"""The wire format written to be read: walks the declared fields, one value at a time.

This is the specification that `wire.compiler`'s generated code must agree with, bytes and refusals
alike. It follows the protocol guide (https://kafka.apache.org/protocol) and KIP-482: before the
flexible versions lengths are int16 for strings and int32 for the rest, -1 for null; from then on
they are unsigned varints of the length plus one, 0 for null, and every struct ends with its tagged
fields. Nothing here is fast.
"""

import struct

from wire.errors import WireError
from wire.schema import FIXED_KINDS, Field, Struct, present_fields

ELEMENT_STRING = Field("string", "0+")


def encode_reference(message: Struct, version: int) -> bytes:
    writer = Writer(version, flexible=version in type(message).FLEXIBLE)
    writer.struct(message)
    return bytes(writer.output)


def decode_reference(cls: type[Struct], version: int, data: bytes) -> tuple[Struct, int]:
    reader = Reader(data, version, flexible=version in cls.FLEXIBLE)
    return reader.struct(cls), reader.position


def default_struct(cls: type[Struct]) -> Struct:
    """A struct with every field at its default."""
    values = {field.name: field.absent_value for field in cls.FIELDS}
    return cls(**{name: [] if value == () else value for name, value in values.items()})


class Writer:
    def __init__(self, version: int, *, flexible: bool) -> None:
        self.version = version
        self.flexible = flexible
        self.output = bytearray()

    def struct(self, value: Struct) -> None:
        plain, tagged = present_fields(type(value), self.version)
        for field in plain:
            self.field(field, getattr(value, field.name))
        if not self.flexible:
            return
        tags = dict(value.unknown_tags)
        for field in tagged:
            content = getattr(value, field.name)
            if not is_default(field, content):
                inner = Writer(self.version, flexible=True)
                inner.field(field, content)
                tags[field.tag] = bytes(inner.output)
        self.varint(len(tags))
        for tag in sorted(tags):
            self.varint(tag)
            self.varint(len(tags[tag]))
            self.output += tags[tag]

    def field(self, field: Field, value: object) -> None:
        if field.kind in FIXED_KINDS:
            self.output += struct.pack(">" + FIXED_KINDS[field.kind][0], value)
        elif field.kind == "struct":
            if self.version in field.nullable:
                self.output += b"\xff" if value is None else b"\x01"
            if value is not None:
                self.struct(value)
        elif value is None:
            assert self.version in field.nullable
            self.length(field.kind, -1)
        elif field.kind == "array":
            self.length(field.kind, len(value))
            for item in value:
                self.element(field, item)
        else:
            content = value.encode() if field.kind == "string" else value
            self.length(field.kind, len(content))
            self.output += content

    def element(self, field: Field, item: object) -> None:
        if field.element in FIXED_KINDS:
            self.output += struct.pack(">" + FIXED_KINDS[field.element][0], item)
        elif field.element == "string":
            self.field(ELEMENT_STRING, item)
        else:
            self.struct(item)

    def length(self, kind: str, length: int) -> None:
        if self.flexible:
            self.varint(length + 1)
        else:
            self.output += struct.pack(">h" if kind == "string" else ">i", length)

    def varint(self, value: int) -> None:
        while value >= 0x80:
            self.output.append(value & 0x7F | 0x80)
            value >>= 7
        self.output.append(value)


class Reader:
    def __init__(self, data: bytes, version: int, *, flexible: bool) -> None:
        self.data = data
        self.version = version
        self.flexible = flexible
        self.position = 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.position:
            raise WireError(f"{size} bytes at {self.position} of {len(self.data)}")
        self.position += size
        return self.data[self.position - size : self.position]

    def struct(self, cls: type[Struct]) -> Struct:
        value = default_struct(cls)
        plain, tagged = present_fields(cls, self.version)
        for field in plain:
            setattr(value, field.name, self.field(field))
        if self.flexible:
            known = {field.tag: field for field in tagged}
            unknown = {}
            for _ in range(self.varint()):
                tag = self.varint()
                size = self.varint()
                start = self.position
                if tag in known:
                    setattr(value, known[tag].name, self.field(known[tag]))
                    if self.position != start + size:
                        raise WireError(f"tag {tag} is {self.position - start} long, not {size}")
                else:
                    unknown[tag] = self.take(size)
            value.unknown_tags = unknown
        return value

    def field(self, field: Field) -> object:
        if field.kind in FIXED_KINDS:
            character, size = FIXED_KINDS[field.kind]
            return struct.unpack(">" + character, self.take(size))[0]
        is_nullable = self.version in field.nullable
        if field.kind == "struct":
            if is_nullable and self.take(1)[0] >= 0x80:
                return None
            return self.struct(field.element)
        length = self.length(field.kind)
        if length < 0 and is_nullable:
            return None
        if field.kind == "array":
            # Every element takes a byte at least: a longer array is cut, whatever its elements.
            if not 0 <= length <= len(self.data) - self.position:
                raise WireError(f"an array of {length}")
            return [self.element(field) for _ in range(length)]
        content = self.take(length)
        if field.kind != "string":
            return content
        if length > 0x7FFF:
            raise WireError(f"a string of {length} bytes")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise WireError(str(error)) from error

    def element(self, field: Field) -> object:
        if field.element in FIXED_KINDS:
            character, size = FIXED_KINDS[field.element]
            return struct.unpack(">" + character, self.take(size))[0]
        if field.element == "string":
            return self.field(ELEMENT_STRING)
        return self.struct(field.element)

    def length(self, kind: str) -> int:
        if self.flexible:
            return self.varint() - 1
        size, character = (2, ">h") if kind == "string" else (4, ">i")
        return struct.unpack(character, self.take(size))[0]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 1 << 32:
                    break
                return value
        raise WireError("a varint over 32 bits")


def is_default(field: Field, value: object) -> bool:
    """Whether a tagged field is left out."""
    if field.kind == "struct":
        return value is None or value == default_struct(field.element)
    default = field.absent_value
    return value == ([] if default == () else default)
