"""Clients of kafka-python for the commands: bounded waits, and failures that are one line.

`remote` makes a command of a function that is given a `Target`; `open_admin`, `open_producer` and
`open_consumer` connect to it. kafka-python's own log is silenced: what went wrong is said once.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from wire.errors import ErrorCode

if TYPE_CHECKING:
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient
    from kafka.protocol.api_message import ApiMessage

T = TypeVar("T")

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
BOOTSTRAP_VARIABLE = "KBROKER_BOOTSTRAP"
DEFAULT_TIMEOUT_S = 10.0
MOST_TO_CONNECT_S = 5.0
"""A broker that just starts is there within this; one that is not is said to be dead."""
RETRY_PAUSE_S = 0.1
CLIENT_ID = "kbroker"
PASSING_ERRORS = frozenset({5, 6, 14, 15, 16})
"""Error codes of what is not ready yet: a leader or a coordinator that is being chosen or loaded.
kafka-python's admin client asks once."""
WORDS = {
    "INVALID_GROUP_ID": "not a name for a group",
    "INVALID_TOPIC_EXCEPTION": "not a name for a topic",
    "MESSAGE_TOO_LARGE": "the record is larger than max.message.bytes",
    "NON_EMPTY_GROUP": "it has members: stop them first",
    "UNKNOWN_MEMBER_ID": "it has members: stop them first",
    "UNSUPPORTED_VERSION": "the broker does not know this request",
}
"""For errors that people meet, shorter than what kafka-python says of them."""
BROKEN_PIPE_STATUS = 141
"""What the shell reports of a program that SIGPIPE ended."""


class CommandError(Exception):
    """Why a command did not do what it was asked: one line for people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which broker, and how long to wait for each of its answers."""

    bootstrap: str
    timeout_s: float

    @property
    def timeout_ms(self) -> int:
        return int(self.timeout_s * 1000)

    @property
    def connect_timeout_ms(self) -> int:
        return int(min(self.timeout_s, MOST_TO_CONNECT_S) * 1000)


def check_bootstrap(
    context: click.Context | None, parameter: click.Parameter | None, value: str
) -> str:
    """The value of --bootstrap, one or more HOST:PORT; BadParameter."""
    for address in value.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise click.BadParameter(f"expected HOST:PORT, found {address!r}", context, parameter)
    return value


def remote(command: Callable[..., int]) -> Callable[..., int]:
    """Adds --bootstrap and --timeout, gives `command` a Target first, reports failures."""

    @click.option(
        "--bootstrap",
        metavar="HOST:PORT",
        envvar=BOOTSTRAP_VARIABLE,
        default=DEFAULT_BOOTSTRAP,
        show_default=True,
        show_envvar=True,
        callback=check_bootstrap,
        help="The broker, or several with commas between.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0.1, max=3600),
        metavar="SECONDS",
        default=DEFAULT_TIMEOUT_S,
        show_default=True,
        help="How long to wait for each answer.",
    )
    @functools.wraps(command)
    def run(*, bootstrap: str, timeout: float, **options: object) -> int:
        target = Target(bootstrap, timeout)
        return reporting(lambda: command(target, **options), target)

    return run


def reporting(run: Callable[[], int], target: Target) -> int:
    """Its exit status; 1 and one line on standard error for a failure; quiet on a broken pipe."""
    from kafka.errors import KafkaError

    try:
        return run()
    except CommandError as error:
        return refuse(str(error))
    except KafkaError as error:
        return refuse(explain(error, target))
    except BrokenPipeError:
        return end_quietly()


def refuse(message: str) -> int:
    """Say why on standard error, in one line; the exit status."""
    click.echo(f"kbroker: {' '.join(message.split())}", err=True)
    return 1


def end_quietly() -> int:
    """Whoever read our output has gone: what is left of it goes nowhere, without a complaint."""
    with click.open_file(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return BROKEN_PIPE_STATUS


def explain(error: Exception, target: Target) -> str:
    """A failure of kafka-python's in words for people."""
    from kafka.errors import (
        BrokerResponseError,
        KafkaConnectionError,
        KafkaTimeoutError,
        NodeNotReadyError,
        UnknownBrokerIdError,
    )

    if isinstance(error, BrokerResponseError):
        return explain_code(int(error.errno))
    if isinstance(error, UnknownBrokerIdError):
        return "a partition has no leader: the brokers that may lead it are not there"
    if isinstance(error, KafkaTimeoutError | KafkaConnectionError | NodeNotReadyError):
        return f"the broker at {target.bootstrap} does not answer"
    words = str(error.args[0]) if error.args else ""
    return words or type(error).__name__


def explain_code(code: int, message: str | None = None) -> str:
    """Kafka's error in words: the broker's own if it sent some, and Kafka's name of the code."""
    from kafka.errors import for_code

    try:
        name = ErrorCode(code).name
    except ValueError:
        name = f"error {code}"
    words = str(message or WORDS.get(name) or for_code(code).description or "refused")
    return f"{words.strip().rstrip('.')} ({name})"


@contextmanager
def open_admin(target: Target) -> Iterator[KafkaAdminClient]:
    """An admin client, connected. CommandError if no broker answers."""
    from kafka.admin import KafkaAdminClient

    client = connecting(
        target,
        lambda: KafkaAdminClient(
            bootstrap_servers=target.bootstrap.split(","),
            client_id=CLIENT_ID,
            bootstrap_timeout_ms=target.connect_timeout_ms,
            request_timeout_ms=target.timeout_ms,
            reconnect_backoff_max_ms=500,
        ),
    )
    try:
        yield client
    finally:
        client.close()


def open_producer(target: Target, **settings: object) -> KafkaProducer:
    """A producer, connected; the caller closes it. CommandError if no broker answers."""
    from kafka import KafkaProducer

    return connecting(
        target,
        lambda: KafkaProducer(
            bootstrap_servers=target.bootstrap.split(","),
            client_id=CLIENT_ID,
            bootstrap_timeout_ms=target.connect_timeout_ms,
            max_block_ms=target.timeout_ms,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **settings,
        ),
    )


def give_up(producer: KafkaProducer) -> None:
    """Close it at once. What is not acknowledged is lost: whoever wants it has waited before.

    kafka-python 3.0 raises here where something is unacknowledged, does not close, and complains
    again when the object goes.
    """
    from kafka.errors import KafkaTimeoutError

    try:
        producer.close(timeout=0)
    except KafkaTimeoutError:
        producer._sender.force_close()
        producer._closed = True


def open_consumer(target: Target, **settings: object) -> KafkaConsumer:
    """A consumer, connected; the caller closes it. CommandError if no broker answers."""
    from kafka import KafkaConsumer

    return connecting(
        target,
        lambda: KafkaConsumer(
            bootstrap_servers=target.bootstrap.split(","),
            client_id=CLIENT_ID,
            bootstrap_timeout_ms=target.connect_timeout_ms,
            allow_auto_create_topics=False,
            exclude_internal_topics=False,
            metrics_enabled=False,
            **settings,
        ),
    )


def connecting(target: Target, connect: Callable[[], T]) -> T:
    """What `connect` gives. CommandError in place of kafka-python's timeout."""
    from kafka.errors import KafkaError

    logging.getLogger("kafka").setLevel(logging.CRITICAL + 1)
    try:
        return connect()
    except (KafkaError, OSError):
        raise CommandError(f"no broker answers at {target.bootstrap}") from None


def send(admin: KafkaAdminClient, request: ApiMessage, node_id: int | None = None) -> ApiMessage:
    """The broker's answer to a request as kafka-python declares it.

    For what its admin client leaves out: the error of each resource in an answer about settings,
    and the defaults of all brokers. Its one door to requests is private; the version is pinned.
    """
    manager = admin._manager
    return manager.run(manager.send, request, node_id)


def retried(target: Target, ask: Callable[[], T]) -> T:
    """What `ask` gives; asked again while a coordinator or a leader is not ready yet, or while
    others take over what a broker led that is gone."""
    from kafka.errors import (
        BrokerResponseError,
        KafkaConnectionError,
        NodeNotReadyError,
        UnknownBrokerIdError,
    )

    deadline = steady_s() + target.timeout_s
    while True:
        try:
            return ask()
        except BrokerResponseError as error:
            if error.errno not in PASSING_ERRORS or steady_s() > deadline:
                raise
        except (KafkaConnectionError, NodeNotReadyError, UnknownBrokerIdError):
            if steady_s() > deadline:
                raise
        time.sleep(RETRY_PAUSE_S)


def steady_s() -> float:
    """A clock for waits: it never steps back."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Wait that long."""
    time.sleep(seconds)
