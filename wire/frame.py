"""Messages with their headers and the length in front: what goes over a connection.

Counterpart: `header`, which a broker reads requests with; `read_response` is for clients.
"""

from __future__ import annotations

import struct
from typing import TypeVar

from wire.api_key import ApiKey
from wire.compiler import Part, decode, encode
from wire.errors import WireError
from wire.primitives import Buffer, skip_tags
from wire.schema import Request, Response

ResponseT = TypeVar("ResponseT", bound=Response)

_LENGTH_AND_ID = struct.Struct(">ii")
_LENGTH_ID_AND_NO_TAGS = struct.Struct(">iix")
_REQUEST = struct.Struct(">ihhih")
_CORRELATION_ID = struct.Struct(">i")


def response_frame(response: Response, version: int, correlation_id: int) -> list[Part]:
    """The parts of a response: length, header, body. The first part is always bytes.

    The header has tagged fields where the version is flexible, but for ApiVersions: a client
    asks it before it knows the broker, so its header never changes (KIP-511).
    """
    parts = encode(response, version)
    size = 4 + (len(parts[0]) if len(parts) == 1 else sum(map(len, parts)))
    if version in response.FLEXIBLE and response.API_KEY != ApiKey.API_VERSIONS:
        head = _LENGTH_ID_AND_NO_TAGS.pack(size + 1, correlation_id)
    else:
        head = _LENGTH_AND_ID.pack(size, correlation_id)
    first = parts[0]
    assert isinstance(first, bytes)
    parts[0] = head + first
    return parts


def request_frame(
    request: Request, version: int, correlation_id: int, client_id: str | None
) -> list[Part]:
    """The parts of a request: length, header v1 or v2, body. The first part is always bytes."""
    parts = encode(request, version)
    name = b"" if client_id is None else client_id.encode()
    tags = b"\0" if version in request.FLEXIBLE else b""
    size = 10 + len(name) + len(tags) + sum(len(part) for part in parts)
    name_length = -1 if client_id is None else len(name)
    head = _REQUEST.pack(size, request.API_KEY, version, correlation_id, name_length)
    first = parts[0]
    assert isinstance(first, bytes)
    parts[0] = b"".join((head, name, tags, first))
    return parts


def read_correlation_id(frame: Buffer) -> int:
    """The correlation id of a response frame, which begins after its length."""
    if len(frame) < 4:
        raise WireError(f"a response of {len(frame)} bytes")
    correlation_id: int = _CORRELATION_ID.unpack_from(frame)[0]
    return correlation_id


def read_response(cls: type[ResponseT], version: int, frame: Buffer) -> tuple[int, ResponseT]:
    """(correlation id, response) of a frame that begins after its length.

    WireError also when bytes are left over: a client that misreads a version would see that.
    """
    correlation_id = read_correlation_id(frame)
    position = 4
    if version in cls.FLEXIBLE and cls.API_KEY != ApiKey.API_VERSIONS:
        try:
            position = skip_tags(frame, position)
        except IndexError as error:
            raise WireError(f"response header: {error}") from error
    response, position = decode(cls, version, frame, position)
    if position != len(frame):
        raise WireError(f"{len(frame) - position} bytes follow {cls.__name__} v{version}")
    return correlation_id, response
