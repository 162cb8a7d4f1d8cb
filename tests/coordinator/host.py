"""Plays the host of a group shard, without a log or a loop: it appends, replays, and keeps time.

What the contract with a host asks is asserted at every step: a request is answered once, a parked
one is answered some time, deadlines are done when they are due, and a shard rebuilt from the
records is the shard that lived.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TypeVar

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.settings import GroupSettings
from coordinator.group.shard import GroupShard
from coordinator.outcome import CoordinatorRecord, Moment, Outcome, Reply, Ticket
from wire.schema import Response

R = TypeVar("R")

START = Moment(wall_ms=1_700_000_000_000, steady_ms=0)


class Host:
    """A shard with its log, its clock and the requests that wait. Mutable."""

    def __init__(self, settings: GroupSettings | None = None) -> None:
        self.settings = settings or GroupSettings()
        self.log: list[CoordinatorRecord] = []
        self.now = START
        self.parked: dict[Ticket, None] = {}
        self.answers: dict[Ticket, Response] = {}
        self.dropped: list[Reply] = []
        self._ids = count(1)
        self._tickets = count(1)
        self.shard = self._new_shard()

    def new_id(self) -> str:
        return str(next(self._ids))

    def ask(self, operation: Callable[[Ticket], Outcome[R]]) -> tuple[Ticket, Outcome[R]]:
        """Handle a request that may be parked: `operation` gets its ticket."""
        ticket = next(self._tickets)
        outcome = operation(ticket)
        if outcome.reply is None:
            self.parked[ticket] = None
        else:
            assert isinstance(outcome.reply, Response)
            self.answers[ticket] = outcome.reply
        self.settle(outcome)
        return ticket, outcome

    def settle(self, outcome: Outcome[R]) -> Outcome[R]:
        """Append and replay the records, and hand out the late replies."""
        for record in outcome.records:
            self.log.append(record)
            self.shard.replay(record.key, record.value)
        for reply in outcome.replies:
            assert reply.ticket in self.parked, "answered once, and parked before"
            del self.parked[reply.ticket]
            self.answers[reply.ticket] = reply.response
        if outcome.records:
            self.check_replay()
        return outcome

    def due(self) -> Outcome[None]:
        """Do what is due now."""
        outcome = self.settle(self.shard.on_deadline(self.now))
        next_ms = self.shard.next_deadline_ms()
        assert next_ms is None or next_ms > self.now.steady_ms, "all that is due is done"
        return outcome

    def advance(self, elapsed_ms: int) -> list[tuple[int, Outcome[None]]]:
        """Let time pass and do what falls due in it, each at its time: (steady ms, outcome)."""
        end_ms = self.now.steady_ms + elapsed_ms
        done = []
        while (next_ms := self.shard.next_deadline_ms()) is not None and next_ms <= end_ms:
            self._step_to(max(next_ms, self.now.steady_ms))
            done.append((self.now.steady_ms, self.due()))
        self._step_to(end_ms)
        return done

    def restart(self, settings: GroupSettings | None = None) -> None:
        """The process died: what waits is lost with its connections; the log is not."""
        self.settings = settings or self.settings
        self.parked.clear()
        self.shard = self._new_shard()
        for record in self.log:
            self.shard.replay(record.key, record.value)
        self.shard.on_loaded(self.now)

    def drop(self) -> tuple[Reply, ...]:
        """Leadership is lost: everybody who waits is told; then it is won again."""
        replies = self.shard.on_dropped()
        assert sorted(reply.ticket for reply in replies) == sorted(self.parked)
        self.restart()
        return replies

    def check_replay(self) -> None:
        """A shard built from the log is the one that lived, as far as it is stored."""
        rebuilt = self._new_shard()
        for record in self.log:
            rebuilt.replay(record.key, record.value)
        assert stored(rebuilt).keys() == stored(self.shard).keys()
        for group_id, (offsets, group) in stored(self.shard).items():
            found = stored(rebuilt)[group_id]
            assert found[0] == offsets
            # While a group rebalances, what it lives through is not stored yet.
            if len(group) > 1:
                assert found[1] == group

    def group(self, group_id: str) -> ClassicGroup | None:
        """The group as it lives, to be looked at only."""
        return self.shard._groups.get(group_id)

    def _step_to(self, steady_ms: int) -> None:
        elapsed_ms = steady_ms - self.now.steady_ms
        self.now = Moment(self.now.wall_ms + elapsed_ms, steady_ms)

    def _new_shard(self) -> GroupShard:
        return GroupShard(self.settings, self.new_id)


def stored(shard: GroupShard) -> dict[str, tuple[object, dict[str, object]]]:
    """What a shard has stored: by group its offsets, and what its record tells."""
    return {
        group_id: (shard.offsets.of_group(group_id), _stored_group(group))
        for group_id, group in shard._groups.items()
    }


def _stored_group(group: ClassicGroup) -> dict[str, object]:
    if group.state not in (GroupState.STABLE, GroupState.EMPTY):
        return {"state": group.state.value}
    is_simple = group.generation == 0 and group.state is GroupState.EMPTY
    return {
        "state": group.state.value,
        "generation": group.generation,
        "protocol_type": group.protocol_type,
        "protocol_name": group.protocol_name,
        "leader": group.leader,
        "timestamp": None if is_simple else group.state_timestamp_ms,
        "subscribed": group.subscribed_topics,
        "members": [
            (
                member.member_id,
                member.group_instance_id,
                member.client,
                member.rebalance_timeout_ms,
                member.session_timeout_ms,
                member.metadata(group.protocol_name),
                member.assignment,
            )
            for member in group.members.values()
        ],
    }
