"""`kbroker consume`: print the records of a topic, to its end or for ever.

Without a group it reads all partitions, or those named, from the place given; with one it is a
member like any other and reads on where the group is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from kbroker.cli.completion import complete_group, complete_topic
from kbroker.cli.connection import (
    CommandError,
    Target,
    open_admin,
    open_consumer,
    remote,
    retried,
    steady_s,
)
from kbroker.cli.interrupts import holding_interrupts
from kbroker.cli.positions import HELP, Kind, Position, convert_position, find_offsets
from kbroker.cli.progress import Advance, progress
from kbroker.cli.record_lines import FORMATS, IncomingRecord
from kbroker.cli.tables import write_out
from kbroker.cli.topic_names import find_partitions

if TYPE_CHECKING:
    from kafka import KafkaConsumer, TopicPartition
    from kafka.consumer.fetcher import ConsumerRecord
    from kafka.structs import OffsetAndMetadata

POLL_MS = 200
CLOSE_MS = 2000
"""To leave the group; a dead broker is not waited for any longer."""
CHECK_S = 2.0
"""So long nothing may come before the broker is asked whether it is there."""
MOST_RECORDS_PER_POLL = 2000
MOST_TO_JOIN_S = 30.0
"""Members that are alive join again within a heartbeat's interval of three seconds."""
FETCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """How far to read, and how to print."""

    follow: bool
    most: int | None
    line: Callable[[IncomingRecord], bytes]


@click.command("consume")
@click.argument("topic", metavar="TOPIC[:PARTITION,...]", shell_complete=complete_topic)
@click.option("--follow", is_flag=True, help="Go on at the end and wait for more, until Ctrl-C.")
@click.option(
    "--from",
    "start",
    metavar="WHERE",
    callback=convert_position,
    help=f"{HELP}.  [default: beginning]",
)
@click.option(
    "--group",
    metavar="NAME",
    shell_complete=complete_group,
    help="Read as a member of this group: on from its offsets, and commit what was printed.",
)
@click.option("--max", "most", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="value",
    show_default=True,
    help="full: for people, with place, time, key and headers.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--read-committed", is_flag=True, help="Leave out what transactions took back.")
@remote
def command(
    target: Target,
    *,
    topic: str,
    follow: bool,
    start: Position | None,
    group: str | None,
    most: int | None,
    form: str,
    as_json: bool,
    read_committed: bool,
) -> int:
    """Print the records of TOPIC up to its present end."""
    place = start or Position(Kind.BEGINNING)
    if group is not None and place.kind not in (Kind.BEGINNING, Kind.END):
        raise click.UsageError(
            "--from with --group is beginning or end, for a group without offsets;"
            " to move a group: kbroker groups reset-offsets"
        )
    if group is not None and ":" in topic:
        raise click.UsageError("the members of a group share the partitions: name TOPIC alone")
    with open_admin(target) as admin:
        partitions = retried(target, lambda: find_partitions(admin, [topic]))
        starts = retried(target, lambda: find_offsets(admin, place, partitions))
    wish = Wish(follow, most, FORMATS["json" if as_json else form])
    consumer = open_consumer(
        target,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="latest" if place.kind is Kind.END else "earliest",
        isolation_level="read_committed" if read_committed else "read_uncommitted",
        request_timeout_ms=max(target.timeout_ms, 11_000 if group else 0),
        session_timeout_ms=10_000,
        max_poll_records=MOST_RECORDS_PER_POLL,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    try:
        if group is None:
            consumer.assign(partitions)
            for partition, offset in starts.items():
                consumer.seek(partition, offset)
        else:
            consumer.subscribe([partitions[0].topic])
        # After the choice: a member of kafka-python's that learns of its topic's partitions only
        # then joins twice.
        ends = consumer.end_offsets(partitions, timeout_ms=target.timeout_ms)
        with progress(
            "reading", total=most, wanted=bool(most) and not sys.stdout.isatty()
        ) as advance:
            Reader(consumer, target, wish, ends, in_group=group is not None).run(advance)
    finally:
        consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
    return 0


class Reader:
    """Reads and prints. Mutable: how much was printed, and when something was last heard."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        target: Target,
        wish: Wish,
        ends: Mapping[TopicPartition, int],
        *,
        in_group: bool,
    ) -> None:
        self._consumer = consumer
        self._target = target
        self._wish = wish
        self._ends = ends
        self._in_group = in_group
        self._printed = 0
        self._next_offsets: dict[TopicPartition, int] = {}
        self._to_commit: dict[TopicPartition, OffsetAndMetadata] = {}
        self._heard_s = self._checked_s = steady_s()

    def run(self, advance: Advance) -> None:
        """Until the end as it was at the start, or for ever; CommandError, KafkaError.

        What was printed is committed, also when Ctrl-C comes in between.
        """
        try:
            self._read(advance)
        except KeyboardInterrupt:
            self._commit(timeout_ms=CLOSE_MS)
            raise
        self._settle()

    def _read(self, advance: Advance) -> None:
        while not self._is_done():
            batches = self._consumer.poll(POLL_MS, max_records=self._most_now())
            for partition, records in batches.items():
                advance(self._print(partition, records))
            if batches:
                self._heard_s = self._checked_s = steady_s()
                self._commit(timeout_ms=self._target.timeout_ms)
            else:
                self._check_alive()

    def _is_done(self) -> bool:
        if self._wish.most is not None and self._printed >= self._wish.most:
            return True
        if self._wish.follow:
            return False
        assigned = self._consumer.assignment()
        if not assigned:
            return False  # not a member yet
        return all(self._position(each) >= self._ends.get(each, 0) for each in assigned)

    def _position(self, partition: TopicPartition) -> int:
        position = self._consumer.position(partition, timeout_ms=self._target.timeout_ms)
        return -1 if position is None else int(position)

    def _most_now(self) -> int:
        """No more than what is to be printed: what is not must not count as read in the group."""
        most = self._wish.most
        left = MOST_RECORDS_PER_POLL if most is None else most - self._printed
        return min(left, MOST_RECORDS_PER_POLL)

    def _print(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> int:
        """How many were printed. To a member, records may come again after a rebalance."""
        from kafka.structs import OffsetAndMetadata

        least = self._next_offsets.get(partition, 0) if self._in_group else 0
        new = [record for record in records if record.offset >= least]
        data = b"".join(self._wish.line(incoming(record)) + b"\n" for record in new)
        next_offset, epoch = records[-1].offset + 1, records[-1].leader_epoch
        if not self._in_group:
            write_out(data)
        else:
            with holding_interrupts():
                write_out(data)
                self._to_commit[partition] = OffsetAndMetadata(next_offset, "", epoch)
        self._next_offsets[partition] = next_offset
        self._printed += len(new)
        return len(new)

    def _commit(self, *, timeout_ms: int) -> None:
        """Commit what was printed of the partitions that are ours; later while that changes."""
        from kafka.errors import CommitFailedError, RebalanceInProgressError

        assigned = self._consumer.assignment()
        if assigned:  # what went to another member is that one's to commit
            self._to_commit = {
                each: place for each, place in self._to_commit.items() if each in assigned
            }
        if assigned and self._to_commit:
            with suppress(CommitFailedError, RebalanceInProgressError):
                self._consumer.commit(self._to_commit, timeout_ms=timeout_ms)
                self._to_commit = {}

    def _settle(self) -> None:
        """Commit the last of it, joining again first if need be. CommandError."""
        deadline_s = steady_s() + self._target.timeout_s
        while self._to_commit:
            self._commit(timeout_ms=self._target.timeout_ms)
            if self._to_commit:
                if steady_s() > deadline_s:
                    raise CommandError("the group is rebalancing: the last records may come again")
                self._consumer.poll(POLL_MS)  # what this returns is not printed, nor committed

    def _check_alive(self) -> None:
        """Where nothing comes: KafkaError if the broker is dead, CommandError if it is in vain."""
        now_s = steady_s()
        silent_s = now_s - self._heard_s
        if not self._consumer.assignment():
            if silent_s > MOST_TO_JOIN_S:
                raise CommandError("the group gave no partition: other members have them all")
        elif not self._wish.follow and silent_s > 2 * self._target.timeout_s:
            raise CommandError(f"no record came for {silent_s:.0f} s, and the end is not reached")
        if now_s - self._checked_s > CHECK_S:
            # The client itself would try to connect for ever, without a word.
            self._consumer.end_offsets(list(self._ends), timeout_ms=self._target.connect_timeout_ms)
            self._checked_s = steady_s()


def incoming(record: ConsumerRecord) -> IncomingRecord:
    """A record of kafka-python's as ours."""
    return IncomingRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=-1 if record.timestamp is None else record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
