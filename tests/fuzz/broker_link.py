"""A connection to the broker under test, which knows what each byte sent has to lead to.

What is sent is cut into frames and decoded as the broker should: each request that decodes is
answered, in order; the first that does not ends the connection. An answer that nobody asked for,
that is out of order or does not decode, and an end without a reason, are findings.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from kbroker.handlers import HANDLERS
from tests.fuzz.broker_inputs import Learned, Membership, is_heavy
from wire.api_key import ApiKey
from wire.compiler import decode
from wire.errors import WireError
from wire.frame import read_correlation_id, read_response
from wire.header import read_request_header
from wire.messages import MESSAGES
from wire.messages.api_versions import ApiVersionsResponse
from wire.messages.delete_acls import DeleteAclsRequest
from wire.messages.describe_acls import DescribeAclsRequest
from wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from wire.messages.metadata import MetadataResponse
from wire.messages.produce import ProduceRequest
from wire.schema import Request, Response

MOST_FRAME = 100 << 20
PARKABLE = {ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP, ApiKey.FETCH}
"""Requests that may wait for others, for as long as they say."""


class Expected(NamedTuple):
    key: ApiKey
    version: int
    correlation_id: int
    is_silent: bool = False
    """Produce with acks=0: no answer, or the end where it fails."""
    group: bytes = b""


class Heavy(Exception):
    """What is about to be sent would take the disk for long: it is not."""


class Link(asyncio.Protocol):
    """Mutable. `on_progress` is called when something came, `on_finding` with a line."""

    def __init__(
        self,
        number: int,
        learned: Learned,
        counts: Counter[str],
        on_progress: Callable[[], None],
        on_finding: Callable[[str], None],
    ) -> None:
        self.number = number
        self.expected: deque[Expected] = deque()
        self.is_doomed = False
        self.is_closed = False
        self._left = False
        self._tail = b""
        self._received = bytearray()
        self._learned = learned
        self._counts = counts
        self._on_progress = on_progress
        self._on_finding = on_finding

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, data: bytes) -> None:
        """Send it, and know what is to come of it. Heavy: nothing is sent."""
        if not self.is_doomed:
            self._foresee(data)
        self._transport.write(data)

    def leave(self) -> None:
        self._left = True
        self.is_closed = True
        self._transport.abort()

    @property
    def waits_for_answer(self) -> bool:
        """Whether the next answer is one that may not take long."""
        if self.is_closed:
            return False
        if self.is_doomed and not self.expected:
            return True  # for the end
        head = next((each for each in self.expected if not each.is_silent), None)
        return head is not None and self.expected[0].key not in PARKABLE

    def _foresee(self, data: bytes) -> None:
        stream = self._tail + data
        expected = []
        doomed = False
        position = 0
        while not doomed and position + 4 <= len(stream):
            size = int.from_bytes(stream[position : position + 4], "big", signed=True)
            if not 0 <= size <= MOST_FRAME:
                doomed = True
            elif position + 4 + size > len(stream):
                break
            else:
                answer = _answer_to(stream[position + 4 : position + 4 + size])
                doomed = answer is None
                expected += [answer] if answer is not None else []
                position += 4 + size
        self._tail = stream[position:]
        self.is_doomed = doomed
        self.expected += expected

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= 4:
            size = int.from_bytes(received[:4], "big")
            if len(received) < 4 + size:
                break
            self._take(bytes(received[4 : 4 + size]))
            del received[: 4 + size]
        self._on_progress()

    def _take(self, frame: bytes) -> None:
        correlation_id = read_correlation_id(frame)
        while self.expected:
            head = self.expected.popleft()
            if head.correlation_id == correlation_id and not head.is_silent:
                self._judge(head, frame)
                return
            if not head.is_silent:
                self._on_finding(f"answer {correlation_id} where {head} is due")
                return
        self._on_finding(f"answer {correlation_id}, and nobody asked: {frame[:60].hex()}")

    def _judge(self, head: Expected, frame: bytes) -> None:
        cls: type[Response] = MESSAGES[head.key][1]
        version = head.version
        if cls is ApiVersionsResponse and version not in cls.VERSIONS:
            version = 0
        try:
            _, response = read_response(cls, version, frame)
        except WireError as error:
            self._on_finding(f"the answer to {head} does not decode: {error}: {frame.hex()}")
            return
        self._counts["answered"] += 1
        failed = "error" if getattr(response, "error_code", 0) else "ok"
        self._counts[f"{head.key.name} {failed}"] += 1
        self._learn(head, response)

    def _learn(self, head: Expected, response: Response) -> None:
        if isinstance(response, JoinGroupResponse) and response.member_id:
            member = response.member_id.encode()
            self._learned.joined(Membership(head.group, member, response.generation_id))
        elif isinstance(response, MetadataResponse):
            for topic in response.topics:
                self._learned.saw_topic(topic.topic_id)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        silent = any(each.is_silent for each in self.expected)
        if not self.is_doomed and not self._left and not silent:
            due = self.expected[0] if self.expected else None
            self._on_finding(f"hung up on connection {self.number}, {due} was due")
        self._counts["hung up"] += not self._left
        self._on_progress()


def _answer_to(frame: bytes) -> Expected | None:
    """What a request is answered with; None: the connection ends. Heavy."""
    try:
        header = read_request_header(frame)
        key, version = header.api_key, header.api_version
        row = HANDLERS.get(key)  # type: ignore[call-overload]
        if row is None or version not in row.versions:
            if key != ApiKey.API_VERSIONS:
                return None
            return Expected(ApiKey.API_VERSIONS, version, header.correlation_id)
        request, _ = decode(row.request, version, frame, header.body_position)
    except WireError:
        return None
    if is_heavy(request):
        raise Heavy
    if _is_malformed_as_in_kafka(request):
        return None
    is_silent = isinstance(request, ProduceRequest) and request.acks == 0
    group = request.group_id.encode() if isinstance(request, JoinGroupRequest) else b""
    return Expected(ApiKey(key), version, header.correlation_id, is_silent, group)


def _is_malformed_as_in_kafka(request: Request) -> bool:
    """It decodes, and names what no message can: Kafka hangs up."""
    if isinstance(request, DescribeAclsRequest):
        return request.resource_type_filter == 0
    if isinstance(request, DeleteAclsRequest):
        return any(each.resource_type_filter == 0 for each in request.filters)
    return False
