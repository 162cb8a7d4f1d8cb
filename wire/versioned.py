"""Structs that are stored rather than sent: preceded by their version as an int16.

The coordinators' records are such; see `wire.messages.offset_records`.
"""

from __future__ import annotations

import struct
from typing import TypeVar

from wire.compiler import decode, encode
from wire.errors import WireError
from wire.primitives import Buffer
from wire.schema import Struct

StructT = TypeVar("StructT", bound=Struct)

_VERSION = struct.Struct(">h")


def encode_versioned(value: Struct, version: int) -> bytes:
    """The version and the bytes of `value`, which holds no records."""
    body = encode(value, version)[0]
    assert isinstance(body, bytes)
    return _VERSION.pack(version) + body


def read_version(buffer: Buffer) -> int:
    """The version in front; for a key of a coordinator's log also its type."""
    if len(buffer) < 2:
        raise WireError(f"a versioned struct of {len(buffer)} bytes")
    version: int = _VERSION.unpack_from(buffer)[0]
    return version


def decode_versioned(cls: type[StructT], buffer: Buffer) -> StructT:
    """The struct; WireError for a version that `cls` does not have, and for malformed bytes."""
    version = read_version(buffer)
    if version not in cls.VERSIONS:
        raise WireError(f"{cls.__name__} has no version {version}")
    return decode(cls, version, buffer, 2)[0]
