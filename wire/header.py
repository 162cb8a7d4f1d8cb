"""The header in front of a request's body. Counterpart: `frame`, which writes headers.

v1 is key, version, correlation id and client id; v2, of flexible versions, adds tagged fields
(KIP-482), of which none is known and which are skipped.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from wire.api_key import FIRST_FLEXIBLE_VERSION
from wire.errors import WireError
from wire.primitives import Buffer, skip_tags
from wire.schema import NO_END

_FIXED = struct.Struct(">hhih")
_new_tuple = tuple.__new__


class RequestHeader(NamedTuple):
    """The header read, and where the body begins. The key and version may be ones nobody knows."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_position: int


def read_request_header(frame: Buffer) -> RequestHeader:
    """The header of `frame`, which begins after the frame's length; WireError when it is cut.

    A version newer than any known is read as flexible, like Kafka does: ApiVersions must be
    answered whatever version is asked for.
    """
    try:
        api_key, api_version, correlation_id, length = _FIXED.unpack_from(frame)
        position = 10
        client_id = None
        if length >= 0:
            position += length
            if position > len(frame):
                raise WireError(f"a client id of {length} bytes in a frame of {len(frame)}")
            client_id = str(frame[10:position], "utf-8")
        if api_version >= FIRST_FLEXIBLE_VERSION.get(api_key, NO_END):
            position = skip_tags(frame, position)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise WireError(f"request header: {error}") from error
    # Made for every request: a NamedTuple's own constructor takes twice as long.
    return _new_tuple(RequestHeader, (api_key, api_version, correlation_id, client_id, position))
