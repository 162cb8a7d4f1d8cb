"""Members of consumer groups: they come, consume at least once, commit, and go in every way.

A member fetches what it is assigned from the committed offset on, and commits past what it was
given. It leaves, or vanishes and is missed when its session ends, or pauses for longer than that.
At the end the group consumes all that there is, so that nothing acknowledged is left unprocessed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError
from simulator.commit_history import Commit
from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, STALE_COORDINATOR, Caller, must_be
from simulator.workload.group_rules import GroupRules
from simulator.workload.membership import GONE, REJOIN, Membership
from simulator.workload.reading import check_answer, check_out_of_range, reset_positions
from simulator.workload.requests import (
    COMMIT_VERSION,
    FETCH_VERSION,
    OFFSET_FETCH_VERSION,
    Partition,
    commit_request,
    committed_offsets,
    fetch_request,
    offset_fetch_request,
)
from simulator.workload.topics import TopicPlan
from wire.errors import ErrorCode
from wire.messages.fetch import FetchResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.offset_fetch import OffsetFetchResponse

if TYPE_CHECKING:
    from simulator.world import World

SESSION_TIMEOUT_MS = 25_000
HEARTBEAT_S = 8.0


class GroupMember:
    """Mutable. `_positions` is where it reads on; `_committed` what it committed last."""

    def __init__(
        self, world: World, name: str, rules: GroupRules, topics: tuple[TopicPlan, ...]
    ) -> None:
        self.name = name
        self._world = world
        self._chance = chance = world.chance(name)
        self._caller = Caller(world, name, chance)
        self._rules = rules
        self._positions: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._lost: set[Partition] = set()
        self._at_end = True
        self._shared = [each for topic in topics for each in topic.partitions]
        self._membership = Membership(
            world,
            self._caller,
            rules,
            topics={topic.name: topic.partition_count for topic in topics},
            instance_id=name if chance.random() < 0.25 else None,
            session_timeout_ms=SESSION_TIMEOUT_MS,
        )

    async def prepare(self) -> None:
        pass

    async def work(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, self._world.plan.options.safety_s / 3))
        while not await self._one_stay():
            away_s = self._chance.expovariate(1 / 20)
            if not self._world.finishing:
                await asyncio.sleep(min(away_s, 30))
        self._caller.hang_up()

    async def check(self) -> None:
        """What the group committed last is there, and it has left nothing behind."""
        committed: dict[Partition, int] | None = None
        while committed is None:
            try:
                committed = await self._fetch_committed(sorted(self._world.ledger.promises))
            except ConnectionGoneError:
                await self._caller.pause()
        self._caller.hang_up()
        self._check_nothing_left(committed)

    def _check_nothing_left(self, committed: dict[Partition, int]) -> None:
        """The members shared all partitions, and each read its own to the end."""
        ledger = self._world.ledger
        if ledger.group_losses:
            return
        for partition in self._shared:
            promise = ledger.promises[partition]
            reached = max(committed[partition], promise.log_start)
            if not promise.losses and reached < promise.acknowledged_end:
                raise InvariantError(
                    f"{self._rules.group} has come to its end at {at(partition, reached)}, "
                    f"and {promise.acknowledged_end} is acknowledged"
                )

    async def _one_stay(self) -> bool:
        """Until it goes, or everything is consumed (True)."""
        stays_s = self._chance.expovariate(1 / 60)
        leaves_at = self._world.loop.now + stays_s
        while True:
            try:
                if self._membership.generation < 0:
                    if not await self._begin():
                        continue
                elif not await self._membership.heartbeat():
                    await self._rejoin()
                    continue
                if await self._consume():
                    return True
            except ConnectionGoneError:
                await self._caller.pause()
                continue
            if self._world.loop.now > leaves_at and not self._world.finishing:
                await self._go()
                return False
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        if not self._world.finishing:
            return HEARTBEAT_S
        return 2.0 if self._at_end else 0.01

    async def _rejoin(self) -> None:
        """Commit what was processed, as consumers do when partitions are revoked; then join."""
        if self._chance.random() < 0.8 and self._membership.member_id:
            await self._commit()
        self._membership.generation = -1

    async def _begin(self) -> bool:
        """Join, and find out where to read on. ConnectionGoneError."""
        if not await self._membership.join():
            return False
        found = await self._fetch_committed(self._membership.partitions)
        if found is None:
            return True  # it reads nothing, and asks again with the next generation
        self._positions = {partition: max(offset, 0) for partition, offset in found.items()}
        self._committed = dict(found)
        self._lost.clear()
        for partition, offset in self._positions.items():
            self._world.ledger.history.positioned(self.name, partition, offset)
        return True

    async def _fetch_committed(self, partitions: list[Partition]) -> dict[Partition, int] | None:
        """-1 for none; None where the coordinator cannot tell now. ConnectionGoneError."""
        if not partitions:
            return {}
        group, commits = self._rules.group, self._world.ledger.history.commits
        fetches = {partition: commits.fetching(group, partition) for partition in partitions}
        losses = self._world.ledger.group_losses
        answer = await self._caller.ask(
            offset_fetch_request(group, partitions), OFFSET_FETCH_VERSION, OffsetFetchResponse
        )
        code = must_be(answer.groups[0].error_code, *RETRIABLE, who=self.name, what="OffsetFetch")
        if code is not ErrorCode.NONE:
            await self._caller.recover(code, group)
            return None
        found: dict[Partition, int] = {}
        for partition, (offset, error) in committed_offsets(answer).items():
            must_be(error, who=self.name, what=f"OffsetFetch of {partition}")
            if losses == self._world.ledger.group_losses:
                commits.fetched(fetches[partition], None if offset < 0 else offset)
            found[partition] = offset
        if commits.wrong:
            raise InvariantError(f"lost-commit: {commits.wrong[0]}")
        return found

    async def _consume(self) -> bool:
        """One fetch and perhaps a commit; True when this group has nothing left to do here."""
        none_will_send = self._world.finishing and not self._world.ledger.producers_left
        if not self._positions:
            if self._membership.partitions:
                self._membership.generation = -1  # it could not learn where to read on
                return False
            # A static member that stays away keeps its place, and what it is given with it.
            return none_will_send and await self._finish()
        self._at_end = at_end = await self._fetch()
        if self._chance.random() < 0.5 or none_will_send:
            done = await self._commit()
            return none_will_send and at_end and done and await self._finish()
        return False

    async def _fetch(self) -> bool:
        """Whether it is at the end of everything that it owns. ConnectionGoneError."""
        ledger = self._world.ledger
        await reset_positions(self._caller, self._positions, self._lost)
        since = {partition: ledger.bounds(partition) for partition in self._positions}
        request = fetch_request(self._positions, wait_ms=self._chance.choice((0, 500)))
        answer = await self._caller.ask(request, FETCH_VERSION, FetchResponse)
        at_end = True
        for topic in answer.responses:
            for data in topic.partitions:
                partition = topic.topic, data.partition_index
                position = self._positions[partition]
                allowed = (ErrorCode.OFFSET_OUT_OF_RANGE, *RETRIABLE)
                code = must_be(data.error_code, *allowed, who=self.name, what=f"{partition}")
                if code is ErrorCode.OFFSET_OUT_OF_RANGE:
                    check_out_of_range(self.name, ledger.promises[partition], partition, position)
                    self._lost.add(partition)
                if code is not ErrorCode.NONE:
                    at_end = False
                    continue
                records = check_answer(
                    self._world, self.name, partition, position, data, since[partition]
                )
                ledger.polled(
                    self.name, partition, records, since[partition], group=self._rules.group
                )
                self._positions[partition] += len(records)
                self._world.counts["consumed"] += len(records)
                at_end &= self._positions[partition] == data.high_watermark
        return at_end

    async def _commit(self) -> bool:
        """Past what it was given; whether that was acknowledged. ConnectionGoneError."""
        offsets = {
            partition: offset
            for partition, offset in self._positions.items()
            if self._committed.get(partition) != offset
        }
        if not offsets:
            return True
        group, history = self._rules.group, self._world.ledger.history.commits
        floor, losses = self._membership.floor, self._rules.losses
        session = f"{self.name}@{self._caller.connections}"
        commits = [
            history.committing(group, partition, offset, session=session)
            for partition, offset in offsets.items()
        ]
        membership = self._membership
        request = commit_request(
            group,
            offsets,
            generation=membership.generation,
            member_id=membership.member_id,
            instance_id=membership.instance_id,
        )
        answer = await self._caller.ask(request, COMMIT_VERSION, OffsetCommitResponse)
        code = self._told(answer, commits, losses)
        if code is ErrorCode.NONE:
            if losses == self._world.ledger.group_losses:
                self._rules.committed(membership.member_id, membership.generation, floor=floor)
            self._committed |= offsets
            self._world.counts["commits"] += len(offsets)
            return True
        if code in GONE or code in REJOIN:
            membership.generation = -1
            membership.member_id = "" if code in GONE else membership.member_id
        elif code in STALE_COORDINATOR:
            await self._caller.recover(code, group)
        return False

    def _told(self, answer: OffsetCommitResponse, commits: list[Commit], losses: int) -> ErrorCode:
        history = self._world.ledger.history.commits
        codes = [each.error_code for topic in answer.topics for each in topic.partitions]
        code = must_be(codes[0], *REJOIN, *GONE, *RETRIABLE, who=self.name, what="a commit")
        for commit in commits:
            if code is ErrorCode.NONE and losses == self._world.ledger.group_losses:
                history.committed(commit)
            elif code in REJOIN or code in GONE:
                history.refused(commit)
        return code

    async def _go(self) -> None:
        """In one of the ways in which consumers end."""
        way = self._chance.random()
        if way < 0.5:
            try:
                await self._commit()
                await self._membership.leave()
            except ConnectionGoneError:
                self._membership.forget()
        elif way < 0.75:
            self._membership.forget()  # it vanishes, and is missed when its session is over
        # else it stops for a while, and may find that the group went on without it
        self._caller.hang_up()

    async def _finish(self) -> bool:
        """Leave with everything committed. ConnectionGoneError."""
        await self._membership.leave()
        return True
