"""Finds the error codes in a response of any API: at its top, and wherever one is nested."""

from __future__ import annotations

from collections.abc import Callable

from wire.schema import Struct

ErrorCounter = Callable[[Struct, dict[int, int]], None]
"""Adds each error code in the message, but for NONE, to the counts by code."""


def error_counter(cls: type[Struct]) -> ErrorCounter:
    """The counter of messages of this class; made once, called for each message."""
    return _counter(cls) or _count_nothing


def _count_nothing(message: Struct, counts: dict[int, int]) -> None:
    return None


def _counter(cls: type[Struct]) -> ErrorCounter | None:
    has_code = any(field.name == "error_code" for field in cls.FIELDS)
    nested: list[tuple[str, ErrorCounter]] = []
    for field in cls.FIELDS:
        if isinstance(field.element, type):
            counter = _counter(field.element)
            if counter is not None:
                assert field.kind == "array", "Kafka nests error codes in arrays"
                nested.append((field.name, counter))
    if nested:
        return _nesting(has_code, nested)
    return _count_own if has_code else None


def _count_own(message: Struct, counts: dict[int, int]) -> None:
    code = message.error_code  # type: ignore[attr-defined]
    if code:
        counts[code] = counts.get(code, 0) + 1


def _nesting(has_code: bool, nested: list[tuple[str, ErrorCounter]]) -> ErrorCounter:
    def count(message: Struct, counts: dict[int, int]) -> None:
        if has_code:
            _count_own(message, counts)
        for name, count_element in nested:
            for element in getattr(message, name) or ():
                count_element(element, counts)

    return count
