"""What a scenario sees: it sends requests, good and bad, and keeps each with its answer.

An answer may also be a closed connection, or none at all (Produce with acks=0). Steps under a
`setup_` method are not recorded: they bring the broker to where the scenario begins, and wait for
it to be stable there, because Apache Kafka answers CreateTopics before its leaders serve.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tools.record.connection import Closed, Connection
from tools.record.normalise import Normaliser
from tools.record.text import Symbol, Tree, inline
from tools.record.tree import message_tree
from wire.compiler import decode
from wire.errors import ErrorCode
from wire.messages.api_versions import ApiVersionsRequest
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.find_coordinator import FindCoordinatorRequest
from wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from wire.schema import Request, Response

CLOSED = Symbol("closed")
NO_ANSWER = Symbol("none")
PASSING = {
    "LEADER_NOT_AVAILABLE",
    "UNKNOWN_TOPIC_OR_PARTITION",
    "UNKNOWN_TOPIC_ID",
    "NOT_LEADER_OR_FOLLOWER",
    "NOT_COORDINATOR",
    "COORDINATOR_NOT_AVAILABLE",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "CONCURRENT_TRANSACTIONS",
}
"""Errors that a broker answers while it is not ready yet."""
MAX_TRIES = 500
BETWEEN_TRIES_S = 0.02
MAX_SHOWN_BODY_BYTES = 64


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, normalised. `head` names API, version and connection."""

    title: str
    head: str
    request: Tree
    answer: Tree


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that was sent and whose answer has not been read."""

    title: str
    head: str
    request: Tree
    answer_type: type[Response]
    version: int
    correlation_id: int
    on: str


class Player:
    """Plays one scenario against the broker at `host`:`port`."""

    def __init__(self, host: str, port: int) -> None:
        self.now_ms = time.time_ns() // 1_000_000
        self.exchanges: list[Exchange] = []
        self._address = host, port
        self._connections: dict[str, Connection] = {}
        self._normaliser = Normaliser(host, port, self.now_ms)
        self._titles: set[str] = set()

    # What is recorded

    def send(
        self, title: str, request: Request, version: int, *, on: str = "", settled: bool = False
    ) -> Response | None:
        """Send a request and keep the exchange; None when the connection was closed instead.

        `on` names a connection, made at its first use. `settled` repeats the request until its
        answer has no passing error, and keeps only the last exchange.
        """
        if settled:
            self.setup_send(request, version)
        return self.finish(self.begin(title, request, version, on=on))

    def begin(self, title: str, request: Request, version: int, *, on: str = "") -> Pending:
        """Send a request and do not wait; `finish` reads the answer and keeps the exchange.

        Without a title it is not kept: the answer only teaches the names in it.
        """
        correlation_id = self._connection(on).send_request(request, version)
        tree = self._normaliser.request(message_tree(request, version))
        head = _head(type(request).__name__.removesuffix("Request"), version, on)
        answer_type = answer_type_of(type(request))
        return Pending(title, head, tree, answer_type, version, correlation_id, on)

    def finish(self, pending: Pending) -> Response | None:
        """Read the answer to a request begun; answers come in the order of the requests."""
        try:
            answer = self._receive(pending)
        except Closed:
            self._drop(pending.on)
            self._keep(pending.title, pending.head, pending.request, CLOSED)
            return None
        tree = self._normaliser.answer(message_tree(answer, _answer_version(answer, pending)))
        self._keep(pending.title, pending.head, pending.request, tree)
        return answer

    def send_without_answer(self, title: str, request: Request, version: int) -> None:
        """Send a request that wants no answer: the next answer on the connection is another's."""
        connection = self._connection("")
        sent = self.begin(title, request, version)
        probe = connection.send_request(
            ApiVersionsRequest(client_software_name="", client_software_version=""), 0
        )
        answer: Tree = NO_ANSWER
        try:
            correlation_id, _ = connection.receive()
            if correlation_id != probe:
                assert correlation_id == sent.correlation_id
                answer = Symbol("an answer")
                connection.receive()
        except Closed:
            self._drop("")
            answer = CLOSED
        self._keep(title, sent.head, sent.request, answer)

    def send_body(
        self,
        title: str,
        request_type: type[Request],
        version: int,
        body: bytes,
    ) -> Response | None:
        """Send a body of any bytes under a sound header."""
        flexible = version in request_type.FLEXIBLE
        connection = self._connection("")
        correlation_id = connection.send_body(
            int(request_type.API_KEY), version, body, flexible=flexible
        )
        head = _head(request_type.__name__.removesuffix("Request"), version, "")
        tree: Tree = {"body": _hexadecimal(body)}
        answer_type = answer_type_of(request_type)
        return self.finish(Pending(title, head, tree, answer_type, version, correlation_id, ""))

    def send_unknown(self, title: str, api_key: int, version: int, body: bytes = b"") -> None:
        """Send a request of an API or version that has no message here; only closing is known."""
        connection = self._connection("")
        connection.send_body(api_key, version, body, flexible=False)
        self._keep_closed(title, f"api key {api_key} v{version}", body, connection)

    def send_bytes(self, title: str, data: bytes) -> None:
        """Send bytes that are no frame, or an odd one; only whether it is answered is kept."""
        connection = self._connection("")
        connection.send_bytes(data)
        self._keep_closed(title, "bytes", data, connection)

    # What is not recorded

    def setup_send(self, request: Request, version: int) -> Response:
        """Repeat a request until its answer has no passing error, and learn the ids in it."""
        for _ in range(MAX_TRIES):
            answer = self._ask(request, version)
            tree = message_tree(answer, version)
            if not PASSING & _errors(tree):
                self._normaliser.answer(tree)
                return answer
            time.sleep(BETWEEN_TRIES_S)  # Only Apache Kafka needs it: kbroker is ready at once.
        raise AssertionError(f"not stable: {answer}")

    def setup_until(
        self, request: Request, version: int, is_reached: Callable[[str], bool]
    ) -> None:
        """Repeat a request until the text of its answer, in one line, is the wanted one."""
        for _ in range(MAX_TRIES):
            answer = inline(message_tree(self._ask(request, version), version))
            if is_reached(answer):
                return
            time.sleep(BETWEEN_TRIES_S)
        raise AssertionError(f"never came about, last: {answer}")

    def setup_topic(self, name: str, partitions: int = 1, **configs: str) -> bytes:
        """Create a topic, wait until it serves, and return its id.

        Configs are given with underscores for dots: `max_message_bytes="1000"`.
        """
        created = self._ask(
            CreateTopicsRequest(
                topics=[
                    CreatableTopic(
                        name=name,
                        num_partitions=partitions,
                        replication_factor=1,
                        assignments=[],
                        configs=[
                            CreatableTopicConfig(name=key.replace("_", "."), value=value)
                            for key, value in configs.items()
                        ],
                    )
                ],
                timeout_ms=10_000,
                validate_only=False,
            ),
            7,
        )
        assert isinstance(created, CreateTopicsResponse)
        topic = created.topics[0]
        assert topic.error_code == ErrorCode.NONE, f"a fresh broker is needed: {created}"
        self._normaliser.learn_topic(name, topic.topic_id)
        self.setup_serving(name, partitions)
        return topic.topic_id

    def setup_offsets_topic(self) -> None:
        """The first question for a group's coordinator makes the internal topic of offsets."""
        self.setup_send(FindCoordinatorRequest(key="setup"), 0)

    def setup_serving(self, name: str, partitions: int = 1) -> None:
        """Wait until the leaders of a topic's partitions serve."""
        self.setup_send(
            ListOffsetsRequest(
                replica_id=-1,
                isolation_level=0,
                topics=[
                    ListOffsetsTopic(
                        name=name,
                        partitions=[
                            ListOffsetsPartition(
                                partition_index=index, current_leader_epoch=-1, timestamp=-1
                            )
                            for index in range(partitions)
                        ],
                    )
                ],
            ),
            4,
        )

    def setup_gone(self, name: str) -> None:
        """Wait until a deleted topic is gone from the broker's own view."""
        request = MetadataRequest(
            topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False
        )
        for _ in range(MAX_TRIES):
            answer = self._ask(request, 9)
            assert isinstance(answer, MetadataResponse)
            if answer.topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                return
            time.sleep(BETWEEN_TRIES_S)
        raise AssertionError(f"{name} is still there")

    def only_topics(self, *names: str) -> None:
        """Keep only these topics in answers that list all: a broker has other scenarios' too."""
        self._normaliser.only_topics = frozenset(names)

    def only_groups(self, *names: str) -> None:
        """Keep only these groups in answers that list all."""
        self._normaliser.only_groups = frozenset(names)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    # Below

    def _ask(self, request: Request, version: int) -> Response:
        pending = self.begin("", request, version, on="setup")
        return self._receive(pending)

    def _receive(self, pending: Pending) -> Response:
        correlation_id, data = self._connection(pending.on).receive()
        assert correlation_id == pending.correlation_id, "answers out of order"
        answer_type, version = pending.answer_type, pending.version
        # ApiVersions is answered before the versions are known: its header is always version 0.
        is_api_versions = answer_type.__name__ == "ApiVersionsResponse"
        position = 0
        if version in answer_type.FLEXIBLE and not is_api_versions:
            assert data[0] == 0, "tagged fields in a response header"
            position = 1
        if is_api_versions and data[:2] == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big"):
            version = 0
        answer, end = decode(answer_type, version, data, position)
        assert end == len(data), f"{len(data) - end} bytes follow the answer"
        return answer

    def _keep(self, title: str, head: str, request: Tree, answer: Tree) -> None:
        if not title:
            return
        assert title not in self._titles, f"two steps are called {title!r}"
        self._titles.add(title)
        self.exchanges.append(Exchange(title, head, request, answer))

    def _keep_closed(self, title: str, head: str, data: bytes, connection: Connection) -> None:
        answer = CLOSED
        try:
            correlation_id, _ = connection.receive()
            answer = Symbol(f"an answer to request {correlation_id}")
        except Closed:
            self._drop("")
        self._keep(title, head, {"bytes": _hexadecimal(data)}, answer)

    def _connection(self, name: str) -> Connection:
        if name not in self._connections:
            self._connections[name] = Connection(*self._address)
        return self._connections[name]

    def _drop(self, name: str) -> None:
        self._connections.pop(name).close()


def answer_type_of(request_type: type[Request]) -> type[Response]:
    """The Response class that stands beside a Request class."""
    module = sys.modules[request_type.__module__]
    found: type[Response] = getattr(
        module, request_type.__name__.removesuffix("Request") + "Response"
    )
    return found


def _answer_version(answer: Response, pending: Pending) -> int:
    refused = getattr(answer, "error_code", 0) == ErrorCode.UNSUPPORTED_VERSION
    return (
        0
        if refused and pending.answer_type.__name__ == "ApiVersionsResponse"
        else (pending.version)
    )


def _head(name: str, version: int, on: str) -> str:
    return f"{name} v{version}" + (f" on connection {on!r}" if on else "")


def _hexadecimal(data: bytes) -> str:
    if len(data) <= MAX_SHOWN_BODY_BYTES:
        return data.hex(" ")
    return f"{data[:MAX_SHOWN_BODY_BYTES].hex(' ')} ... ({len(data)} bytes)"


def _errors(tree: Tree) -> set[str]:
    if isinstance(tree, dict):
        found = {str(v) for k, v in tree.items() if k.endswith("error_code")}
        return found.union(*(_errors(value) for value in tree.values()))
    if isinstance(tree, list):
        return set().union(*(_errors(value) for value in tree))
    return set()
