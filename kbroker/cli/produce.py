"""`kbroker produce`: each line of standard input, or of files, becomes a record."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from kbroker.cli.completion import complete_topic
from kbroker.cli.connection import (
    CommandError,
    Target,
    explain,
    give_up,
    open_admin,
    open_producer,
    remote,
    retried,
)
from kbroker.cli.progress import Advance, progress
from kbroker.cli.record_lines import LineError, OutgoingRecord, read_json_line, read_plain_line
from kbroker.cli.topic_names import find_partitions

if TYPE_CHECKING:
    from kafka.producer.future import FutureRecordMetadata

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LINGER_MS = 5
"""So long a record waits for others in its batch: lines of a file share one, a person sees no
difference."""
BATCH_BYTES = 128 * 1024
MOST_REQUEST_BYTES = 64 * 1024 * 1024
"""The broker judges how large a record may be, not the client."""
PENDING_BYTES = 64 * 1024 * 1024
PENDING_RECORDS = 50_000
"""What may be on its way at a time."""


@click.command("produce")
@click.argument("topic", shell_complete=complete_topic)
@click.option(
    "-f",
    "--file",
    "paths",
    type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True),
    multiple=True,
    help="A file of lines instead of standard input; may repeat.",
)
@click.option("-k", "--key-separator", metavar="TEXT", help="Between key and value in a line.")
@click.option(
    "-H", "--header", "headers", metavar="NAME=VALUE", multiple=True, help="On every record."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["lines", "json"]),
    default="lines",
    show_default=True,
    help="json: what `consume --format json` prints.",
)
@click.option("-p", "--partition", type=click.IntRange(min=0), help="[default: by key, or any]")
@click.option("--codec", type=click.Choice(CODECS), default="none", show_default=True)
@click.option("--acks", type=click.Choice(["0", "1", "all"]), default="all", show_default=True)
@click.option(
    "--idempotent/--no-idempotent",
    default=None,
    help="A retried batch is stored once.  [default: with --acks all]",
)
@click.option("--create", is_flag=True, help="Create the topic if there is none.")
@remote
def command(
    target: Target,
    *,
    topic: str,
    paths: tuple[str, ...],
    key_separator: str | None,
    headers: tuple[str, ...],
    form: str,
    partition: int | None,
    codec: str,
    acks: str,
    idempotent: bool | None,
    create: bool,
) -> int:
    """Send each line of standard input, or of files, to TOPIC as a record.

    It ends when every record is acknowledged; the first that is not ends it with status 1, when
    those before it are.
    """
    if idempotent and acks != "all":
        raise click.UsageError("--idempotent needs --acks all")
    if form == "json" and key_separator is not None:
        raise click.UsageError("--key-separator is for --format lines")
    same_headers = split_headers(headers)
    ensure_topic(target, topic, partition, create=create)
    separator = None if key_separator is None else unescape(key_separator)

    def read(line: bytes) -> OutgoingRecord:
        return read_json_line(line) if form == "json" else read_plain_line(line, separator)

    with ExitStack() as stack:
        inputs = [
            (path, cast(BinaryIO, stack.enter_context(click.open_file(path, "rb"))))
            for path in paths or ("-",)
        ]
        advance = stack.enter_context(
            progress(
                "sending",
                total=total_bytes([stream for _, stream in inputs]),
                in_bytes=True,
                wanted=not any(stream.isatty() for _, stream in inputs),
            )
        )
        sender = Sender(
            target,
            topic,
            partition,
            same_headers,
            acks="all" if acks == "all" else int(acks),
            compression_type=None if codec == "none" else codec,
            enable_idempotence=acks == "all" if idempotent is None else idempotent,
        )
        stack.callback(sender.close)
        if not paths and sys.stdin.isatty() and sys.stderr.isatty():
            click.echo(f"kbroker: a record of {topic} a line; Ctrl-D ends", err=True)
        try:
            for line, place in read_lines(inputs, advance):
                sender.send(parse(read, line, place), place)
        except BadLineError:
            sender.finish()  # what stands before it is sent all the same
            raise
        sender.finish()
    if sys.stderr.isatty():
        count = sender.acknowledged
        words = "record is" if count == 1 else "records are"
        click.echo(f"kbroker: {count} {words} in {topic}", err=True)
    return 0


class BadLineError(CommandError):
    """A line that is no record; the broker was not asked."""


def parse(read: Callable[[bytes], OutgoingRecord], line: bytes, place: str) -> OutgoingRecord:
    """The record of a line; BadLineError that says which line is none."""
    try:
        return read(line)
    except LineError as error:
        raise BadLineError(f"{place}: {error}") from None


def ensure_topic(target: Target, topic: str, partition: int | None, *, create: bool) -> None:
    """CommandError unless topic and partition are there; a mistyped name creates nothing."""
    name = topic if partition is None else f"{topic}:{partition}"
    with open_admin(target) as admin:
        if create:
            answer = admin.create_topics(
                {topic: {}}, timeout_ms=target.timeout_ms, raise_errors=False
            )
            if answer["topics"][0]["error_code"] == 0:
                admin.wait_for_topics([topic], timeout_ms=target.timeout_ms)
        try:
            retried(target, lambda: find_partitions(admin, [name]))
        except CommandError as error:
            hint = "; to create it add --create" if str(error).startswith("there is no") else ""
            raise CommandError(f"{error}{hint}") from None


def split_headers(headers: Sequence[str]) -> tuple[tuple[str, bytes], ...]:
    """`NAME=VALUE` each; BadParameter."""
    found = []
    for text in headers:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"expected NAME=VALUE, found {text!r}")
        found.append((name, value.encode(errors="surrogateescape")))
    return tuple(found)


def unescape(text: str) -> bytes:
    r"""A separator as typed: `\t`, `\n`, `\0` and `\\` are what they are elsewhere."""
    if not text:
        raise click.BadParameter("the key separator is empty")
    known = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}
    characters = iter(text)
    words = [
        known.get(each := next(characters, "\\"), f"\\{each}") if character == "\\" else character
        for character in characters
    ]
    return "".join(words).encode(errors="surrogateescape")


def total_bytes(streams: Sequence[BinaryIO]) -> int | None:
    """How much there is to read; None if one of them is a pipe or a terminal."""
    total = 0
    for stream in streams:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total


def read_lines(
    inputs: Iterable[tuple[str, BinaryIO]], advance: Advance
) -> Iterator[tuple[bytes, str]]:
    """Each line without its end, as soon as it is there, and its place for a message.

    BadLineError where a line is longer than any record: it is not read to its end.
    """
    for path, stream in inputs:
        name = "standard input" if path == "-" else path
        lines = iter(partial(stream.readline, MOST_REQUEST_BYTES + 1), b"")
        for number, line in enumerate(lines, 1):
            place = f"{name}, line {number}"
            if len(line) > MOST_REQUEST_BYTES:
                raise BadLineError(f"{place}: longer than {MOST_REQUEST_BYTES >> 20} MiB")
            advance(len(line))
            yield line.removesuffix(b"\n").removesuffix(b"\r"), place


class Sender:
    """Sends records to one topic. Mutable: keeps what is not acknowledged yet, within limits.

    kafka-python itself would buffer a whole file, however large.
    """

    def __init__(
        self,
        target: Target,
        topic: str,
        partition: int | None,
        headers: tuple[tuple[str, bytes], ...],
        **settings: object,
    ) -> None:
        self.acknowledged = 0
        self._target = target
        self._topic = topic
        self._partition = partition
        self._headers = headers
        self._pending: deque[tuple[FutureRecordMetadata, int, str]] = deque()
        self._pending_bytes = 0
        self._producer = open_producer(
            target,
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            max_request_size=MOST_REQUEST_BYTES,
            request_timeout_ms=target.timeout_ms,
            delivery_timeout_ms=target.timeout_ms + LINGER_MS,
            **settings,
        )

    def send(self, record: OutgoingRecord, place: str) -> None:
        """Hand it to the client, which sends it soon. CommandError, for an earlier one as well."""
        from kafka.errors import KafkaError

        size = len(record.key or b"") + len(record.value or b"")
        try:
            future = self._producer.send(
                self._topic,
                key=record.key,
                value=record.value,
                headers=[*self._headers, *record.headers],
                partition=record.partition if self._partition is None else self._partition,
                timestamp_ms=record.timestamp_ms,
            )
        except (ValueError, TypeError, AssertionError) as error:
            # What kafka-python cannot send: neither key nor value, a header that is null.
            raise BadLineError(f"{place}: {error}") from None
        except KafkaError as error:
            raise CommandError(f"{place}: {explain(error, self._target)}") from None
        self._pending.append((future, size, place))
        self._pending_bytes += size
        while self._pending and (
            self._pending[0][0].is_done
            or len(self._pending) > PENDING_RECORDS
            or self._pending_bytes > PENDING_BYTES
        ):
            self._await_oldest()

    def finish(self) -> None:
        """Wait until all is acknowledged. CommandError."""
        while self._pending:
            self._await_oldest()

    def close(self) -> None:
        """Give up the connection, and what is not acknowledged."""
        give_up(self._producer)

    def _await_oldest(self) -> None:
        from kafka.errors import KafkaError

        future, size, place = self._pending.popleft()
        self._pending_bytes -= size
        try:
            future.get(timeout=2 * self._target.timeout_s)
        except KafkaError as error:
            raise CommandError(f"{place}: {explain(error, self._target)}") from None
        self.acknowledged += 1
