"""Messages declared as classes: one line a field, one class for every version.

    class PartitionProduceData(Struct):
        index: int = int32()
        records: memoryview | None = record_set(nullable="0+")

A field states its wire type and the versions that carry it ("3+", "0-12"; all where nothing is
said), where it may be null, its tag, and its default. A field with a default may be left out of
the constructor; one without is required. In a version that lacks the field it holds its default.

`compiler` turns declarations into functions. The metaclass here is the project's only one: it
collects the fields in the order written and gives instances slots. Constructors are made on first
use, because making them all would double the time to import the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, overload

from wire.api_key import ApiKey
from wire.records.file_slice import FileSlice

# Newer than any version: "3+" means range(3, NO_END).
NO_END = 1 << 15
NEVER = range(0)
ALWAYS = range(NO_END)

# What `unknown_tags` holds when there are none, which is nearly always.
NO_TAGS: Mapping[int, bytes] = MappingProxyType({})

# The contents of a records field: a view of a received frame, or what is about to be sent.
Records = memoryview | bytes | bytearray | FileSlice

# struct's format character and the size in bytes, of the kinds that have a fixed size.
FIXED_KINDS: dict[str, tuple[str, int]] = {
    "boolean": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "int32": ("i", 4),
    "int64": ("q", 8),
    "uint16": ("H", 2),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}
NIL_UUID = bytes(16)

_REQUIRED: Any = object()


def parse_versions(text: str) -> range:
    """The range that "3+", "0-12" or "7" names; an empty text names none."""
    if not text:
        return NEVER
    if text.endswith("+"):
        return range(int(text[:-1]), NO_END)
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


class Field:
    """One declared field. `kind` is a fixed kind, or string, binary, records, array, struct.

    `element` is what an array holds (a fixed kind, "string", or a Struct), or the Struct itself.
    A struct-valued field of a tag is None while its tag is absent.
    """

    __slots__ = ("default", "element", "kind", "name", "nullable", "tag", "versions")

    def __init__(
        self,
        kind: str,
        at: str,
        *,
        nullable: str = "",
        tag: int | None = None,
        default: Any = _REQUIRED,
        element: Any = None,
    ) -> None:
        self.name = ""
        self.kind = kind
        self.versions = parse_versions(at)
        self.nullable = parse_versions(nullable)
        self.tag = tag
        self.default = default
        self.element = element

    @property
    def is_required(self) -> bool:
        """Whether the constructor insists on a value."""
        return self.default is _REQUIRED

    @property
    def absent_value(self) -> Any:
        """What the field holds in a version without it; an array's () stands for a fresh list."""
        if not self.is_required:
            return self.default
        if self.kind == "uuid":
            return NIL_UUID
        if self.kind == "boolean":
            return False
        if self.kind == "float64":
            return 0.0
        return {"string": "", "binary": b"", "records": None, "array": (), "struct": None}.get(
            self.kind, 0
        )


def boolean(at: str = "0+", *, default: bool = _REQUIRED, tag: int | None = None) -> bool:
    return cast(bool, Field("boolean", at, default=default, tag=tag))


def int8(at: str = "0+", *, default: int = _REQUIRED, tag: int | None = None) -> int:
    return cast(int, Field("int8", at, default=default, tag=tag))


def int16(at: str = "0+", *, default: int = _REQUIRED, tag: int | None = None) -> int:
    return cast(int, Field("int16", at, default=default, tag=tag))


def int32(at: str = "0+", *, default: int = _REQUIRED, tag: int | None = None) -> int:
    return cast(int, Field("int32", at, default=default, tag=tag))


def int64(at: str = "0+", *, default: int = _REQUIRED, tag: int | None = None) -> int:
    return cast(int, Field("int64", at, default=default, tag=tag))


def uint16(at: str = "0+", *, default: int = _REQUIRED, tag: int | None = None) -> int:
    return cast(int, Field("uint16", at, default=default, tag=tag))


def float64(at: str = "0+", *, default: float = _REQUIRED, tag: int | None = None) -> float:
    return cast(float, Field("float64", at, default=default, tag=tag))


def uuid(at: str = "0+", *, default: bytes = _REQUIRED, tag: int | None = None) -> bytes:
    """16 bytes; NIL_UUID means none."""
    return cast(bytes, Field("uuid", at, default=default, tag=tag))


@overload
def string(at: str = "0+", *, default: str = _REQUIRED, tag: int | None = None) -> str: ...
@overload
def string(
    at: str = "0+", *, nullable: str, default: str | None = _REQUIRED, tag: int | None = None
) -> str | None: ...
def string(
    at: str = "0+", *, nullable: str = "", default: Any = _REQUIRED, tag: int | None = None
) -> Any:
    return Field("string", at, nullable=nullable, default=default, tag=tag)


@overload
def binary(at: str = "0+", *, default: bytes = _REQUIRED, tag: int | None = None) -> bytes: ...
@overload
def binary(
    at: str = "0+", *, nullable: str, default: bytes | None = _REQUIRED, tag: int | None = None
) -> bytes | None: ...
def binary(
    at: str = "0+", *, nullable: str = "", default: Any = _REQUIRED, tag: int | None = None
) -> Any:
    return Field("binary", at, nullable=nullable, default=default, tag=tag)


def record_set(at: str = "0+", *, nullable: str = "", default: None = _REQUIRED) -> Any:
    """Record batches: decoded as a view of the frame, encoded by reference, never copied.

    Declare it as `memoryview | None` where it is received and `Records | None` where it is sent.
    """
    return Field("records", at, nullable=nullable, default=default)


def int8_array(
    at: str = "0+", *, default: tuple[()] = _REQUIRED, tag: int | None = None
) -> list[int]:
    return cast("list[int]", Field("array", at, default=default, tag=tag, element="int8"))


@overload
def int32_array(
    at: str = "0+", *, default: tuple[()] = _REQUIRED, tag: int | None = None
) -> list[int]: ...
@overload
def int32_array(
    at: str = "0+", *, nullable: str, default: tuple[()] | None = _REQUIRED, tag: int | None = None
) -> list[int] | None: ...
def int32_array(
    at: str = "0+", *, nullable: str = "", default: Any = _REQUIRED, tag: int | None = None
) -> Any:
    return Field("array", at, nullable=nullable, default=default, tag=tag, element="int32")


@overload
def string_array(
    at: str = "0+", *, default: tuple[()] = _REQUIRED, tag: int | None = None
) -> list[str]: ...
@overload
def string_array(
    at: str = "0+", *, nullable: str, default: tuple[()] | None = _REQUIRED, tag: int | None = None
) -> list[str] | None: ...
def string_array(
    at: str = "0+", *, nullable: str = "", default: Any = _REQUIRED, tag: int | None = None
) -> Any:
    return Field("array", at, nullable=nullable, default=default, tag=tag, element="string")


StructT = TypeVar("StructT", bound="Struct")


@overload
def array(
    element: type[StructT],
    at: str = "0+",
    *,
    default: tuple[()] = _REQUIRED,
    tag: int | None = None,
) -> list[StructT]: ...
@overload
def array(
    element: type[StructT],
    at: str = "0+",
    *,
    nullable: str,
    default: tuple[()] | None = _REQUIRED,
    tag: int | None = None,
) -> list[StructT] | None: ...
def array(
    element: type[Struct],
    at: str = "0+",
    *,
    nullable: str = "",
    default: Any = _REQUIRED,
    tag: int | None = None,
) -> Any:
    """A list of structs; the default () stands for a fresh empty list."""
    return Field("array", at, nullable=nullable, default=default, tag=tag, element=element)


def struct(
    element: type[StructT],
    at: str = "0+",
    *,
    nullable: str = "",
    default: None = _REQUIRED,
    tag: int | None = None,
) -> StructT | None:
    """A struct in place; None where it is null, or where it is tagged and left at its default."""
    return cast(
        "StructT | None",
        Field("struct", at, nullable=nullable, default=default, tag=tag, element=element),
    )


class StructMeta(type):
    """Collects the declared fields and replaces them by slots."""

    FIELDS: tuple[Field, ...]

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any
    ) -> StructMeta:
        fields = []
        for attribute, value in list(namespace.items()):
            if isinstance(value, Field):
                value.name = attribute
                fields.append(value)
                del namespace[attribute]
        namespace.setdefault("__slots__", tuple(field.name for field in fields))
        cls = super().__new__(mcs, name, bases, namespace, **keywords)
        cls.FIELDS = tuple(fields)
        return cls


@dataclass_transform(
    kw_only_default=True,
    field_specifiers=(
        boolean,
        int8,
        int16,
        int32,
        int64,
        uint16,
        float64,
        uuid,
        string,
        binary,
        record_set,
        int8_array,
        int32_array,
        string_array,
        array,
        struct,
    ),
)
class Struct(metaclass=StructMeta):
    """The base of every message and of its parts; one that stands alone names its versions.

    `unknown_tags` keeps the tagged fields that no declaration knows, by tag, so that they are sent
    on as they came. To set one, assign a dict.
    """

    __slots__ = ("unknown_tags",)
    unknown_tags: Mapping[int, bytes]
    FIELDS: ClassVar[tuple[Field, ...]]
    VERSIONS: ClassVar[range] = NEVER
    FLEXIBLE: ClassVar[range] = NEVER
    # Compiled functions by version, filled by `compiler`.
    DECODERS: ClassVar[dict[int, Any]]
    ENCODERS: ClassVar[dict[int, Any]]

    def __init_subclass__(cls, versions: str = "", flexible: str = "") -> None:
        if versions:
            cls.VERSIONS = parse_versions(versions)
            cls.FLEXIBLE = parse_versions(flexible)
        cls.DECODERS = {}
        cls.ENCODERS = {}

    def __init__(self, **values: Any) -> None:
        type(self).__init__ = _make_constructor(type(self))  # type: ignore[method-assign]
        self.__init__(**values)  # type: ignore[misc]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Struct)
        return self.unknown_tags == other.unknown_tags and all(
            getattr(self, field.name) == getattr(other, field.name) for field in self.FIELDS
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = [f"{field.name}={getattr(self, field.name)!r}" for field in self.FIELDS]
        if self.unknown_tags:
            values.append(f"unknown_tags={dict(self.unknown_tags)!r}")
        return f"{type(self).__name__}({', '.join(values)})"


class _ApiMessage(Struct):
    __slots__ = ()
    API_KEY: ClassVar[ApiKey]

    def __init_subclass__(
        cls, api_key: ApiKey | None = None, versions: str = "", flexible: str = ""
    ) -> None:
        super().__init_subclass__(versions, flexible)
        if api_key is not None:
            cls.API_KEY = api_key


class Request(_ApiMessage):
    """What a client sends: API_KEY, the VERSIONS declared, and which of them are FLEXIBLE."""

    __slots__ = ()


class Response(_ApiMessage):
    """What it is answered; the same facts as its request's."""

    __slots__ = ()


def _make_constructor(cls: type[Struct]) -> Callable[..., None]:
    """`def __init__(self, *, index, records=None)`, with one assignment a field."""
    environment: dict[str, Any] = {"NO_TAGS": NO_TAGS}
    parameters = []
    body = [" self.unknown_tags = NO_TAGS"]
    for field in cls.FIELDS:
        name = field.name
        if field.is_required:
            parameters.append(name)
        else:
            environment[f"default_{name}"] = field.default
            parameters.append(f"{name}=default_{name}")
        if field.default == ():
            body.append(f" self.{name} = [] if {name} is default_{name} else {name}")
        else:
            body.append(f" self.{name} = {name}")
    signature = ", ".join(["self", *(["*", *parameters] if parameters else [])])
    exec("\n".join([f"def __init__({signature}):", *body]), environment)
    constructor: Callable[..., None] = environment["__init__"]
    return constructor


def present_fields(cls: type[Struct], version: int) -> tuple[Sequence[Field], Sequence[Field]]:
    """The fields that `version` carries: those in place, and those with tags, in order of tag."""
    present = [field for field in cls.FIELDS if version in field.versions]
    plain = [field for field in present if field.tag is None]
    tagged = [field for field in present if field.tag is not None]
    tagged.sort(key=lambda field: field.tag or 0)
    return plain, tagged
