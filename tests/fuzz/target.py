"""What is fuzzed: a decoder, the inputs that it takes, and what it may raise on all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.fuzz.mutation import Sample
from wire.errors import WireError


@dataclass(frozen=True)
class Target:
    """`check` decodes an input and holds what came out against the target's laws (what decodes is
    encoded and decodes to the same); it raises `allowed` for an input that is refused, and
    anything else is a finding."""

    name: str
    make: Callable[[Random], Sample]
    check: Callable[[bytes], None]
    allowed: tuple[type[Exception], ...] = (WireError,)
    covers: tuple[str, ...] = ()
    """The functions that this is about, as `package.module.function`."""
    weight: float = 1.0
    """Its share of the inputs."""
    repair: Callable[[bytes, Random], bytes] | None = None
    """Sets the checksum of half of the inputs right."""


def require(condition: object, message: str) -> None:
    """A law of the decoder under test. Not `assert`: what the product asserts is a finding too,
    and both must be told with `python -O` as well."""
    if not condition:
        raise LawBrokenError(message)


class LawBrokenError(Exception):
    """What was decoded is not what the bytes say."""
