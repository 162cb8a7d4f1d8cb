"""A few lines of etcd behind its JSON gateway, on loopback, that can be told to misbehave.

It knows put-only transactions, ranges of one key, watches and authentication. `mishap` sees each
request but those at the start of a connection, and may return what happens instead.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from kbroker.cluster.etcd_gateway import Gateway, GatewayOptions
from kbroker.cluster.etcd_http import Endpoint


@dataclass(frozen=True)
class CutRequest:
    """The connection ends after so many bytes of the request; it is not looked at."""

    after_bytes: int


@dataclass(frozen=True)
class CutAnswer:
    """It is done, and so many bytes of the answer come before the connection ends."""

    after_bytes: int


@dataclass(frozen=True)
class Silence:
    """No answer, ever. `is_done`: but it is done."""

    is_done: bool = False


@dataclass(frozen=True)
class Raw:
    """These bytes for an answer, and the connection ends if `ends`."""

    data: bytes
    ends: bool = True


@dataclass(frozen=True)
class Refusal:
    code: int
    message: str
    status: int = 400


Mishap = CutRequest | CutAnswer | Silence | Raw | Refusal
Chooser = Callable[[str, dict], Mishap | None]


@dataclass
class FakeEtcd:
    """One member. Several share a `history` to be of one cluster."""

    history: list[tuple[str, bytes]] = field(default_factory=list)  # revision 2 on
    mishap: Chooser = lambda path, request: None
    version: str = "3.6.9"
    probe: Refusal | None = None  # what is answered at the start of a connection
    tokens: list[str] | None = None  # valid ones; None: authentication is off
    compacted: int = 0
    paths: list[str] = field(default_factory=list)  # of the requests so far
    cluster_id: str = "7"
    is_streaming: bool = True
    line_cuts: list[int] = field(default_factory=list)  # bytes of each watch that come, in turn
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    granted: int = 0

    async def start(self) -> Endpoint:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()[:2]
        self.endpoint = Endpoint(host, port)
        return self.endpoint

    def stop(self) -> None:
        self.server.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    @property
    def revision(self) -> int:
        return len(self.history) + 1

    def put(self, key: str, value: bytes = b"") -> None:
        self.history.append((key, value))
        self.grown.set()
        self.grown = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._requests(reader, writer)
        writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            headers = dict(
                line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line
            )
            body = await reader.readexactly(int(headers["content-length"]))
            request = json.loads(body or "{}")
            self.paths.append(path)
            if path == "/version":
                mishap = None
            elif "serializable" in request:
                mishap = self.probe
            else:
                mishap = self.mishap(path, request)
            match mishap:
                case CutRequest():
                    return
                case Silence(is_done):
                    if is_done:
                        self._answer(path, request, headers)
                    await asyncio.Event().wait()
                case Raw(data, ends):
                    writer.write(data)
                    if ends:
                        await writer.drain()
                        writer.close()
                        return
                    continue
            if path == "/v3/watch" and mishap is None:
                await self._watch(request["create_request"], writer)
                return
            status, answer = (
                (mishap.status, {"code": mishap.code, "message": mishap.message})
                if isinstance(mishap, Refusal)
                else self._answer(path, request, headers)
            )
            data = http(status, json.dumps(answer).encode())
            if isinstance(mishap, CutAnswer) and mishap.after_bytes < len(data):
                writer.write(data[: mishap.after_bytes])
                await writer.drain()
                writer.close()
                return
            writer.write(data)

    def _answer(self, path: str, request: dict, headers: dict) -> tuple[int, dict]:
        header = {"cluster_id": self.cluster_id, "revision": str(self.revision)}
        if path == "/version":
            return 200, {"etcdserver": self.version, "etcdcluster": "3.6.0"}
        if path == "/v3/auth/authenticate":
            return self._authenticate(request)
        if self.tokens is not None and headers.get("authorization") not in self.tokens:
            empty = "authorization" not in headers
            return 400, {
                "code": 3 if empty else 16,
                "message": "etcdserver: user name is empty"
                if empty
                else "etcdserver: invalid auth token",
            }
        match path:
            case "/v3/kv/range":
                key = base64.b64decode(request["key"]).decode()
                kvs = [each for each in self._kvs() if each["key"] == request["key"]]
                return 200, {"header": header, "kvs": kvs[-1:], "asked": key}
            case "/v3/kv/txn":
                for operation in request["success"]:
                    put = operation["request_put"]
                    self.put(base64.b64decode(put["key"]).decode(), base64.b64decode(put["value"]))
                header["revision"] = str(self.revision)
                return 200, {"header": header, "succeeded": True, "responses": [{}]}
        return 404, {"code": 5, "message": "Not Found"}

    def _authenticate(self, request: dict) -> tuple[int, dict]:
        if self.tokens is None:
            return 400, {"code": 9, "message": "etcdserver: authentication is not enabled"}
        if request["password"] != "right":
            return 400, {"code": 3, "message": "etcdserver: authentication failed, invalid user"}
        self.granted += 1
        self.tokens.append(f"token{self.granted}")
        return 200, {"token": self.tokens[-1]}

    def _kvs(self) -> list[dict]:
        return [
            {
                "key": base64.b64encode(key.encode()).decode(),
                "value": base64.b64encode(value).decode(),
                "create_revision": str(number),
                "mod_revision": str(number),
                "version": "1",
            }
            for number, (key, value) in enumerate(self.history, 2)
        ]

    async def _watch(self, request: dict, writer: asyncio.StreamWriter) -> None:
        header = {"cluster_id": self.cluster_id, "revision": str(self.revision)}
        budget = self.line_cuts.pop(0) if self.line_cuts else -1
        next_revision = int(request["start_revision"])
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        lines = [{"header": header, "created": True}]
        if next_revision < self.compacted:
            lines.append({"canceled": True, "compact_revision": str(self.compacted)})
        data = head + b"".join(chunk(line) for line in lines)
        while True:
            if 0 <= budget <= len(data):
                writer.write(data[:budget])
                await writer.drain()
                writer.close()
                return
            budget -= len(data) if budget >= 0 else 0
            writer.write(data)
            grown = self.grown
            data = b""
            if self.is_streaming:
                kvs = self._kvs()[max(0, next_revision - 2) :]
                next_revision = max(next_revision, self.revision + 1)
                if kvs:
                    data = chunk({"header": header, "events": [{"kv": kv} for kv in kvs]})
            if not data:
                await grown.wait()


def chunk(result: dict) -> bytes:
    line = json.dumps({"result": result}).encode() + b"\n"
    # Split, as the network may: lines and chunks have nothing to do with each other.
    parts = [line[: len(line) // 2], line[len(line) // 2 :]]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def http(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.asynccontextmanager
async def fake_cluster(
    members: Sequence[FakeEtcd], *, timeout_s: float = 5.0, user: str = "", password: str = "right"
) -> AsyncIterator[Gateway]:
    endpoints = tuple([await member.start() for member in members])
    gateway = Gateway(GatewayOptions(endpoints, user=user, password=password, timeout_s=timeout_s))
    try:
        yield gateway
    finally:
        gateway.close()
        for member in members:
            member.stop()
