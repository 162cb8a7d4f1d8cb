"""What both compilers share: generated source, its functions, and facts about a struct's layout.

Counterparts: `decoder_source` and `encoder_source` write the code, `compiler` runs it.
"""

from __future__ import annotations

import linecache
import struct

from wire.schema import FIXED_KINDS, Field, Struct, present_fields

# The element of an array of strings, as a field of its own.
ELEMENT_STRING = Field("string", "0+")
ELEMENT_STRING.name = "string"


class Source:
    """Lines of a module of generated code, the names it uses, and fresh names."""

    def __init__(self, **environment: object) -> None:
        self.lines: list[str] = []
        self.environment: dict[str, object] = environment
        self._count = 0

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def use(self, name: str, value: object) -> str:
        self.environment[name] = value
        return name

    def compile(self, title: str, name: str) -> object:
        source = "\n".join(self.lines) + "\n"
        filename = f"<{title}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        exec(compile(source, filename, "exec"), self.environment)
        return self.environment[name]


class Function:
    """One function of a Source, written top to bottom.

    Adjacent fixed-size values collect in a run, which becomes one call of `struct`.
    """

    def __init__(self, source: Source, version: int, flexible: bool) -> None:
        self.source = source
        self.version = version
        self.flexible = flexible
        self.lines: list[str] = []
        self.depth = 1
        self.run_format = ""
        self.run: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def fixed(self, character: str, expression: str) -> None:
        self.run_format += character
        self.run.append(expression)

    def length_kind(self, kind: str) -> str:
        """The format character of a length: int16 for old strings, the first varint byte now."""
        if self.flexible:
            return "B"
        return "h" if kind == "string" else "i"

    def run_function(self, prefix: str, attribute: str) -> tuple[str, int]:
        """The name of pack or unpack_from for the run, which ends here, and the run's size."""
        prepared = struct.Struct(">" + self.run_format)
        name = prefix + self.run_format.replace("?", "t")
        self.run_format = ""
        self.run = []
        return self.source.use(name, getattr(prepared, attribute)), prepared.size


def minimum_size(cls: type[Struct], version: int, flexible: bool) -> int:
    """The fewest bytes that `cls` takes: every length zero, no tags."""
    size = 1 if flexible else 0
    plain, _ = present_fields(cls, version)
    for field in plain:
        if field.kind in FIXED_KINDS:
            size += FIXED_KINDS[field.kind][1]
        elif field.kind == "struct":
            is_nullable = version in field.nullable
            size += 1 if is_nullable else minimum_size(field.element, version, flexible)
        elif flexible:
            size += 1
        else:
            size += 2 if field.kind == "string" else 4
    return size


def has_records(cls: type[Struct], version: int) -> bool:
    return any(
        field.kind == "records"
        or (isinstance(field.element, type) and has_records(field.element, version))
        for field in cls.FIELDS
        if version in field.versions
    )
