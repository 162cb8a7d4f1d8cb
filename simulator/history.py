"""What clients were told and saw, judged by names of anomalies; for simulation and soak alike.

The names are those of the Jepsen tests of Kafka. Whoever drives clients reports each call and each
answer in the order in which they happened; `check` gives what must not be. Values are unique.

| name | means |
| --- | --- |
| lost-write | acknowledged or polled, not past what was ever polled, and not there at the end |
| unseen | acknowledged, and the final reads end before it |
| duplicate | one value at two offsets, though its producer is idempotent or sent it once |
| inconsistent-offsets | one offset with two values; an acknowledged offset that is another's |
| nonmonotonic-send | values of a producer in another order than it sent them |
| nonmonotonic-poll | a reader is shown an offset not past the last one it was shown |
| poll-skip | a reader is not shown a record between two that it is shown, or a log has a hole |
| G1a | a send that failed for certain is there |
| phantom | a value that nobody sent, or not to this partition |
| unprocessed | below a group's last commit, and never given to a member of it |
| lost-commit | a committed offset that is not the one acknowledged last (see commit_history.py) |

G1a of whole transactions, precommitted-read and G1c are for transactions, which no client sends
yet; their reads and sends will be told here as those of today are. Not judged: time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from simulator.commit_history import CommitHistory

Partition = tuple[str, int]
"""Topic and index. A topic that is deleted and made anew is another topic: name it so."""
Read = tuple[int, bytes]
"""Offset and value."""
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Anomaly:
    """`name` is of the table above, `words` one line."""

    name: str
    words: str

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


class Fate(Enum):
    """What a producer knows of a send. No answer, a timeout, a lost connection: UNKNOWN."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Send:
    """One value; `number` counts those of `producer` in `partition`. Mutable."""

    producer: str
    partition: Partition
    number: int
    may_repeat: bool
    fate: Fate = Fate.UNKNOWN
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class FinalRead:
    """A partition from its log start on, after everything was healed."""

    records: Sequence[Read]
    start: int
    dense: bool


@dataclass(slots=True)
class History:
    """Mutable. `events` is what happened, one line each, for whoever has to explain a failure."""

    sends: dict[bytes, Send] = field(default_factory=dict)
    seen: dict[Partition, dict[int, bytes]] = field(default_factory=dict)
    finals: dict[Partition, FinalRead] = field(default_factory=dict)
    commits: CommitHistory = field(default_factory=CommitHistory)
    events: list[str] = field(default_factory=list)
    _numbers: dict[tuple[str, Partition], int] = field(default_factory=dict)
    _positions: dict[tuple[str, Partition], int] = field(default_factory=dict)
    _gaps: list[tuple[str, Partition, int, int]] = field(default_factory=list)
    _given: dict[tuple[str, Partition], set[int]] = field(default_factory=dict)
    _reused: set[Partition] = field(default_factory=set)
    _deletable: dict[Partition, int] = field(default_factory=dict)
    """Offsets there may have been given twice: what a group was given by offset says nothing."""
    _found: list[Anomaly] = field(default_factory=list)

    def note(self, event: str) -> None:
        """Something that no invariant is about, but an explanation: a fault, a restart."""
        self.events.append(event)

    def deletable(self, partition: Partition, before_offset: int) -> None:
        """Somebody has asked for these records to be deleted: a group that finds none there has
        nothing to process, although a crash may bring them back."""
        self._deletable[partition] = max(before_offset, self._deletable.get(partition, 0))

    # Producers.

    def sent(
        self, value: bytes, *, producer: str, partition: Partition, may_repeat: bool = False
    ) -> None:
        """The send begins; unknown until told otherwise. `may_repeat`: a client without sequence
        numbers may try again, so it may be there twice, and behind later ones."""
        assert value not in self.sends, "values are unique"
        number = self._numbers.get((producer, partition), 0)
        self._numbers[producer, partition] = number + 1
        self.sends[value] = Send(producer, partition, number, may_repeat)

    def acknowledged(self, value: bytes, offset: int | None) -> None:
        """The producer was told that `value` is at `offset` (None: not where); a retry must be
        told the same."""
        send = self.sends[value]
        if offset is not None and send.offset not in (None, offset) and not send.may_repeat:
            self._found.append(
                Anomaly(
                    "inconsistent-offsets",
                    f"{shown(value)} acknowledged at {send.offset}, then at {offset}",
                )
            )
        send.fate = Fate.OK
        if offset is not None:
            send.offset = offset

    def failed(self, value: bytes) -> None:
        """The broker said that it did not and will not append it. Doubt is not failure."""
        self.sends[value].fate = Fate.FAIL

    # Readers.

    def polled(
        self,
        reader: str,
        partition: Partition,
        records: Sequence[Read],
        *,
        group: str | None = None,
    ) -> None:
        """`reader` was shown these, in this order. `group`: as a member, for `unprocessed`."""
        position = self._positions.get((reader, partition))
        seen = self.seen.setdefault(partition, {})
        for offset, value in records:
            if position is not None and offset < position:
                self._found.append(
                    Anomaly(
                        "nonmonotonic-poll",
                        f"{reader} was shown {at(partition, offset)} after {position - 1}",
                    )
                )
            elif position is not None and offset > position:
                self._gaps.append((reader, partition, position, offset))
            position = offset + 1
            former = seen.setdefault(offset, value)
            if former != value:
                self._found.append(
                    Anomaly(
                        "inconsistent-offsets",
                        f"{at(partition, offset)} was {shown(former)}, is {shown(value)}",
                    )
                )
        if position is not None:
            self._positions[reader, partition] = position
        if group is not None:
            given = self._given.setdefault((group, partition), set())
            given.update(offset for offset, _ in records)

    def positioned(self, reader: str, partition: Partition, offset: int | None = None) -> None:
        """It begins anew, at `offset` if that is known: a seek, an assignment, a reset."""
        if offset is None:
            self._positions.pop((reader, partition), None)
        else:
            self._positions[reader, partition] = offset

    def read_whole(
        self, partition: Partition, records: Sequence[Read], *, start: int = 0, dense: bool = True
    ) -> None:
        """The final read from the log start on. `dense`: no offset is missing (no compaction, no
        control batches)."""
        self.finals[partition] = FinalRead(tuple(records), start, dense)

    def forgive(self, partition: Partition) -> None:
        """Nothing that was told of it holds any more: power was lost, and it was promised the page
        cache only."""
        for send in self.sends.values():
            if send.partition == partition:
                send.fate, send.offset = Fate.UNKNOWN, None
        self.seen.pop(partition, None)
        for key in [key for key in self._positions if key[1] == partition]:
            del self._positions[key]
        self._gaps = [gap for gap in self._gaps if gap[1] != partition]

    def forget_from(self, partition: Partition, offset: int) -> None:
        """From this offset on nothing that was told of it holds any more, as after `forgive`."""
        for send in self.sends.values():
            if send.partition == partition and (send.offset is None or send.offset >= offset):
                send.fate, send.offset = Fate.UNKNOWN, None
        seen = self.seen.get(partition, {})
        for each in [each for each in seen if each >= offset]:
            del seen[each]
        for key in [key for key in self._positions if key[1] == partition]:
            if self._positions[key] > offset:
                del self._positions[key]
        self._gaps = [gap for gap in self._gaps if gap[1] != partition or gap[3] <= offset]
        self._reused.add(partition)

    # Judging.

    def check(self) -> list[Anomaly]:
        """All anomalies, given the final reads so far; of partitions without one only what was
        noticed on the way. May be called again."""
        places: dict[bytes, list[tuple[Partition, int]]] = {}
        for partition, final in self.finals.items():
            for offset, value in final.records:
                places.setdefault(value, []).append((partition, offset))
        found = [*self._found]
        for partition, final in self.finals.items():
            found += self._of_log(partition, final)
        found += self._of_values(places)
        found += self._of_acknowledged(places)
        found += self._of_polled()
        found += self._of_groups()
        found += [Anomaly("lost-commit", words) for words in self.commits.wrong]
        return found

    def explain(self, anomalies: Sequence[Anomaly]) -> str:
        """The first anomalies and all events, for a person."""
        lines = [str(each) for each in anomalies[:MOST_SHOWN]]
        return "\n".join([*lines, f"{len(anomalies)} anomalies", *self.events])

    def _of_log(self, partition: Partition, final: FinalRead) -> Iterator[Anomaly]:
        """Holes; offsets that go back; a producer's values in another order than sent."""
        next_offset = final.start if final.dense else None
        last: dict[str, int] = {}
        for offset, value in final.records:
            if next_offset is not None and offset < next_offset:
                words = f"the final read has {at(partition, offset)} after {next_offset - 1}"
                yield Anomaly("nonmonotonic-poll", words)
            elif final.dense and offset != next_offset:
                yield Anomaly("poll-skip", f"{at(partition, next_offset)} to {offset} is a hole")
            next_offset = offset + 1
            send = self.sends.get(value)
            if send is None or send.may_repeat:
                continue
            if send.number < last.get(send.producer, -1):
                words = f"{shown(value)} at {at(partition, offset)}, behind a later one"
                yield Anomaly("nonmonotonic-send", words)
            last[send.producer] = max(send.number, last.get(send.producer, -1))

    def _of_values(self, places: Mapping[bytes, list[tuple[Partition, int]]]) -> Iterator[Anomaly]:
        """What is there and must not be."""
        for value, found in places.items():
            send = self.sends.get(value)
            where = ", ".join(at(*place) for place in found)
            if send is None:
                yield Anomaly("phantom", f"{shown(value)} at {where}")
                continue
            if any(partition != send.partition for partition, _ in found):
                topic, index = send.partition
                yield Anomaly("phantom", f"{shown(value)} at {where}, was sent to {topic}-{index}")
            if len(found) > 1 and not send.may_repeat:
                yield Anomaly("duplicate", f"{shown(value)} at {where}")
            if send.fate is Fate.FAIL:
                yield Anomaly("G1a", f"{shown(value)} failed, and is at {where}")

    def _of_acknowledged(
        self, places: Mapping[bytes, list[tuple[Partition, int]]]
    ) -> Iterator[Anomaly]:
        for value, send in self.sends.items():
            final = self.finals.get(send.partition)
            if send.fate is not Fate.OK or final is None:
                continue
            if send.offset is not None and send.offset < final.start:
                continue
            found = places.get(value, [])
            where = "somewhere" if send.offset is None else at(send.partition, send.offset)
            if not found:
                below = send.offset is not None and send.offset <= self._highest(send.partition)
                words = f"{shown(value)}, acknowledged at {where}"
                yield Anomaly("lost-write" if below else "unseen", words)
            elif send.offset is not None and (send.partition, send.offset) not in found:
                places_found = ", ".join(at(*place) for place in found)
                words = f"{shown(value)} acknowledged at {where}, is at {places_found}"
                yield Anomaly("inconsistent-offsets", words)

    def _of_polled(self) -> Iterator[Anomaly]:
        """What a reader was shown once must stay; what it was not shown must not be there."""
        contents = {partition: dict(final.records) for partition, final in self.finals.items()}
        for partition, seen in self.seen.items():
            final = self.finals.get(partition)
            if final is None:
                continue
            for offset, value in seen.items():
                if offset < final.start:
                    continue
                there = contents[partition].get(offset)
                if there is None:
                    words = f"{shown(value)}, polled at {at(partition, offset)}"
                    yield Anomaly("lost-write", words)
                elif there != value:
                    words = f"{at(partition, offset)} was {shown(value)}, is {shown(there)}"
                    yield Anomaly("inconsistent-offsets", words)
        for reader, partition, first, next_shown in self._gaps:
            known = contents.get(partition, {})
            skipped = [offset for offset in range(first, next_shown) if offset in known]
            if skipped:
                words = f"{reader} was not shown {at(partition, skipped[0])} before {next_shown}"
                yield Anomaly("poll-skip", words)

    def _of_groups(self) -> Iterator[Anomaly]:
        """At least once: what a group commits past, it was given."""
        for group, partition, committed in self.commits.last_acknowledged():
            final = self.finals.get(partition)
            given = self._given.get((group, partition))
            if final is None or given is None or partition in self._reused:
                continue  # it commits numbers of its own, without polling
            for offset, value in final.records:
                if self._deletable.get(partition, 0) <= offset < committed and offset not in given:
                    words = f"{group} committed {committed}, and was not given {shown(value)}"
                    yield Anomaly("unprocessed", f"{words} at {at(partition, offset)}")

    def _highest(self, partition: Partition) -> int:
        """The highest offset ever polled; -1 before the first."""
        final = self.finals[partition].records
        return max(
            [*self.seen.get(partition, {}), *(offset for offset, _ in final[-1:])], default=-1
        )


def at(partition: Partition, offset: int | None) -> str:
    return f"{partition[0]}-{partition[1]}@{offset}"


def shown(value: bytes) -> str:
    """A value without what fills it up."""
    return value.rstrip(b".").decode(errors="replace")
