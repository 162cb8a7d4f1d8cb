"""Writes the source of decoding functions. Counterpart: `encoder_source`."""

from __future__ import annotations

from collections.abc import Sequence

from wire import primitives
from wire.errors import WireError
from wire.schema import FIXED_KINDS, NO_TAGS, Field, Struct, present_fields
from wire.source import ELEMENT_STRING, Function, Source, has_records, minimum_size

MAX_STRING_BYTES = 0x7FFF


def compile_decoder(cls: type[Struct], version: int) -> object:
    """A function (buffer, position, most elements) -> (message, next position)."""
    assert version in cls.VERSIONS, f"{cls.__name__} has no version {version}"
    flexible = version in cls.FLEXIBLE
    source = Source(
        new=object.__new__,
        NO_TAGS=NO_TAGS,
        WireError=WireError,
        finish_varint=primitives.finish_unsigned_varint,
        read_varint=primitives.read_unsigned_varint,
        decode_int8s=primitives.decode_int8s,
        decode_int32s=primitives.decode_int32s,
        read_unknown_tags=primitives.read_unknown_tags,
    )
    # Slices of bytes are cheaper than of a memoryview, which only records need.
    carries_records = has_records(cls, version)
    function = _Decoder(source, version, flexible, carries_records)
    function.line("buffer = memoryview(buffer)" if carries_records else "buffer = bytes(buffer)")
    function.line("end = len(buffer)")
    function.struct(cls, "message")
    function.flush()
    function.line("return message, position")
    source.lines += ["def decode(buffer, position, room):", *function.lines]
    return source.compile(f"decode {cls.__name__} v{version}", "decode")


class _Decoder(Function):
    """Writes code that reads `buffer` at `position`; `n` is the length read last."""

    def __init__(self, source: Source, version: int, flexible: bool, from_view: bool) -> None:
        super().__init__(source, version, flexible)
        self.from_view = from_view

    def flush(self) -> None:
        if self.run_format == "B":
            self.line(f"{self.run.pop()} = buffer[position]; position += 1")
            self.run_format = ""
        elif self.run:
            targets = ", ".join(self.run)
            unpack, size = self.run_function("unpack_", "unpack_from")
            self.line(f"{targets}, = {unpack}(buffer, position)")
            self.line(f"position += {size}")

    def struct(self, cls: type[Struct], target: str) -> None:
        """Reads `cls` into the new local `target`."""
        plain, tagged = present_fields(cls, self.version)
        self.line(f"{target} = new({self.source.use(cls.__name__, cls)})")
        self.line(f"{target}.unknown_tags = NO_TAGS")
        for field in cls.FIELDS:
            if field not in plain:
                self.line(f"{target}.{field.name} = {_absent_literal(field)}")
        for field in plain:
            self.field(field, f"{target}.{field.name}")
        if self.flexible:
            self.fixed("B", "n")
            self.flush()
            self.line("if n:")
            if tagged:
                name = self.tags(cls, tagged)
                self.line(f"    position, room = {name}({target}, buffer, position, end, room, n)")
            else:
                read = "read_unknown_tags(buffer, position, room, n)"
                self.line(f"    position, room, {target}.unknown_tags = {read}")

    def field(self, field: Field, target: str) -> None:
        if field.kind in FIXED_KINDS:
            self.fixed(FIXED_KINDS[field.kind][0], target)
            return
        is_nullable = self.version in field.nullable
        if field.kind == "struct":
            self.nested(field, target, is_nullable)
            return
        self.fixed(self.length_kind(field.kind), "n")
        self.flush()
        if self.flexible:
            self.line("if n > 127: n, position = finish_varint(buffer, position, n)")
            self.line("n -= 1")
        if is_nullable:
            self.line("if n < 0:")
            self.line(f"    {target} = None")
            self.line("else:")
            self.depth += 1
        if field.kind == "array":
            self.array(field, target)
        else:
            self.scalar(field.kind, field.name, target)
        if is_nullable:
            self.depth -= 1

    def check(self, condition: str, name: str) -> None:
        self.line(f"if not {condition}:")
        self.line(f"    raise WireError(f'{name}: length {{n}} at byte {{position}} of {{end}}')")

    def scalar(self, kind: str, name: str, target: str) -> None:
        """A string, bytes or records of length n."""
        self.line("stop = position + n")
        limit = f" and n <= {MAX_STRING_BYTES}" if kind == "string" and self.flexible else ""
        self.check(f"(position <= stop <= end{limit})", name)
        value = "buffer[position:stop]"
        if kind == "string":
            value = f"str({value}, 'utf-8')" if self.from_view else f"{value}.decode()"
        elif kind == "binary" and self.from_view:
            value = f"bytes({value})"
        self.line(f"{target} = {value}")
        self.line("position = stop")

    def array(self, field: Field, target: str) -> None:
        """An array of n elements."""
        if field.element == "int32":
            # A list takes nine times their bytes.
            self.check("(0 <= 4 * n <= end - position and n <= room)", field.name)
            self.line("room -= n")
            self.line(f"{target} = decode_int32s(buffer, position, n)")
            self.line("position += 4 * n")
            return
        if field.element == "int8":
            # A list takes eight times their bytes.
            self.check("(0 <= n <= end - position and n <= room)", field.name)
            self.line("room -= n")
            self.line(f"{target} = decode_int8s(buffer, position, n)")
            self.line("position += n")
            return
        if field.element == "string":
            smallest = 1 if self.flexible else 2
        else:
            smallest = minimum_size(field.element, self.version, self.flexible)
        assert smallest > 0, f"elements of {field.name} take no bytes"
        self.check(f"(0 <= {smallest} * n <= end - position and n <= room)", field.name)
        self.line("room -= n")
        items = self.source.fresh("items")
        item = self.source.fresh("item")
        self.line(f"{target} = {items} = []")
        self.line("for _ in range(n):")
        self.depth += 1
        if field.element == "string":
            self.field(ELEMENT_STRING, item)
        else:
            self.struct(field.element, item)
            self.flush()
        self.line(f"{items}.append({item})")
        self.depth -= 1

    def nested(self, field: Field, target: str, is_nullable: bool) -> None:
        """A struct in place; a nullable one is preceded by a byte that is negative for null."""
        value = self.source.fresh("value")
        if is_nullable:
            self.fixed("b", "n")
        self.flush()
        if is_nullable:
            self.line("if n < 0:")
            self.line(f"    {target} = None")
            self.line("else:")
            self.depth += 1
        self.struct(field.element, value)
        self.flush()
        self.line(f"{target} = {value}")
        if is_nullable:
            self.depth -= 1

    def tags(self, cls: type[Struct], tagged: Sequence[Field]) -> str:
        """The name of a function that reads the n tagged fields of `cls`; they are rarely there."""
        assert tagged
        name = f"tags_of_{cls.__name__}"
        reader = _Decoder(self.source, self.version, self.flexible, self.from_view)
        reader.line("if n > 127: n, position = finish_varint(buffer, position, n)")
        reader.line("unknown = {}")
        reader.line("for _ in range(n):")
        reader.depth = 2
        reader.line("tag, position = read_varint(buffer, position)")
        reader.line("n, position = read_varint(buffer, position)")
        reader.line("tag_end = position + n")
        reader.check("tag_end <= end", "tagged field")
        keyword = "if"
        for field in tagged:
            reader.line(f"{keyword} tag == {field.tag}:")
            reader.depth += 1
            reader.field(field, f"target.{field.name}")
            reader.flush()
            reader.check("position == tag_end", field.name)
            reader.depth -= 1
            keyword = "elif"
        reader.line("else:")
        reader.line("    room -= 1")
        reader.line("    if room < 0: raise WireError('too many tagged fields')")
        reader.line("    unknown[tag] = bytes(buffer[position:tag_end])")
        reader.line("    position = tag_end")
        reader.depth = 1
        reader.line("if unknown: target.unknown_tags = unknown")
        reader.line("return position, room")
        self.source.lines += [f"def {name}(target, buffer, position, end, room, n):", *reader.lines]
        return name


def _absent_literal(field: Field) -> str:
    value = field.absent_value
    return "[]" if value == () else repr(value)
