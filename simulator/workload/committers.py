"""Clients that commit offsets without being members, and look up what they committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.client import Client, ConnectionGoneError
from simulator.commit_history import Commit
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.requests import (
    COMMIT_VERSION,
    OFFSET_FETCH_VERSION,
    Partition,
    by_topic,
    commit_request,
    committed_offsets,
    offset_fetch_request,
)
from simulator.workload.sending import Source
from wire.errors import ErrorCode
from wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from wire.messages.offset_fetch import OffsetFetchResponse

if TYPE_CHECKING:
    from simulator.world import World

MOST_IN_FLIGHT = 4


class Committer:
    """One group of its own, several commits in flight, now and then forgotten. Mutable."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._caller = Caller(world, name, self._chance)
        self._source = Source(world, name, self._chance)
        self._next_offset = 0

    async def prepare(self) -> None:
        pass

    async def work(self) -> None:
        while True:
            was_finishing = self._world.finishing
            try:
                client = await self._caller.client()
                done = await self._commit_some(client)
                if done and self._chance.random() < 0.2:
                    done = await self._forget(client)
                done = done and await self._look_up()
            except ConnectionGoneError:
                await self._caller.pause()
                continue
            if done and was_finishing:
                break
            if done:
                await self._source.rest()
            else:
                await self._caller.recover(ErrorCode.NOT_COORDINATOR, self.name)
        self._caller.hang_up()

    async def check(self) -> None:
        while True:
            try:
                if await self._look_up():
                    break
            except ConnectionGoneError:
                await self._caller.pause()
        self._caller.hang_up()

    async def _commit_some(self, client: Client) -> bool:
        """Whether all were acknowledged. ConnectionGoneError."""
        under_way = []
        for _ in range(self._chance.randint(1, MOST_IN_FLIGHT)):
            self._next_offset += 1
            partition = self._chance.choice(self._source.partitions)
            commit = self._committing(partition, self._next_offset)
            request = commit_request(self.name, {partition: self._next_offset})
            under_way.append((commit, client.send(request, COMMIT_VERSION, OffsetCommitResponse)))
        codes = []
        for commit, future in under_way:
            losses = self._world.ledger.group_losses
            code = (await future).topics[0].partitions[0].error_code
            must_be(code, *RETRIABLE, who=self.name, what="a commit")
            self._told(commit, code, losses)
            codes.append(code)
        return not any(codes)

    async def _forget(self, client: Client) -> bool:
        """Delete the offset of one partition, or the whole group. ConnectionGoneError."""
        losses = self._world.ledger.group_losses
        if self._chance.random() < 0.5:
            partition = self._chance.choice(self._source.partitions)
            commits = [self._committing(partition, None)]
            request = OffsetDeleteRequest(group_id=self.name, topics=_named([partition]))
            deleted = await client.send(request, 0, OffsetDeleteResponse)
            code = deleted.error_code or deleted.topics[0].partitions[0].error_code
        else:
            commits = [self._committing(partition, None) for partition in self._source.partitions]
            answer = await client.send(
                DeleteGroupsRequest(groups_names=[self.name]), 2, DeleteGroupsResponse
            )
            code = answer.results[0].error_code
        allowed = (ErrorCode.GROUP_ID_NOT_FOUND, *RETRIABLE)
        must_be(code, *allowed, who=self.name, what="forgetting offsets")
        for commit in commits:
            self._told(commit, code, losses)
        return code in (ErrorCode.NONE, ErrorCode.GROUP_ID_NOT_FOUND)

    def _committing(self, partition: Partition, offset: int | None) -> Commit:
        session = f"{self.name}@{self._caller.connections}"
        history = self._world.ledger.history.commits
        return history.committing(self.name, partition, offset, session=session)

    def _told(self, commit: Commit, code: int, losses: int) -> None:
        history = self._world.ledger.history.commits
        if code == ErrorCode.NONE and losses == self._world.ledger.group_losses:
            history.committed(commit)
        elif code == ErrorCode.GROUP_ID_NOT_FOUND:
            history.refused(commit)

    async def _look_up(self) -> bool:
        """ConnectionGoneError; InvariantError where it is not what was committed last."""
        history = self._world.ledger.history.commits
        losses = self._world.ledger.group_losses
        partitions = self._source.partitions
        fetches = {each: history.fetching(self.name, each) for each in partitions}
        answer = await self._caller.ask(
            offset_fetch_request(self.name, partitions), OFFSET_FETCH_VERSION, OffsetFetchResponse
        )
        code = must_be(answer.groups[0].error_code, *RETRIABLE, who=self.name, what="OffsetFetch")
        if code is not ErrorCode.NONE:
            return False
        for partition, (offset, _) in committed_offsets(answer).items():
            if losses == self._world.ledger.group_losses:
                history.fetched(fetches[partition], None if offset < 0 else offset)
        if history.wrong:
            raise InvariantError(f"lost-commit: {history.wrong[0]}")
        self._world.counts["looked up"] += 1
        return True


def _named(partitions: list[Partition]) -> list[OffsetDeleteRequestTopic]:
    return [
        OffsetDeleteRequestTopic(
            name=topic,
            partitions=[OffsetDeleteRequestPartition(partition_index=each) for each in indexes],
        )
        for topic, indexes in by_topic(partitions).items()
    ]
