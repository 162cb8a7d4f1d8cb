"""Asks an etcd cluster over its JSON gateway: several members, one of which is asked at a time.

What a call may come to, whatever the network does:

- an answer, or EtcdError: what was asked for cannot be, as with a lease that is gone;
- StoreUnavailableError, three times the timeout after its turn at the latest: nothing was changed;
- OutcomeUnknownError: a request that may not happen twice was sent, and nobody knows what became
  of it. Reads, and what may happen twice, are asked of another member instead.

Each connection begins with two questions: the member's version, and a key, to see that it knows a
leader, lets this user in, and is of the same etcd cluster as the others. (Its status would say all
that, but newer versions tell it to root alone.) Every request says that a member without a leader
is to refuse it (`hasleader`).

Deliberately not here: client certificates (the gateway cannot authenticate by them), serializable
reads, load balancing. Counterparts: `etcd_http.py` (a connection), `etcd_errors.py` (what refusals
mean), `etcd_store.py`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from dataclasses import dataclass

from kbroker.cluster.etcd_errors import EtcdError, Refusal, error_of, error_of_stream
from kbroker.cluster.etcd_http import (
    MAX_ANSWER_BYTES,
    BrokenConnectionError,
    Endpoint,
    HttpConnection,
)
from kbroker.cluster.etcd_messages import Json, MalformedAnswerError, Message, one_key, version_of
from kbroker.cluster.metadata_store import (
    MetadataStoreError,
    OutcomeUnknownError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)

logger = logging.getLogger(__name__)

OLDEST_VERSIONS = ((3, 5, 28), (3, 6, 9), (3, 7, 0))
"""The first of each line without known losses of data or of watch events."""
MAX_CALLS = 32
"""Requests under way at a time, each on a connection of its own; more wait."""
MAX_WAITING_CALLS = 10_000
WAIT_TIMEOUTS = 10
"""How long a call waits for its turn, in timeouts: that of thousands at once may take seconds."""
ATTEMPTS_WITHIN_TIMEOUTS = 2
"""No attempt begins later than that many timeouts after the first."""
GIVEN_UP_TIMEOUTS = 0.25
"""A caller that gives up after so many has met a silent member: who keeps a lease alive cannot wait
for a whole one, and would come back to the same member until the lease has ended."""
PAUSE_TIMEOUTS = 0.05
"""Between rounds in which no member did anything: elections take a second or two."""
MAX_LINE_BYTES = 512 << 20
"""Of a stream: more than etcd sends at once to a watch that is far behind."""


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How to reach etcd. An empty user: none is named. `tls` None: in the clear. `home`: a key
    that the user may read, and what begins with it.
    """

    endpoints: tuple[Endpoint, ...]
    tls: ssl.SSLContext | None = None
    user: str = ""
    password: str = ""
    allow_old: bool = False
    timeout_s: float = 2.0
    home: str = "/"


class UnansweredError(StoreUnavailableError):
    """A request was sent, and no answer came that says what became of it."""


class Gateway:
    """Mutable: which member is asked, connections, the user's token."""

    def __init__(self, options: GatewayOptions) -> None:
        assert options.endpoints
        self.options = options
        self.version = ""  # of the member that was connected to last
        self._current = 0
        self._idle: list[HttpConnection] = []  # to the current member
        self._busy: dict[HttpConnection, None] = {}
        self._calls = asyncio.Semaphore(MAX_CALLS)
        self._waiting_count = 0
        self._cluster_id = ""
        self._token: str | None = None  # None: to be asked for; "": etcd wants none
        self._is_troubled = False
        self._is_closed = False

    @property
    def endpoint(self) -> Endpoint:
        """The member that is asked now."""
        return self.options.endpoints[self._current]

    def close(self) -> None:
        """Every connection ends; calls under way fail."""
        self._is_closed = True
        for connection in [*self._idle, *self._busy]:
            connection.abort()
        self._idle.clear()

    async def call(
        self, path: str, message: Json, *, is_repeatable: bool, is_urgent: bool = False
    ) -> Message:
        """One answer. `is_repeatable`: it does no harm if it happens twice. `is_urgent`: it does
        not wait for its turn.

        StoreUnavailableError, OutcomeUnknownError, EtcdError.
        """
        if is_urgent:
            return await self._attempts(path, message, is_repeatable)
        if self._waiting_count >= MAX_WAITING_CALLS:
            raise StoreUnavailableError("too many requests to etcd are waiting")
        self._waiting_count += 1
        try:
            async with asyncio.timeout(WAIT_TIMEOUTS * self.options.timeout_s):
                await self._calls.acquire()
        except TimeoutError:
            raise StoreUnavailableError("too many requests to etcd are under way") from None
        finally:
            self._waiting_count -= 1
        try:
            return await self._attempts(path, message, is_repeatable)
        finally:
            self._calls.release()

    async def stream(self, path: str, message: Json) -> Stream:
        """An answer that goes on and on, on a connection of its own. One attempt: after a failed
        one the next member is the current one. StoreUnavailableError, EtcdError.
        """
        endpoint = self.endpoint
        stream: Stream | None = None
        is_open = False
        try:
            async with asyncio.timeout(self.options.timeout_s):
                stream = Stream(self, await self._connect(endpoint))
                await stream.begin(path, self._headers(), _body(message))
            is_open = True
            self._works(endpoint)
            return stream
        except TimeoutError:
            error: MetadataStoreError = _silent(endpoint)
        except (BrokenConnectionError, MalformedAnswerError) as broken:
            error = StoreUnavailableError(f"etcd at {endpoint}: {broken.detail}")
        except MetadataStoreError as refused:
            error = refused
        finally:
            if stream is not None and not is_open:
                stream.close()
        if isinstance(error, EtcdError) and error.refusal is Refusal.TOKEN:
            self.forget_token()
        else:
            self.leave(endpoint, error.detail)
        raise error

    async def _attempts(self, path: str, message: Json, is_repeatable: bool) -> Message:
        loop = asyncio.get_running_loop()
        last_start = loop.time() + ATTEMPTS_WITHIN_TIMEOUTS * self.options.timeout_s
        body = _body(message)
        tried = 0
        has_new_token = False
        while True:
            endpoint, began = self.endpoint, loop.time()
            try:
                answer = await self._attempt(endpoint, path, body)
            except asyncio.CancelledError:
                if loop.time() - began > GIVEN_UP_TIMEOUTS * self.options.timeout_s:
                    self.leave(endpoint, _silent(endpoint).detail)
                raise
            except EtcdError as answered:
                if answered.refusal is Refusal.TOKEN and self.options.user and not has_new_token:
                    self.forget_token()
                    has_new_token = True
                    continue
                error = _judged(answered, is_repeatable)
            except UnansweredError as unanswered:
                if not is_repeatable:
                    self.leave(endpoint, unanswered.detail)
                    raise OutcomeUnknownError(unanswered.detail) from None
                error = unanswered
            except StoreUnavailableError as unavailable:
                error = unavailable
            else:
                self._works(endpoint)
                return answer
            self.leave(endpoint, error.detail)
            tried += 1
            if tried % len(self.options.endpoints) == 0:
                if isinstance(error, StoreRefusedError):
                    raise error
                await asyncio.sleep(PAUSE_TIMEOUTS * self.options.timeout_s)
            if self._is_closed or loop.time() > last_start:
                raise error

    async def _attempt(self, endpoint: Endpoint, path: str, body: bytes) -> Message:
        """UnansweredError: it was sent. Any other StoreUnavailableError: it was not."""
        connection: HttpConnection | None = None
        try:
            async with asyncio.timeout(self.options.timeout_s):
                connection = self._idle_connection() or await self._connect(endpoint)
                return _parsed(*await connection.ask(path, self._headers(), body))
        except TimeoutError:
            error: StoreUnavailableError = _silent(endpoint)
        except (BrokenConnectionError, MalformedAnswerError) as broken:
            error = StoreUnavailableError(f"etcd at {endpoint}: {broken.detail}")
        finally:
            if connection is not None:
                self._give_back(connection)
        raise error if connection is None else UnansweredError(error.detail)

    # Connections

    def _headers(self) -> list[tuple[str, str]]:
        token = [("Authorization", self._token)] if self._token else []
        return [("Grpc-Metadata-hasleader", "true"), *token]

    def leave(self, endpoint: Endpoint, reason: str) -> None:
        """That member is not asked again before all others were."""
        if not self._is_troubled and not self._is_closed:
            logger.warning("etcd at %s does not serve: %s", endpoint, reason)
            self._is_troubled = True
        if endpoint == self.endpoint:
            self._current = (self._current + 1) % len(self.options.endpoints)
            for connection in self._idle:
                connection.abort()
            self._idle.clear()

    def forget_token(self) -> None:
        self._token = None

    def release(self, connection: HttpConnection) -> None:
        """It is not needed any more, and not kept."""
        self._busy.pop(connection, None)
        connection.abort()

    def _works(self, endpoint: Endpoint) -> None:
        if self._is_troubled:
            logger.info("etcd at %s serves", endpoint)
            self._is_troubled = False

    def _idle_connection(self) -> HttpConnection | None:
        if self.options.user and self._token is None:
            return None  # a new one begins with the token
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                self._busy[connection] = None
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: HttpConnection) -> None:
        if connection.is_usable and connection.endpoint == self.endpoint and not self._is_closed:
            self._busy.pop(connection, None)
            self._idle.append(connection)
        else:
            self.release(connection)

    async def _connect(self, endpoint: Endpoint) -> HttpConnection:
        """A connection to a member that may be used. StoreUnavailableError, BrokenConnectionError,
        MalformedAnswerError; EtcdError: the token is not valid any more.
        """
        if self._is_closed:
            raise StoreUnavailableError("the metadata store is closed")
        connection = await HttpConnection.open(endpoint, self.options.tls)
        self._busy[connection] = None
        is_sound = False
        try:
            if self.options.user and self._token is None:
                self._token = await self._authenticate(connection)
            version = _parsed(*await connection.ask("/version", [], b"", method="GET"))
            self._check_version(endpoint, version.text("etcdserver"))
            probe = _body({**one_key(self.options.home), "count_only": True, "serializable": True})
            answer = _parsed(*await connection.ask("/v3/kv/range", self._headers(), probe))
            self._check_cluster(endpoint, answer.message("header").text("cluster_id"))
            is_sound = True
            return connection
        except EtcdError as error:
            if error.refusal is Refusal.TOKEN:
                raise
            # What was to be asked on this connection was not: whatever it is, nothing was changed.
            raise _judged(error, is_repeatable=True) from None
        finally:
            if not is_sound:
                self.release(connection)

    async def _authenticate(self, connection: HttpConnection) -> str:
        request = _body({"name": self.options.user, "password": self.options.password})
        try:
            token = _parsed(*await connection.ask("/v3/auth/authenticate", [], request))
        except EtcdError as error:
            if "authentication is not enabled" in error.detail:
                return ""  # the user may be configured before etcd wants one
            raise
        text = token.text("token")
        if not text.isascii() or not text.isprintable():
            raise MalformedAnswerError("a token that is no text")
        return text

    def _check_version(self, endpoint: Endpoint, version: str) -> None:
        if not self.options.allow_old and _is_old(version):
            raise StoreRefusedError(
                f"etcd {version} at {endpoint} is known to lose data or watch events: use 3.5.28,"
                " 3.6.9, 3.7.0 or later, or set kbroker.metadata.etcd.allow.old=true"
            )
        self.version = version

    def _check_cluster(self, endpoint: Endpoint, cluster_id: str) -> None:
        if self._cluster_id and cluster_id != self._cluster_id:
            raise StoreRefusedError(
                f"etcd at {endpoint} is of another etcd cluster than the others that are named"
            )
        self._cluster_id = cluster_id


class Stream:
    """The lines of an answer that has no end, each one message. Mutable."""

    def __init__(self, gateway: Gateway, connection: HttpConnection) -> None:
        self.endpoint = connection.endpoint
        self._gateway = gateway
        self._connection = connection
        self._rest = bytearray()
        self._searched = 0

    async def begin(self, path: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """EtcdError, BrokenConnectionError, MalformedAnswerError."""
        status = await self._connection.begin(path, headers, body)
        if status != 200:
            answer = bytearray()
            while chunk := await self._connection.next_chunk():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise BrokenConnectionError("an answer without an end")
            _parsed(status, bytes(answer))

    async def next(self) -> Message:
        """The next message. EtcdError: what the server ended it with. StoreUnavailableError: it
        ended otherwise. A caller that is cancelled loses nothing.
        """
        try:
            message = Message.parse(await self._next_line())
            if "error" in message:
                raise error_of_stream(message)
            return message.message("result")
        except (BrokenConnectionError, MalformedAnswerError) as error:
            raise StoreUnavailableError(f"etcd at {self.endpoint}: {error.detail}") from None

    async def _next_line(self) -> bytes:
        while (end := self._rest.find(b"\n", self._searched)) < 0:
            self._searched = len(self._rest)
            chunk = await self._connection.next_chunk()
            if not chunk:
                raise BrokenConnectionError("the stream ended")
            self._rest += chunk
            if len(self._rest) > MAX_LINE_BYTES:
                raise BrokenConnectionError("a line without an end")
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        self._searched = 0
        return line

    def close(self) -> None:
        self._gateway.release(self._connection)


def _body(message: Json) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _parsed(status: int, answer: bytes) -> Message:
    """EtcdError where it says that it was not done; MalformedAnswerError."""
    if status == 200:
        message = Message.parse(answer)
        if "error" in message:
            raise error_of_stream(message)
        return message
    try:
        message = Message.parse(answer)
    except MalformedAnswerError:
        message = Message({})
    if message.integer("code") == 0:
        raise MalformedAnswerError(f"HTTP status {status}")
    raise error_of(message)


def _judged(error: EtcdError, is_repeatable: bool) -> StoreUnavailableError:
    """What justifies another attempt; raises where there should be none."""
    match error.refusal:
        case Refusal.TOKEN | Refusal.NEVER:
            return StoreRefusedError(error.detail)
        case Refusal.ELSEWHERE:
            return StoreUnavailableError(error.detail)
        case Refusal.FULL:
            raise StoreFullError(error.detail)
        case Refusal.UNKNOWN if is_repeatable:
            return StoreUnavailableError(error.detail)
        case Refusal.UNKNOWN:
            raise OutcomeUnknownError(error.detail)
        case _:
            raise error


def _silent(endpoint: Endpoint) -> StoreUnavailableError:
    return StoreUnavailableError(f"etcd at {endpoint}: no answer in time")


def _is_old(version: str) -> bool:
    found = version_of(version)
    of_line = [oldest for oldest in OLDEST_VERSIONS if oldest[:2] == found[:2]]
    return found < (of_line[0] if of_line else OLDEST_VERSIONS[-1])
