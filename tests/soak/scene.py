"""What all clients of a soak share: the history behind a lock, and whether to go on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.commit_history import Commit
from simulator.history import Anomaly, History

TOPIC = "soak"
PARTITIONS = 4
GROUPS = ("confluent-group", "aiokafka-group")


@dataclass
class Scene:
    """Mutable, and used by many threads: every access to the history goes through here."""

    address: tuple[str, int]
    counts: Counter[str] = field(default_factory=Counter)
    stop_sending: threading.Event = field(default_factory=threading.Event)
    stop_reading: threading.Event = field(default_factory=threading.Event)
    broken: list[str] = field(default_factory=list)
    """Clients that ended by an exception that is no answer of a broker's: the soak's own faults."""

    def __post_init__(self) -> None:
        self.history = History()
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._highest: dict[tuple[str, int], tuple[int, Commit | None]] = {}
        self._went_back: list[Anomaly] = []
        self._strayed: set[tuple[str, int]] = set()

    @property
    def bootstrap(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def note(self, event: str) -> None:
        with self._lock:
            self.history.note(f"{time.monotonic() - self._started:8.3f} {event}")

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    # Producers.

    def sent(self, value: bytes, producer: str, partition: int, *, may_repeat: bool) -> None:
        with self._lock:
            self.counts["sent"] += 1
            place = (TOPIC, partition)
            self.history.sent(value, producer=producer, partition=place, may_repeat=may_repeat)

    def acknowledged(self, value: bytes, offset: int | None) -> None:
        with self._lock:
            self.counts["acknowledged"] += 1
            known = offset if offset is not None and offset >= 0 else None
            self.history.acknowledged(value, known)

    # Readers.

    def polled(
        self,
        reader: str,
        partition: int,
        records: Sequence[tuple[int, bytes]],
        group: str | None = None,
    ) -> None:
        with self._lock:
            self.counts["polled"] += len(records)
            self.history.polled(reader, (TOPIC, partition), records, group=group)

    def committing(self, group: str, offsets: dict[int, int], session: str) -> list[Commit]:
        with self._lock:
            return [
                self.history.commits.committing(group, (TOPIC, index), offset, session=session)
                for index, offset in offsets.items()
            ]

    def committed(self, commits: Sequence[Commit]) -> None:
        """Members begin at what is committed and go on from there: so of two commits, one called
        after the other's answer, the later is not the lower, or a member that is none any more
        has committed, or one began too early."""
        with self._lock:
            self.counts["commits"] += len(commits)
            for commit in commits:
                group, (_, index) = commit.register
                assert commit.offset is not None
                highest, before = self._highest.get((group, index), (-1, None))
                is_later = before is not None and (before.acknowledged or 0) < commit.called
                if is_later and commit.offset < highest and (group, index) not in self._strayed:
                    words = f"{group} committed {commit.offset} of {index} after {highest}"
                    words += f" ({commit.session} after {before.session})" if before else ""
                    self._went_back.append(Anomaly("commit-went-back", words))
                self.history.commits.committed(commit)
                if commit.offset >= highest:
                    self._highest[group, index] = (commit.offset, commit)

    def strayed(self, commits: Sequence[Commit], *, is_acknowledged: bool) -> None:
        """A client that was thrown out of its group has committed all the same, as one without a
        generation: a group without members takes that, as Kafka's do. Whoever is the next member
        may begin there; if nobody knows whether it was taken, or when, at any time."""
        with self._lock:
            self.counts["commits of strangers"] += len(commits)
            for commit in commits:
                group, (_, index) = commit.register
                if is_acknowledged:
                    self.history.commits.committed(commit)
                    self._highest.pop((group, index), None)
                else:
                    self._strayed.add((group, index))

    def refused(self, commits: Sequence[Commit]) -> None:
        with self._lock:
            for commit in commits:
                self.history.commits.refused(commit)

    def broker_ended(self) -> None:
        with self._lock:
            self.history.commits.broker_ended()

    def anomalies(self) -> list[Anomaly]:
        with self._lock:
            return [*self.history.check(), *self._went_back]

    def progress(self) -> str:
        with self._lock:
            counts = dict(self.counts)
        return ", ".join(
            f"{counts.get(name, 0):,} {name}"
            for name in ("sent", "acknowledged", "polled", "commits", "faults")
        )


def value_of(producer: str, partition: int, number: int, size: int) -> bytes:
    """Unique; the dots are left away where it is shown."""
    return f"{producer}/{partition}/{number}".encode().ljust(size, b".")
