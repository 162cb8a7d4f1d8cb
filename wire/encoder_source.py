"""Writes the source of encoding functions. Counterpart: `decoder_source`."""

from __future__ import annotations

from collections.abc import Sequence

from wire import primitives
from wire.schema import FIXED_KINDS, NO_TAGS, Field, Struct, present_fields
from wire.source import ELEMENT_STRING, Function, Source, has_records


def compile_encoder(cls: type[Struct], version: int) -> object:
    """A function (message) -> parts."""
    assert version in cls.VERSIONS, f"{cls.__name__} has no version {version}"
    source = Source(
        NO_TAGS=NO_TAGS,
        VARINT=primitives.VARINT,
        join=b"".join,
        INT32S=primitives.PACK_INT32S,
        encode_int8s=primitives.encode_int8s,
        encode_int32s=primitives.encode_int32s,
        encode_tags=primitives.encode_tags,
    )
    function = _Encoder(source, version, version in cls.FLEXIBLE)
    carries_records = has_records(cls, version)
    if carries_records:
        function.line("parts = []")
    function.line("small = []")
    function.struct(cls, "message")
    function.flush()
    if carries_records:
        function.line("if small: parts.append(join(small))")
        function.line("return parts")
    else:
        function.line("return [join(small)]")
    source.lines += ["def encode(message):", *function.lines]
    return source.compile(f"encode {cls.__name__} v{version}", "encode")


class _Encoder(Function):
    """Writes code that adds pieces of bytes to the list `small`, as many at a time as it can."""

    def __init__(self, source: Source, version: int, flexible: bool) -> None:
        super().__init__(source, version, flexible)
        self.pieces: list[str] = []

    def end_run(self) -> None:
        if self.run:
            values = ", ".join(self.run)
            pack, _ = self.run_function("pack_", "pack")
            self.pieces.append(f"{pack}({values})")

    def piece(self, expression: str) -> None:
        self.end_run()
        self.pieces.append(expression)

    def flush(self) -> None:
        self.end_run()
        if self.pieces:
            self.line(f"small += ({', '.join(self.pieces)},)")
            self.pieces = []

    def struct(self, cls: type[Struct], source: str) -> None:
        plain, tagged = present_fields(cls, self.version)
        for field in plain:
            self.field(field, f"{source}.{field.name}")
        if self.flexible:
            conditions = [_is_default(field, f"{source}.{field.name}") for field in tagged]
            condition = " and ".join([*conditions, f"{source}.unknown_tags is NO_TAGS"])
            if tagged:
                otherwise = f"{self.tags(cls, tagged)}({source})"
            else:
                otherwise = f"encode_tags({source}.unknown_tags)"
            self.piece(f"b'\\0' if {condition} else {otherwise}")

    def field(self, field: Field, source: str) -> None:
        if field.kind in FIXED_KINDS:
            self.fixed(FIXED_KINDS[field.kind][0], source)
            return
        is_nullable = self.version in field.nullable
        if field.kind == "struct":
            self.nested(field, source, is_nullable)
            return
        value = self.source.fresh(field.kind)
        n = self.source.fresh("n")
        call = ".encode()" if field.kind == "string" else ""
        plus = " + 1" if self.flexible else ""
        if is_nullable:
            empty = "()" if field.kind == "array" else "b''"
            self.line(f"if {source} is None: {value} = {empty}; {n} = {0 if self.flexible else -1}")
            self.line(f"else: {value} = {source}{call}; {n} = len({value}){plus}")
        else:
            self.line(f"{value} = {source}{call}")
            n = f"len({value}){plus}"
        if self.flexible:
            self.piece(f"VARINT[{n}]")
        else:
            self.fixed(self.length_kind(field.kind), n)
        if field.kind == "array":
            self.array(field, value)
        elif field.kind == "records":
            self.flush()
            self.line(f"if {source} is not None:")
            self.line(f"    parts += (join(small), {value})")
            self.line("    small = []")
        else:
            self.piece(value)

    def array(self, field: Field, values: str) -> None:
        if field.element == "int32":
            # Replica lists are short: no call for them.
            short = f"INT32S[len({values})](*{values})"
            self.piece(f"{short} if len({values}) < 8 else encode_int32s({values})")
            return
        if field.element == "int8":
            self.piece(f"encode_int8s({values})")
            return
        self.flush()
        item = self.source.fresh("item")
        self.line(f"for {item} in {values}:")
        self.depth += 1
        if field.element == "string":
            self.field(ELEMENT_STRING, item)
        else:
            self.struct(field.element, item)
        self.flush()
        self.depth -= 1

    def nested(self, field: Field, source: str, is_nullable: bool) -> None:
        if not is_nullable:
            self.struct(field.element, source)
            return
        self.flush()
        self.line(f"if {source} is None: small.append(b'\\xff')")
        self.line("else:")
        self.depth += 1
        self.piece("b'\\x01'")
        self.struct(field.element, source)
        self.flush()
        self.depth -= 1

    def tags(self, cls: type[Struct], tagged: Sequence[Field]) -> str:
        """The name of a function that makes the section of tagged fields; it is rarely needed."""
        name = f"tags_of_{cls.__name__}"
        writer = _Encoder(self.source, self.version, self.flexible)
        writer.line("tags = dict(message.unknown_tags)")
        for field in tagged:
            value = f"message.{field.name}"
            condition = _is_default(field, value)
            if field.kind == "struct":
                default = self.source.use(f"{field.name}_default", _default_struct(field.element))
                condition = f"({condition} or {value} == {default})"
            writer.line(f"if not {condition}:")
            writer.depth += 1
            writer.line("small = []")
            writer.field(field, value)
            writer.flush()
            writer.line(f"tags[{field.tag}] = join(small)")
            writer.depth -= 1
        writer.line("return encode_tags(tags)")
        self.source.lines += [f"def {name}(message):", *writer.lines]
        return name


def _is_default(field: Field, expression: str) -> str:
    """An expression that holds where a tagged field may be left out."""
    value = field.absent_value
    if value is None:
        return f"({expression} is None)"
    if value == ():
        return f"({expression} == [])"
    return f"({expression} == {value!r})"


def _default_struct(cls: type[Struct]) -> Struct:
    values = {
        field.name: [] if field.absent_value == () else field.absent_value for field in cls.FIELDS
    }
    return cls(**values)
