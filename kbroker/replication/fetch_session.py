"""Incremental fetch sessions (KIP-227): what a fetcher asked before need not be asked again.

Pure. A session remembers the partitions of one fetcher and what it was told of each; an incremental
answer names only partitions with news. Counterpart: `kbroker.handlers.fetch`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from wire.errors import ErrorCode

INVALID_SESSION_ID = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1
MAX_EPOCH = 2**31 - 1
MAX_OFFSET = 2**63 - 1

IDLE_BEFORE_EVICTION_MS = 120_000
"""A full cache makes room by dropping a session not used for so long, as Kafka does."""

PartitionKey = tuple[bytes | str, int]
"""(topic id or name, partition index)."""


class RandomRange(Protocol):
    def randrange(self, start: int, stop: int, /) -> int: ...


class FetchPartition:
    """One partition as a fetcher asked for it, and what it was last told. Mutable."""

    __slots__ = (
        "current_leader_epoch",
        "fetch_offset",
        "high_watermark",
        "index",
        "is_checked",
        "last_fetched_epoch",
        "log_start_offset",
        "max_bytes",
        "sent_high_watermark",
        "sent_log_start_offset",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        *,
        topic: str | None,
        topic_id: bytes,
        index: int,
        fetch_offset: int,
        max_bytes: int,
        current_leader_epoch: int,
        last_fetched_epoch: int,
        log_start_offset: int = -1,
        high_watermark: int = MAX_OFFSET,
    ) -> None:
        self.topic = topic  # None: only the id is known, and no such topic exists now
        self.topic_id = topic_id
        self.index = index
        self.fetch_offset = fetch_offset
        self.max_bytes = max_bytes
        self.current_leader_epoch = current_leader_epoch
        self.last_fetched_epoch = last_fetched_epoch
        self.log_start_offset = log_start_offset  # a follower's own
        self.high_watermark = high_watermark  # as a follower knows it (KIP-1166)
        self.is_checked = False  # what is asked was found to be of one log with the leader's
        self.sent_high_watermark = -1
        self.sent_log_start_offset = -1

    def ask(self, asked: FetchPartition) -> None:
        """Take over what the fetcher asks now.

        A follower takes nothing from an answer that reaches it in another leader epoch than it
        asked in: in a new one it is told everything again.
        """
        if asked.current_leader_epoch != self.current_leader_epoch:
            self.sent_high_watermark = -1
            self.sent_log_start_offset = -1
        self.is_checked = False
        self.fetch_offset = asked.fetch_offset
        self.max_bytes = asked.max_bytes
        self.current_leader_epoch = asked.current_leader_epoch
        self.last_fetched_epoch = asked.last_fetched_epoch
        self.log_start_offset = asked.log_start_offset
        self.high_watermark = asked.high_watermark

    @property
    def known_high_watermark(self) -> int:
        """Above this a follower is told at once, so that its watermark does not wait for data."""
        return max(self.high_watermark, self.sent_high_watermark)

    def has_news(
        self, *, high_watermark: int, log_start_offset: int, size: int, error_code: int
    ) -> bool:
        """Whether an incremental answer must name this partition; remembers what it is told."""
        news = size > 0
        if high_watermark != self.sent_high_watermark:
            self.sent_high_watermark = high_watermark
            news = True
        if log_start_offset != self.sent_log_start_offset:
            self.sent_log_start_offset = log_start_offset
            news = True
        if error_code:
            self.sent_high_watermark = -1  # tell it again once the error is over
            news = True
        return news


class FetchSession:
    """The partitions of one fetcher, in the order in which they are read."""

    __slots__ = ("epoch", "id", "last_used_ms", "partitions", "uses_topic_ids")

    def __init__(self, session_id: int, *, uses_topic_ids: bool, now_ms: int) -> None:
        self.id = session_id
        self.epoch = 1
        self.uses_topic_ids = uses_topic_ids
        self.last_used_ms = now_ms
        self.partitions: dict[PartitionKey, FetchPartition] = {}

    def key(self, partition: FetchPartition) -> PartitionKey:
        """Under what the session knows `partition`."""
        if self.uses_topic_ids:
            return partition.topic_id, partition.index
        return partition.topic or "", partition.index

    def update(self, asked: Iterable[FetchPartition], forgotten: Iterable[PartitionKey]) -> None:
        """Add or change what is asked, drop what is forgotten."""
        for partition in asked:
            known = self.partitions.get(self.key(partition))
            if known is None:
                self.partitions[self.key(partition)] = partition
            else:
                known.ask(partition)
        for key in forgotten:
            self.partitions.pop(key, None)

    def move_to_end(self, partition: FetchPartition) -> None:
        """A partition that had data is read last next time, so that none starves."""
        key = self.key(partition)
        known = self.partitions.pop(key, None)
        if known is not None:
            self.partitions[key] = known


class FetchContext:
    """What one Fetch reads, and whether its answer may be incremental."""

    __slots__ = ("error", "incremental", "partitions", "session", "session_id")

    def __init__(
        self,
        partitions: list[FetchPartition],
        *,
        session: FetchSession | None = None,
        incremental: bool = False,
        error: ErrorCode = ErrorCode.NONE,
    ) -> None:
        self.partitions = partitions
        self.session = session
        self.session_id = session.id if session is not None else INVALID_SESSION_ID
        self.incremental = incremental
        self.error = error


class FetchSessions:
    """The sessions of one broker, at most `max_sessions` of them."""

    def __init__(self, *, max_sessions: int, random: RandomRange) -> None:
        self._max_sessions = max_sessions
        self._random = random
        self._sessions: dict[int, FetchSession] = {}  # least recently used first

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(
        self,
        *,
        session_id: int,
        epoch: int,
        asked: list[FetchPartition],
        forgotten: list[PartitionKey],
        uses_topic_ids: bool,
        now_ms: int,
        is_follower: bool = False,
    ) -> FetchContext:
        """Resolve the session of one request. Errors are those of the whole response.

        A follower asks for thousands of partitions many times a second: one that gets no session
        for all the consumers that have theirs would tell and be told of all of them each time.
        """
        if epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            self._sessions.pop(session_id, None)
            if epoch == FINAL_EPOCH:
                return FetchContext(asked)
            session = self._create(uses_topic_ids, now_ms=now_ms, is_follower=is_follower)
            if session is None:
                return FetchContext(asked)
            session.update(asked, ())
            return FetchContext(asked, session=session)
        session = self._sessions.get(session_id)
        if session is None:
            return FetchContext([], error=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            return FetchContext([], error=ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids is not uses_topic_ids:
            return FetchContext([], error=ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.update(asked, forgotten)
        if not session.partitions:
            del self._sessions[session.id]
            return FetchContext([])
        session.epoch = 1 if session.epoch == MAX_EPOCH else session.epoch + 1
        session.last_used_ms = now_ms
        self._sessions[session.id] = self._sessions.pop(session.id)
        return FetchContext(list(session.partitions.values()), session=session, incremental=True)

    def _create(
        self, uses_topic_ids: bool, *, now_ms: int, is_follower: bool
    ) -> FetchSession | None:
        if len(self._sessions) >= self._max_sessions:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None:
                return None
            if not is_follower and now_ms - oldest.last_used_ms <= IDLE_BEFORE_EVICTION_MS:
                return None
            del self._sessions[oldest.id]
        session_id = INVALID_SESSION_ID
        while session_id == INVALID_SESSION_ID or session_id in self._sessions:
            session_id = self._random.randrange(1, MAX_EPOCH)
        session = FetchSession(session_id, uses_topic_ids=uses_topic_ids, now_ms=now_ms)
        self._sessions[session_id] = session
        return session
