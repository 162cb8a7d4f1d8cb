"""Where to read from: the beginning, the end, an offset, so many back from the end, or a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient

HELP = "beginning, end, an OFFSET, -N from the end, @MILLISECONDS or an ISO time"
MOST_OFFSET = (1 << 63) - 1


class Kind(Enum):
    """What the number of a position means."""

    BEGINNING = "beginning"
    END = "end"
    OFFSET = "offset"
    BACK = "back"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Position:
    """`number`: an offset, how many before the end, or milliseconds since the epoch."""

    kind: Kind
    number: int = 0


WORDS = {
    "beginning": Position(Kind.BEGINNING),
    "earliest": Position(Kind.BEGINNING),
    "end": Position(Kind.END),
    "latest": Position(Kind.END),
}


def parse_position(text: str) -> Position:
    """ValueError with what was expected. A time without a zone is local time."""
    word = text.strip()
    if word.lower() in WORDS:
        return WORDS[word.lower()]
    try:
        if word.startswith("@"):
            return Position(Kind.TIME, bounded(int(word[1:])))
        if word.startswith("-"):
            return Position(Kind.BACK, bounded(int(word[1:])))
        if word.isdecimal():
            return Position(Kind.OFFSET, bounded(int(word)))
        return Position(Kind.TIME, bounded(milliseconds(word)))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is none of: {HELP}") from None


def bounded(number: int) -> int:
    """ValueError unless it fits where an offset or a timestamp stands on the wire."""
    if not 0 <= number <= MOST_OFFSET:
        raise ValueError(number)
    return number


def milliseconds(text: str) -> int:
    """An ISO 8601 time as milliseconds since the epoch; ValueError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.astimezone()).timestamp() * 1000)


def time_text(timestamp_ms: int) -> str | None:
    """A timestamp as ISO 8601 in UTC; None for no timestamp, or one beyond the calendar."""
    if timestamp_ms < 0:
        return None
    try:
        moment = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03d}Z"


def convert_position(
    context: click.Context | None, parameter: click.Parameter | None, value: str | None
) -> Position | None:
    """For an option's callback."""
    if value is None:
        return None
    try:
        return parse_position(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def find_offsets(
    admin: KafkaAdminClient, position: Position, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """The offset of `position` in each partition, within what the partition holds.

    A time means the first record at or after it; past the last record it is the end.
    """
    from kafka.admin import OffsetSpec

    wanted = sorted(partitions)
    first = ask_offsets(admin, OffsetSpec.EARLIEST, wanted)
    end = ask_offsets(admin, OffsetSpec.LATEST, wanted)
    times: dict[TopicPartition, int] = {}
    if position.kind is Kind.TIME:
        times = ask_offsets(admin, position.number, wanted)
    return {
        partition: choose(position, first[partition], end[partition], times.get(partition, -1))
        for partition in wanted
    }


def ask_offsets(
    admin: KafkaAdminClient, spec: object, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    found = admin.list_partition_offsets(dict.fromkeys(partitions, spec))
    return {partition: int(each.offset) for partition, each in found.items()}


def choose(position: Position, first: int, end: int, at_time: int) -> int:
    """The offset meant, between `first` and `end`; `at_time` is -1 for a time past the end."""
    if position.kind is Kind.BEGINNING:
        return first
    if position.kind is Kind.END:
        return end
    if position.kind is Kind.TIME:
        return end if at_time < 0 else at_time
    offset = end - position.number if position.kind is Kind.BACK else position.number
    return min(max(offset, first), end)
