"""Frames over one blocking socket: requests out, answers in, nothing understood but the header.

Written apart from the broker's own framing, so that a mistake in one shows against the other.
"""

import socket
from struct import Struct

from wire.compiler import encode
from wire.records.file_slice import FileSlice
from wire.schema import Request

LENGTH = Struct(">i")
HEADER = Struct(">hhi")
SHORT = Struct(">h")
CLIENT_ID = b"recorder"
TIMEOUT_S = 20.0
"""Longer than any answer takes; reaching it fails the scenario."""


class Closed(Exception):
    """The broker ended the connection."""


class Connection:
    """One connection; not for several threads. `correlation_id` counts the requests from 1."""

    def __init__(self, host: str, port: int) -> None:
        self.correlation_id = 0
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_request(self, request: Request, version: int) -> int:
        """Send it and return its correlation id."""
        body = bytearray()
        for part in encode(request, version):
            assert not isinstance(part, FileSlice)
            body += part
        return self.send_body(
            int(request.API_KEY), version, bytes(body), flexible=version in request.FLEXIBLE
        )

    def send_body(self, api_key: int, version: int, body: bytes, *, flexible: bool) -> int:
        """Send a header of version 2 or 1 and this body, whatever it holds."""
        self.correlation_id += 1
        header = HEADER.pack(api_key, version, self.correlation_id)
        header += SHORT.pack(len(CLIENT_ID)) + CLIENT_ID + (b"\0" if flexible else b"")
        self.send_bytes(LENGTH.pack(len(header) + len(body)) + header + body)
        return self.correlation_id

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are. A connection that is closed already shows at the next read."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> tuple[int, bytes]:
        """`(correlation_id, the rest of the frame)` of the next answer, or `Closed`."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        frame = self._read(length)
        return LENGTH.unpack_from(frame)[0], frame[LENGTH.size :]

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                chunk = self._socket.recv(size - len(data))
            except ConnectionResetError:
                chunk = b""
            except TimeoutError:
                raise AssertionError(f"no answer within {TIMEOUT_S} s") from None
            if not chunk:
                raise Closed
            data += chunk
        return bytes(data)
