"""Members of a group that are the unchanged aiokafka library's: they consume and commit themselves.

Each assignment is another reader of the history. A member whose records a power loss may have taken
makes a client anew: what the old one still holds may be gone. At the end the group has consumed
whatever there is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError
from simulator.commit_history import Commit
from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.ledger import Bounds
from simulator.workload import aiokafka_client
from simulator.workload.aiokafka_client import Consumer, Library, Place
from simulator.workload.aiokafka_producers import (
    METADATA_AGE_MS,
    REQUEST_TIMEOUT_MS,
    RETRY_BACKOFF_MS,
)
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.requests import (
    OFFSET_FETCH_VERSION,
    Partition,
    committed_offsets,
    offset_fetch_request,
)
from simulator.workload.topics import TopicPlan
from wire.errors import ErrorCode
from wire.messages.offset_fetch import OffsetFetchResponse

if TYPE_CHECKING:
    from simulator.world import World

SESSION_TIMEOUT_MS = 10_000
HEARTBEAT_MS = 3_000
FETCH_WAIT_MS = 4_000
POLL_MS = 8_000
FINAL_POLL_MS = 500
CALL_S = 25.0
"""After which a call that waits for a broker is given up."""


@dataclass(slots=True)
class Progress:
    """Of a group, shared by its members. Mutable: how far it is known to have committed."""

    group: str
    reached: dict[Partition, int] = field(default_factory=dict)

    def saw(self, partition: Partition, offset: int | None) -> None:
        self.reached[partition] = max(self.reached.get(partition, 0), offset or 0)


class AiokafkaMember:
    """Mutable: `_assignments` counts what it was given, `_next_offsets` is what to commit."""

    def __init__(
        self, world: World, name: str, progress: Progress, topics: tuple[TopicPlan, ...]
    ) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._library: Library = aiokafka_client.load()
        self._progress = progress
        self._topics = [topic.name for topic in topics]
        self._shared = [each for topic in topics for each in topic.partitions]
        self._clients = 0
        self._assignments = 0
        self._looked_up = 0
        self._next_offsets: dict[Partition, int] = {}
        self._since: dict[Partition, Bounds] = {}
        self._lives: dict[int, None] = {}
        """Of the broker, in which this client's commits were acknowledged."""
        self._client: Consumer

    async def prepare(self) -> None:
        pass

    async def work(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, self._world.plan.options.safety_s / 4))
        while not await self._one_client():
            await asyncio.sleep(self._chance.uniform(0.5, 2))

    async def check(self) -> None:
        """What the group committed last is there, and it has left nothing behind."""
        caller = Caller(self._world, self.name, self._chance)
        while True:
            try:
                if await self._look_up_at_the_end(caller):
                    break
            except ConnectionGoneError:
                pass
            await caller.pause()
        caller.hang_up()

    # --- one client ---

    async def _one_client(self) -> bool:
        """Until the group has consumed everything (True), or it is to be made anew."""
        self._client = client = self._make()
        self._next_offsets.clear()
        self._lives.clear()
        self._since = {each: self._world.ledger.bounds(each) for each in self._shared}
        if not await aiokafka_client.start(client, self._library):
            return False
        try:
            client.subscribe(self._topics, listener=_listener(self, self._library))
            while not self._is_outdated():
                try:
                    if await self._round():
                        return True
                except self._library.errors as error:
                    self._world.note(f"{self.name}.{self._clients} is given up: {error!r}")
                    return False
            return False
        finally:
            await aiokafka_client.stop(client, self._library)

    def _make(self) -> Consumer:
        self._clients += 1
        host, port = self._world.machine.address
        return self._library.consumer(
            bootstrap_servers=f"{host}:{port}",
            client_id=f"{self.name}.{self._clients}",
            group_id=self._progress.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            metadata_max_age_ms=METADATA_AGE_MS,
        )

    def _is_outdated(self) -> bool:
        promises = self._world.ledger.promises
        return any(
            since.losses != promises[partition].losses for partition, since in self._since.items()
        )

    async def _round(self) -> bool:
        """Poll and perhaps commit; True when the group has nothing left to do. Library.errors."""
        ledger = self._world.ledger
        none_will_send = self._world.finishing and not ledger.producers_left
        number = self._assignments
        timeout_ms = FINAL_POLL_MS if none_will_send else POLL_MS
        found = await self._client.getmany(timeout_ms=timeout_ms)
        reader = f"{self.name}.{self._clients}/{number}"
        for place, records in found.items():
            partition = (place.topic, place.partition)
            pairs = [(record.offset, record.value) for record in records]
            if self._assignments == number:
                self._next_offsets[partition] = pairs[-1][0] + 1
                told = reader
            else:
                told = f"{reader}, revoked meanwhile"
                ledger.history.positioned(told, partition)
            group = self._progress.group
            ledger.polled(told, partition, pairs, self._since[partition], group=group)
            self._world.counts["consumed"] += len(pairs)
        if self._looked_up != self._assignments and self._client.assignment():
            await self._look_up()
        if none_will_send:
            await self._note_positions()
        if none_will_send or self._chance.random() < 0.5:
            await self.commit()
        return none_will_send and self._is_all_consumed()

    def _is_all_consumed(self) -> bool:
        promises = self._world.ledger.promises
        return all(
            max(self._progress.reached.get(each, 0), promises[each].log_start)
            >= promises[each].high_watermark
            for each in self._shared
        )

    async def _look_up(self) -> None:
        """What the group has committed for what this member was given. Library.errors."""
        ledger, number = self._world.ledger, self._assignments
        for place in sorted(self._client.assignment(), key=_as_partition):
            losses = ledger.group_losses
            fetch = ledger.history.commits.fetching(self._progress.group, _as_partition(place))
            try:
                offset = await asyncio.wait_for(self._client.committed(place), CALL_S)
            except (self._library.not_assigned, TimeoutError):
                return
            if losses == ledger.group_losses:
                ledger.history.commits.fetched(fetch, offset)
                self._progress.saw(_as_partition(place), offset)
        if ledger.history.commits.wrong:
            raise InvariantError(f"lost-commit: {ledger.history.commits.wrong[0]}")
        self._looked_up = number

    async def _note_positions(self) -> None:
        """At the end also what nothing was read from: its start may have been deleted."""
        number = self._assignments
        for place in sorted(self._client.assignment(), key=_as_partition):
            try:
                position = await asyncio.wait_for(self._client.position(place), CALL_S)
            except (self._library.not_assigned, TimeoutError):
                return
            if number == self._assignments:
                self._next_offsets[_as_partition(place)] = position

    # --- commits ---

    async def commit(self) -> None:
        """Past what was polled, if anything was; an error leaves it unknown."""
        if not self._next_offsets:
            return
        offsets, self._next_offsets = self._next_offsets, {}
        ledger, loop = self._world.ledger, self._world.loop
        history, losses, begun_s = ledger.history.commits, ledger.group_losses, loop.now
        session = f"{self.name}.{self._clients}/{self._assignments}"
        group = self._progress.group
        # The library may send it again, over another connection: the first may come in later.
        copies = [history.committing(group, each, offsets[each]) for each in offsets]
        commits = [
            history.committing(group, each, offsets[each], session=session) for each in offsets
        ]
        wanted = {self._library.place(*each): offset for each, offset in offsets.items()}
        try:
            await asyncio.wait_for(self._client.commit(wanted), CALL_S)
        except self._library.not_assigned:
            self._refused([*copies, *commits])
        except self._library.errors as error:
            self._world.note(f"{self.name}: a commit is unknown: {error!r}")
        else:
            if losses != ledger.group_losses:
                return
            for commit in commits:
                history.committed(commit)
            if loop.now - begun_s < RETRY_BACKOFF_MS / 1000:
                self._refused(copies)
            self._acknowledged(offsets)

    def _refused(self, commits: list[Commit]) -> None:
        for commit in commits:
            self._world.ledger.history.commits.refused(commit)

    def _acknowledged(self, offsets: dict[Partition, int]) -> None:
        for partition, offset in offsets.items():
            self._progress.saw(partition, offset)
        self._world.counts["commits"] += len(offsets)
        self._lives[self._world.machine.lives] = None
        if len(self._lives) > 1:
            self._world.situations.saw("aiokafka's group went on over a restart")

    def assigned(self) -> None:
        self._assignments += 1
        self._next_offsets.clear()
        self._world.counts["assignments of aiokafka"] += 1

    # --- after everything ---

    async def _look_up_at_the_end(self, caller: Caller) -> bool:
        """With our own client. Whether there was an answer. ConnectionGoneError."""
        ledger, group = self._world.ledger, self._progress.group
        fetches = {each: ledger.history.commits.fetching(group, each) for each in self._shared}
        losses = ledger.group_losses
        answer = await caller.ask(
            offset_fetch_request(group, self._shared), OFFSET_FETCH_VERSION, OffsetFetchResponse
        )
        code = must_be(answer.groups[0].error_code, *RETRIABLE, who=self.name, what="OffsetFetch")
        if code is not ErrorCode.NONE:
            return False
        for partition, (offset, _) in committed_offsets(answer).items():
            if losses == ledger.group_losses:
                ledger.history.commits.fetched(fetches[partition], None if offset < 0 else offset)
            self._check_nothing_left(partition, offset)
        if ledger.history.commits.wrong:
            raise InvariantError(f"lost-commit: {ledger.history.commits.wrong[0]}")
        return True

    def _check_nothing_left(self, partition: Partition, offset: int) -> None:
        promise = self._world.ledger.promises[partition]
        reached = max(offset, promise.log_start)
        lost = promise.losses or self._world.ledger.group_losses
        if not lost and reached < promise.acknowledged_end:
            raise InvariantError(
                f"{self._progress.group} has come to its end at {at(partition, reached)}, "
                f"and {promise.acknowledged_end} is acknowledged"
            )


def _as_partition(place: Place) -> Partition:
    return place.topic, place.partition


def _listener(member: AiokafkaMember, library: Library) -> object:
    """What the library wants to be of a class of its own."""

    class Listener:
        async def on_partitions_revoked(self, revoked: object) -> None:
            await member.commit()

        def on_partitions_assigned(self, assigned: object) -> None:
            member.assigned()

    library.register_listener(Listener)
    return Listener()
