"""Valid messages of any declaration, drawn at random and written in pieces (see `mutation`).

A second writer of the wire format beside `wire.encoder_source`, after
https://kafka.apache.org/protocol and KIP-482, because mutation needs to know where fields begin.
What a field may hold comes from a `Vocabulary` by the field's name, alone or with its struct's, so
that requests can speak of what a broker has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from struct import pack

from tests.fuzz.batches import some_batch
from tests.fuzz.mutation import Sample
from wire.primitives import VARINT
from wire.schema import FIXED_KINDS, Field, Struct, present_fields

NAMES = (b"", b"orders", b"t", b"caf\xc3\xa9", b"__consumer_offsets", b"member-1", b"x" * 140)
BINARIES = (b"", b"\x00", b"\x00\x01\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff", bytes(130))
UUIDS = (bytes(16), bytes(range(16)), b"\xff" * 16)
INTEGERS = (-1, 0, 1, 2, 3, 5, 100, -2)
EXTREMES = {
    "int8": (-128, 127),
    "int16": (-32768, 32767),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint16": (0, 0xFFFF),
}
LETTERS = {"int8": "b", "int16": "h", "uint16": "h", "int32": "i", "int64": "q", "boolean": "b"}


@dataclass(frozen=True)
class Vocabulary:
    """What fields of a name hold; `batch` makes the contents of a records field."""

    strings: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    integers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    binaries: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    uuids: tuple[bytes, ...] = UUIDS
    batch: Callable[[Random], bytes] = some_batch
    nulls: Mapping[str, float] = field(default_factory=dict)
    """How often a nullable field of this name is null, where not one time in five."""
    extreme: float = 0.1
    """How often an integer is the least or the greatest of its kind."""


DEFAULT = Vocabulary()


def message_sample(
    cls: type[Struct], version: int, chance: Random, words: Vocabulary = DEFAULT
) -> Sample:
    """A message of this version that its decoder takes."""
    writer = MessageWriter(version, version in cls.FLEXIBLE, chance, words)
    writer.struct(cls)
    return Sample(writer.pieces, "".join(writer.kinds))


class MessageWriter:
    """Writes structs with drawn values. Mutable."""

    def __init__(self, version: int, flexible: bool, chance: Random, words: Vocabulary) -> None:
        self.version = version
        self.flexible = flexible
        self.chance = chance
        self.words = words
        self.pieces: list[bytes] = []
        self.kinds: list[str] = []
        self.owner = ""

    def known(self, table, each: Field, otherwise):
        """What the vocabulary has for this field of the struct that is being written."""
        return table.get(f"{self.owner}.{each.name}") or table.get(each.name) or otherwise

    def put(self, kind: str, piece: bytes) -> None:
        self.pieces.append(piece)
        self.kinds.append(kind)

    def draw(self, values):
        return values[int(self.chance.random() * len(values))]

    def struct(self, cls: type[Struct]) -> None:
        plain, tagged = present_fields(cls, self.version)
        outer, self.owner = self.owner, cls.__name__
        for each in plain:
            self.field(each)
        if self.flexible:
            self.tags([each for each in tagged if self.chance.random() < 0.3])
        self.owner = outer

    def tags(self, tagged: list[Field]) -> None:
        unknown = 1 if self.chance.random() < 0.05 else 0
        self.put("v", VARINT[len(tagged) + unknown])
        for each in tagged:
            inner = MessageWriter(self.version, True, self.chance, self.words)
            inner.owner = self.owner
            inner.field(each)
            self.put("v", VARINT[each.tag])
            self.put("v", VARINT[sum(map(len, inner.pieces))])
            self.pieces += inner.pieces
            self.kinds += inner.kinds
        if unknown:
            value = self.draw((b"", b"\x00", b"abc"))
            self.put("v", VARINT[self.draw((5000, 1 << 31, 9999))])
            self.put("v", VARINT[len(value)])
            self.put("d", value)

    def field(self, each: Field) -> None:
        kind = each.kind
        if kind in FIXED_KINDS:
            self.fixed(each, kind)
        elif kind == "struct":
            is_null = self.version in each.nullable and self.chance.random() < 0.3
            if self.version in each.nullable:
                self.put("b", b"\xff" if is_null else b"\x01")
            if not is_null:
                self.struct(each.element)
        elif self.version in each.nullable and self.chance.random() < self.words.nulls.get(
            each.name, 0.2
        ):
            self.length(kind, -1)
        elif kind == "array":
            count = self.draw((0, 1, 1, 1, 2, 3))
            self.length(kind, count)
            for _ in range(count):
                self.element(each)
        else:
            content = self.content(each)
            self.length(kind, len(content))
            self.put("d", content)

    def element(self, each: Field) -> None:
        element = each.element
        if element == "string":
            self.string(each)
        elif isinstance(element, str):
            self.fixed(each, element)
        else:
            self.struct(element)

    def string(self, each: Field) -> None:
        content = self.draw(self.known(self.words.strings, each, NAMES))
        self.length("string", len(content))
        self.put("d", content)

    def content(self, each: Field) -> bytes:
        if each.kind == "string":
            return self.draw(self.known(self.words.strings, each, NAMES))
        if each.kind == "records":
            return self.words.batch(self.chance)
        return self.draw(self.known(self.words.binaries, each, BINARIES))

    def fixed(self, each: Field, kind: str) -> None:
        random = self.chance.random
        if kind == "uuid":
            self.put("d", self.draw(self.words.uuids))
        elif kind == "float64":
            self.put("q", pack(">d", self.draw((0.0, -1.5, float("inf"), float("nan"), 1e300))))
        elif kind == "boolean":
            self.put("b", b"\x01" if random() < 0.5 else b"\x00")
        else:
            if random() < self.words.extreme:
                value = self.draw(EXTREMES[kind])
            else:
                value = self.draw(self.known(self.words.integers, each, INTEGERS))
            if kind == "uint16":
                value &= 0xFFFF
            self.put(LETTERS[kind], pack(">" + FIXED_KINDS[kind][0], value))

    def length(self, kind: str, length: int) -> None:
        if self.flexible:
            self.put("v", VARINT[length + 1])
        elif kind == "string":
            self.put("h", pack(">h", length))
        else:
            self.put("i", pack(">i", length))
