"""Declared messages to functions: straight-line Python for a (struct, version), made on first use.

`decode` and `encode` are the interface; `decoder_source` and `encoder_source` write the code. The
source of a compiled function is registered with `linecache`, so that a traceback through it shows
its lines. What it does, slowly and readably, is written down in `tests/wire/reference_codec.py`; a
test holds the two together.

Decoding trusts nothing. A length is checked against the bytes that remain before anything is made
of it (an array of n elements needs at least n times the smallest element), strings are at most
32,767 bytes, and a message holds at most `max_elements` elements, since a Python object is far
larger than the few bytes that can ask for one. Like Kafka's own decoder it does not look at what
follows the message: the caller learns where it ended.
"""

from __future__ import annotations

import struct
from typing import Any, TypeVar

from wire.decoder_source import compile_decoder
from wire.encoder_source import compile_encoder
from wire.errors import WireError
from wire.primitives import MAX_ELEMENTS, Buffer
from wire.records.file_slice import FileSlice
from wire.schema import Struct

# What a message is encoded to: bytes to send as they are, and references to records.
Part = bytes | bytearray | memoryview | FileSlice

MessageT = TypeVar("MessageT", bound=Struct)


def decode(
    cls: type[MessageT],
    version: int,
    buffer: Buffer,
    position: int = 0,
    max_elements: int = MAX_ELEMENTS,
) -> tuple[MessageT, int]:
    """(message, next position) of `cls` at `version`; `version` must be one of cls.VERSIONS.

    A records field becomes a view of `buffer`; everything else is copied. WireError for anything
    malformed, and no other exception.
    """
    decoder: Any = cls.DECODERS.get(version)
    if decoder is None:
        decoder = cls.DECODERS[version] = compile_decoder(cls, version)
    try:
        return decoder(buffer, position, max_elements)  # type: ignore[no-any-return]
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise WireError(f"{cls.__name__} v{version}: {error}") from error


def encode(message: Struct, version: int) -> list[Part]:
    """The message as parts to send one after the other; the first is always bytes.

    Records are a part of their own, by reference. Values that the wire format cannot hold (a
    number out of range, a string over 32,767 bytes in an old version) raise struct.error.
    """
    cls = type(message)
    encoder: Any = cls.ENCODERS.get(version)
    if encoder is None:
        encoder = cls.ENCODERS[version] = compile_encoder(cls, version)
    return encoder(message)  # type: ignore[no-any-return]
