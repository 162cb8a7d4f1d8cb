"""One HTTP/1.1 connection to an etcd member: a request, then its answer, whole or as a stream.

The protocol is h11's, the bytes are asyncio's. `open` sends no request, and `begin` sends all of
it before it waits: who has a connection and gets no answer knows that the request may have arrived.

Deliberately not here: redirects, compression, proxies, cookies. Counterpart: `etcd_gateway.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import NamedTuple

import h11

from kbroker.cluster.metadata_store import MetadataStoreError, StoreRefusedError

READ_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 << 20
"""Of an answer that is taken whole: many times what a page of keys has."""

Headers = Sequence[tuple[str, str]]


class BrokenConnectionError(MetadataStoreError):
    """The connection ended, or what came is not HTTP. It is of no use any more."""


class Endpoint(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HttpConnection:
    """Mutable; one request at a time. Whoever gives up on an answer aborts the connection."""

    def __init__(
        self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.endpoint = endpoint
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @classmethod
    async def open(cls, endpoint: Endpoint, tls: ssl.SSLContext | None) -> HttpConnection:
        """BrokenConnectionError when nobody is there, StoreRefusedError when it is not who it
        should be.
        """
        try:
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=tls)
        except ssl.SSLCertVerificationError as error:
            raise StoreRefusedError(
                f"etcd at {endpoint}: its certificate is refused: {error.verify_message}"
            ) from None
        except OSError as error:
            raise BrokenConnectionError(_words(error)) from None
        return cls(endpoint, reader, writer)

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent, as far as is known here."""
        return (
            not self._reader.at_eof()
            and not self._writer.transport.is_closing()
            and self._http.our_state is h11.IDLE
            and self._http.their_state is h11.IDLE
        )

    async def ask(
        self, path: str, headers: Headers, body: bytes, method: str = "POST"
    ) -> tuple[int, bytes]:
        """The whole answer: status and body. BrokenConnectionError."""
        status = await self.begin(path, headers, body, method)
        answer = bytearray()
        while chunk := await self.next_chunk():
            answer += chunk
            if len(answer) > MAX_ANSWER_BYTES:
                raise BrokenConnectionError("an answer without an end")
        return status, bytes(answer)

    async def begin(self, path: str, headers: Headers, body: bytes, method: str = "POST") -> int:
        """The answer's status. Its body is for `next_chunk`."""
        request = h11.Request(
            method=method,
            target=path,
            headers=[
                ("Host", str(self.endpoint)),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                *headers,
            ],
        )
        pieces = [self._http.send(each) for each in (request, h11.Data(body), h11.EndOfMessage())]
        self._writer.write(b"".join(piece for piece in pieces if piece))
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event.status_code
            if not isinstance(event, h11.InformationalResponse):
                raise BrokenConnectionError("the connection ended")

    async def next_chunk(self) -> bytes:
        """The next piece of the answer's body, as it comes; empty at its end."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.EndOfMessage):
                if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
                else:
                    self.abort()
                return b""
            if not isinstance(event, h11.Data):
                raise BrokenConnectionError("the connection ended")
            if event.data:
                return bytes(event.data)

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _next_event(self) -> object:
        try:
            while True:
                event = self._http.next_event()
                if event is h11.PAUSED:
                    raise BrokenConnectionError("more than an answer")
                if event is not h11.NEED_DATA:
                    return event
                self._http.receive_data(await self._reader.read(READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise BrokenConnectionError(str(error)) from None
        except OSError as error:
            raise BrokenConnectionError(_words(error)) from None


def _words(error: OSError) -> str:
    # Several addresses of one name: asyncio lists what came of each, over more than a line.
    return " ".join((error.strerror or str(error)).split())
