"""What producers were told and what readers saw of one topic, judged by names of anomalies.

The names are those of the Jepsen tests of Kafka: lost-write, duplicate, inconsistent-offsets,
nonmonotonic-send, nonmonotonic-poll. Values are unique, and never sent again but by an idempotent
producer with the same sequence: so no value may ever be there twice.
"""

from dataclasses import dataclass, field

MOST_SHOWN = 20


@dataclass
class Send:
    """One value: `number` counts those of `producer` in `partition`. `offset` is the answer's."""

    producer: str
    partition: int
    number: int
    offset: int | None = None


@dataclass
class History:
    """Mutable. `events` is what happened, one line each, for whoever has to explain a failure."""

    sends: dict[bytes, Send] = field(default_factory=dict)
    seen: dict[tuple[int, int], bytes] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)

    def note(self, event: str) -> None:
        self.events.append(event)

    def sent(self, value: bytes, send: Send) -> None:
        assert value not in self.sends, "values are unique"
        self.sends[value] = send

    def acknowledged(self, value: bytes, offset: int) -> None:
        """The producer was told that `value` is at `offset`; a retry must be told the same."""
        send = self.sends[value]
        if send.offset not in (None, offset):
            self.anomalies.append(
                f"inconsistent-offsets: {shown(value)} at {send.offset} and {offset}"
            )
        send.offset = offset

    def polled(self, partition: int, records: list[tuple[int, bytes]]) -> None:
        """A reader of `partition` saw these (offset, value), in this order."""
        last = -1
        for offset, value in records:
            if offset <= last:
                self.anomalies.append(f"nonmonotonic-poll: {offset} after {last} of {partition}")
            last = offset
            former = self.seen.setdefault((partition, offset), value)
            if former != value:
                self.anomalies.append(
                    f"inconsistent-offsets: {partition}@{offset} was {shown(former)},"
                    f" is {shown(value)}"
                )

    def check(self, *, whole: dict[int, list[tuple[int, bytes]]]) -> list[str]:
        """All anomalies, given the final read of each partition from its start."""
        anomalies = self.anomalies
        places: dict[bytes, list[tuple[int, int]]] = {}
        for partition, records in whole.items():
            self.polled(partition, records)
            offsets = [offset for offset, _ in records]
            if offsets != list(range(len(offsets))):
                anomalies.append(f"poll-skip: partition {partition} has holes")
            anomalies += self._order(partition, records)
            for offset, value in records:
                places.setdefault(value, []).append((partition, offset))
        for value, found in places.items():
            if len(found) > 1:
                anomalies.append(f"duplicate: {shown(value)} at {found}")
            if value not in self.sends:
                anomalies.append(f"phantom: {shown(value)} at {found}")
        for value, send in self.sends.items():
            if send.offset is None:
                continue
            if value not in places:
                anomalies.append(f"lost-write: {shown(value)}, acknowledged at {send.offset}")
            elif (send.partition, send.offset) not in places[value]:
                anomalies.append(
                    f"inconsistent-offsets: {shown(value)} acknowledged at {send.offset},"
                    f" is at {places[value]}"
                )
        for (partition, offset), value in self.seen.items():
            if (partition, offset) not in places.get(value, ()):
                anomalies.append(f"lost-write: {shown(value)}, polled at {partition}@{offset}")
        return anomalies

    def _order(self, partition: int, records: list[tuple[int, bytes]]) -> list[str]:
        """A producer's values are in the log in the order in which they were sent."""
        last: dict[str, int] = {}
        wrong = []
        for offset, value in records:
            send = self.sends.get(value)
            if send is None:
                continue
            if send.number <= last.get(send.producer, -1):
                wrong.append(f"nonmonotonic-send: {shown(value)} at {partition}@{offset}")
            last[send.producer] = send.number
        return wrong

    def explain(self, anomalies: list[str]) -> str:
        return "\n".join([*anomalies[:MOST_SHOWN], f"{len(anomalies)} anomalies", *self.events])


def shown(value: bytes) -> str:
    """A value without what fills it up."""
    return value.rstrip(b".").decode()
