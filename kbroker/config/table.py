"""Configuration as one declared table: a line declares an attribute, a key and its documentation.

From a table, and from nothing else, come the parsing of properties files and of the environment,
validation, typed access, what DescribeConfigs and AlterConfigs know, and `docs/configs.md`:

    class TopicConfig(ConfigTable):
        retention_ms: int = long("retention.ms", default=604_800_000, valid=at_least(-1), doc="...")

    TopicConfig.parse({"retention.ms": "5"}).retention_ms == 5

This is the project's second and last use of the declaration idiom of `wire/schema.py`: a field
specifier returns a `ConfigKey` where the type checker sees the value's own type. Values are parsed
and refused with the rules and the words of Kafka's `ConfigDef`.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Required, Self, TypedDict, Unpack, cast, dataclass_transform, overload

ConfigValue = bool | int | float | str | tuple[str, ...] | None

SHORT_MAX = 2**15 - 1
INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1


class ConfigError(Exception):
    """A value that a key refuses; `key` is its name, the message is Kafka's wording."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class ConfigType(enum.IntEnum):
    """A key's type; the numbers are those of DescribeConfigs (KIP-569)."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    PASSWORD = 9


class UpdateMode(enum.Enum):
    """Whether AlterConfigs may change a broker's key while it runs, in Kafka's words (KIP-226)."""

    READ_ONLY = "read-only"
    CLUSTER_WIDE = "cluster-wide"


READ_ONLY = UpdateMode.READ_ONLY
CLUSTER_WIDE = UpdateMode.CLUSTER_WIDE


@dataclasses.dataclass(frozen=True, slots=True)
class Validator:
    """A rule on values: `refusal` says why one is refused, or None; `words` documents the rule.

    `shown` is what a refusal shows of the value: of a list maybe only the element at fault.
    `distinct`: of equal elements of a list the first counts, as in Kafka's lists of words.
    """

    words: str
    refusal: Callable[[ConfigValue], str | None]
    shown: Callable[[ConfigValue], str | None] = lambda value: render(value)
    distinct: bool = False


ANY = Validator("", lambda value: None)
DISTINCT = Validator("", lambda value: None, distinct=True)


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigKey:
    """One row of a table; `kafka_default` differs from `default` where we deviate on purpose."""

    attribute: str
    name: str
    type: ConfigType
    default: ConfigValue
    kafka_default: ConfigValue
    nullable: bool
    valid: Validator
    synonyms: tuple[str, ...]
    update: UpdateMode
    doc: str

    def parse(self, text: str) -> ConfigValue:
        """The value that `text` stands for; ConfigError when it has a wrong type or is refused."""
        value = _PARSERS[self.type](self, text.strip())
        if self.valid.distinct and isinstance(value, tuple):
            value = tuple(dict.fromkeys(value))
        self.check(value)
        return value

    def check(self, value: ConfigValue) -> None:
        """ConfigError unless the validator accepts `value` (null: where the key may be null)."""
        if value is None and self.nullable:
            return
        refusal = "Value must be non-null" if value is None else self.valid.refusal(value)
        if refusal is not None:
            raise self.refused("null" if value is None else str(self.valid.shown(value)), refusal)

    def refused(self, text: str, why: str) -> ConfigError:
        return ConfigError(self.name, f"Invalid value {text} for configuration {self.name}: {why}")


class Row(TypedDict, total=False):
    """What every field specifier takes beside the key's name and its default."""

    kafka: ConfigValue  # Kafka's default, where ours deviates on purpose
    valid: Validator
    synonyms: tuple[str, ...]
    update: UpdateMode
    doc: Required[str]


# Field specifiers: what a table is declared with. Each returns a row where mypy sees a value.


def boolean(name: str, *, default: bool, **row: Unpack[Row]) -> bool:
    return cast(bool, _declare(ConfigType.BOOLEAN, name, default, row))


@overload
def integer(name: str, *, default: int, **row: Unpack[Row]) -> int: ...
@overload
def integer(name: str, *, default: None, **row: Unpack[Row]) -> int | None: ...
def integer(name: str, *, default: int | None, **row: Unpack[Row]) -> int | None:
    return cast(int, _declare(ConfigType.INT, name, default, row))


def short(name: str, *, default: int, **row: Unpack[Row]) -> int:
    return cast(int, _declare(ConfigType.SHORT, name, default, row))


@overload
def long(name: str, *, default: int, **row: Unpack[Row]) -> int: ...
@overload
def long(name: str, *, default: None, **row: Unpack[Row]) -> int | None: ...
def long(name: str, *, default: int | None, **row: Unpack[Row]) -> int | None:
    return cast(int, _declare(ConfigType.LONG, name, default, row))


def double(name: str, *, default: float, **row: Unpack[Row]) -> float:
    return cast(float, _declare(ConfigType.DOUBLE, name, default, row))


@overload
def string(name: str, *, default: str, **row: Unpack[Row]) -> str: ...
@overload
def string(name: str, *, default: None, **row: Unpack[Row]) -> str | None: ...
def string(name: str, *, default: str | None, **row: Unpack[Row]) -> str | None:
    return cast(str, _declare(ConfigType.STRING, name, default, row))


def password(name: str, *, default: str, **row: Unpack[Row]) -> str:
    """A text that nobody is shown."""
    return cast(str, _declare(ConfigType.PASSWORD, name, default, row))


@overload
def strings(name: str, *, default: tuple[str, ...], **row: Unpack[Row]) -> tuple[str, ...]: ...
@overload
def strings(name: str, *, default: None, **row: Unpack[Row]) -> tuple[str, ...] | None: ...
def strings(
    name: str, *, default: tuple[str, ...] | None, **row: Unpack[Row]
) -> tuple[str, ...] | None:
    """A comma-separated list; an empty text is an empty list."""
    return cast("tuple[str, ...]", _declare(ConfigType.LIST, name, default, row))


def _declare(kind: ConfigType, name: str, default: ConfigValue, row: Row) -> ConfigKey:
    return ConfigKey(
        attribute=name.replace(".", "_").replace("-", "_"),
        name=name,
        type=kind,
        default=default,
        kafka_default=row.get("kafka", default),
        nullable=default is None,
        valid=row.get("valid", ANY),
        synonyms=row.get("synonyms", ()),
        update=row.get("update", READ_ONLY),
        doc=row["doc"],
    )


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(boolean, integer, short, long, double, string, password, strings),
)
class ConfigTable:
    """Base of the tables: immutable typed values, plus which of them were given (not defaulted)."""

    KIND: ClassVar[str] = "broker"
    KEYS: ClassVar[Mapping[str, ConfigKey]] = {}
    given: frozenset[str]

    def __init_subclass__(cls) -> None:
        keys: dict[str, ConfigKey] = {}
        for base in cls.__bases__:
            keys |= getattr(base, "KEYS", {})
        for attribute, declared in list(vars(cls).items()):
            if isinstance(declared, ConfigKey):
                assert attribute == declared.attribute, f"{attribute} declares {declared.name}"
                declared.check(declared.default)
                keys[declared.name] = declared
        cls.KEYS = keys

    def __init__(self, **values: ConfigValue) -> None:
        """An attribute that is not given holds its key's default; ConfigError on a bad value."""
        self._hold(
            values, given=[key.name for key in self.KEYS.values() if key.attribute in values]
        )

    def _hold(self, values: Mapping[str, ConfigValue], *, given: Iterable[str]) -> None:
        keys = {key.attribute: key for key in self.KEYS.values()}
        assert values.keys() <= keys.keys(), f"no attributes {sorted(values.keys() - keys.keys())}"
        for attribute, key in keys.items():
            value = values.get(attribute, key.default)
            key.check(value)
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "given", frozenset(given))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: use with_changes()")

    @classmethod
    def build(cls, values: Mapping[str, ConfigValue], *, given: Iterable[str]) -> Self:
        """The table that holds `values` (by attribute), of which the keys `given` count as set."""
        table = cls.__new__(cls)
        table._hold(values, given=given)
        return table

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """The table in which the keys named in `texts` hold the values given there; ConfigError."""
        keys = {cls.key(name): text for name, text in texts.items()}
        values = {key.attribute: key.parse(text) for key, text in keys.items()}
        return cls.build(values, given=[key.name for key in keys])

    @classmethod
    def key(cls, name: str) -> ConfigKey:
        """The row named `name`, or that has it as a synonym; ConfigError if there is none."""
        key = cls.find(name)
        if key is None:
            raise ConfigError(name, f"Unknown {cls.KIND} config name: {name}")
        return key

    @classmethod
    def find(cls, name: str) -> ConfigKey | None:
        found = cls.KEYS.get(name)
        return found or next((key for key in cls.KEYS.values() if name in key.synonyms), None)

    def value(self, name: str) -> ConfigValue:
        """The value of the key named `name` (exact name); KeyError when there is no such key."""
        return cast(ConfigValue, getattr(self, self.KEYS[name].attribute))

    def with_changes(self, texts: Mapping[str, str | None]) -> Self:
        """A copy with these keys parsed anew; None takes a key back to its default. ConfigError."""
        given = set(self.given)
        values = {key.attribute: self.value(name) for name, key in self.KEYS.items()}
        for name, text in texts.items():
            key = self.key(name)
            values[key.attribute] = key.default if text is None else key.parse(text)
            (given.discard if text is None else given.add)(key.name)
        return self.build(values, given=given)


def render(value: ConfigValue) -> str | None:
    """The text that Kafka shows for a value; None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float):
        return repr(value).replace("e+", "E")
    return str(value)


# Validators, in the words of Kafka's ConfigDef.


def at_least(minimum: int | float) -> Validator:
    return Validator(
        f"at least {minimum}",
        lambda value: (
            None if cast(float, value) >= minimum else f"Value must be at least {minimum}"
        ),
    )


def between(minimum: int | float, maximum: int | float) -> Validator:
    def refusal(value: ConfigValue) -> str | None:
        if cast(float, value) < minimum:
            return f"Value must be at least {minimum}"
        if cast(float, value) > maximum:
            return f"Value must be no more than {maximum}"
        return None

    return Validator(f"{minimum} to {maximum}", refusal)


def one_of(*words: str, ignoring_case: bool = False) -> Validator:
    listed = ", ".join(words)

    def refusal(value: ConfigValue) -> str | None:
        word = cast(str, value).lower() if ignoring_case else value
        return None if word in words else f"String must be one of: {listed}"

    return Validator(f"one of {listed}", refusal)


def some_of(*words: str) -> Validator:
    """For lists: each element is one of `words`."""
    listed = ", ".join(words)

    def refusal(value: ConfigValue) -> str | None:
        return None if culprit(value) is None else f"String must be one of: {listed}"

    def culprit(value: ConfigValue) -> str | None:
        elements = cast("tuple[str, ...]", value)
        return next((element for element in elements if element not in words), None)

    return Validator(f"any of {listed}", refusal, culprit, distinct=True)


# Parsers, one for each type.


def _parse_boolean(key: ConfigKey, text: str) -> ConfigValue:
    if text.lower() not in ("true", "false"):
        raise key.refused(text, "Expected value to be either true or false")
    return text.lower() == "true"


def _parse_whole_number(key: ConfigKey, text: str) -> ConfigValue:
    # Python's int() would also take "1_000" and digits of other scripts, which Java refuses.
    limit = _LIMITS[key.type]
    if not re.fullmatch(r"[+-]?[0-9]+", text) or not -limit - 1 <= int(text) <= limit:
        raise key.refused(text, f"Not a number of type {key.type.name}")
    return int(text)


def _parse_double(key: ConfigKey, text: str) -> ConfigValue:
    try:
        return float(text)
    except ValueError:
        raise key.refused(text, "Not a number of type DOUBLE") from None


def _parse_string(key: ConfigKey, text: str) -> ConfigValue:
    return text


def _parse_list(key: ConfigKey, text: str) -> ConfigValue:
    elements = tuple(element.strip() for element in text.split(",")) if text else ()
    if "" in elements:
        raise ConfigError(key.name, f"Configuration '{key.name}' values must not be empty.")
    return elements


_LIMITS = {ConfigType.INT: INT_MAX, ConfigType.SHORT: SHORT_MAX, ConfigType.LONG: LONG_MAX}
_PARSERS = {
    ConfigType.BOOLEAN: _parse_boolean,
    ConfigType.STRING: _parse_string,
    ConfigType.PASSWORD: _parse_string,
    ConfigType.INT: _parse_whole_number,
    ConfigType.SHORT: _parse_whole_number,
    ConfigType.LONG: _parse_whole_number,
    ConfigType.DOUBLE: _parse_double,
    ConfigType.LIST: _parse_list,
}
