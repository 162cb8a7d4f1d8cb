"""How workers talk to the broker: a connection that is made anew as often as it has to be, and
requests that are repeated while the answer is one that a real client tries again after.

What no client should ever be answered ends the run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from simulator.client import Client, ConnectionGoneError, WireClient, connect
from simulator.cluster_client import ClusterClient
from simulator.invariant_error import InvariantError
from simulator.probes_clients import ClientProbe
from wire.errors import ErrorCode
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from wire.schema import Request, Response

if TYPE_CHECKING:
    from simulator.world import World

ResponseT = TypeVar("ResponseT", bound=Response)

STALE_METADATA = frozenset(
    [
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
    ]
)
"""A client refreshes its metadata, then tries again."""
STALE_COORDINATOR = frozenset(
    [
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_COORDINATOR,
    ]
)
"""A client looks for the coordinator again, then tries again."""
RETRIABLE = (
    STALE_METADATA
    | STALE_COORDINATOR
    | frozenset(
        [
            ErrorCode.REQUEST_TIMED_OUT,
            ErrorCode.KAFKA_STORAGE_ERROR,
            ErrorCode.NOT_ENOUGH_REPLICAS,
            ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ErrorCode.NETWORK_EXCEPTION,
            ErrorCode.NOT_CONTROLLER,
            ErrorCode.OFFSET_NOT_AVAILABLE,
        ]
    )
)
REQUEST_TIMEOUT_S = 10.0


class Caller:
    """One client's way to the broker. Mutable: `connections` counts how often it was made anew."""

    def __init__(self, world: World, name: str, chance: random.Random) -> None:
        self.world = world
        self.name = name
        self.chance = chance
        self.connections = 0
        self._client: WireClient | None = None
        self._probe = ClientProbe(world.situations)
        self._cluster: ClusterClient | None = None
        if world.is_cluster:
            self._cluster = ClusterClient(
                world, name, chance, timeout_s=REQUEST_TIMEOUT_S, probe=self._probe
            )

    async def client(self) -> Client:
        """An open connection; to a cluster, to all who lead. ConnectionGoneError."""
        if self._cluster is not None:
            await self._cluster.open()
            self.connections = self._cluster.generation
            return self._cluster
        if self._client is None or not self._client.is_open:
            self._client = await connect(
                self.world.machine.address,
                self.name,
                timeout_s=REQUEST_TIMEOUT_S,
                probe=self._probe,
            )
            self.connections += 1
        return self._client

    def hang_up(self) -> None:
        if self._cluster is not None:
            self._cluster.close()
        if self._client is not None:
            self._client.close()
            self._client = None

    async def pause(self) -> None:
        """Before the next try."""
        await asyncio.sleep(self.chance.uniform(0.05, 1))

    async def ask(
        self, request: Request, version: int, cls: type[ResponseT], timeout_s: float | None = None
    ) -> ResponseT:
        """Once. ConnectionGoneError."""
        client = await self.client()
        return await client.send(request, version, cls, timeout_s)

    async def insist(
        self,
        request: Callable[[], Request],
        version: int,
        cls: type[ResponseT],
        code_of: Callable[[ResponseT], int],
    ) -> tuple[ResponseT, int]:
        """Until the answer is none to try again after; and how often it was sent."""
        tries = 0
        while True:
            tries += 1
            try:
                answer = await self.ask(request(), version, cls)
            except ConnectionGoneError:
                await self.pause()
                continue
            code = ErrorCode(code_of(answer))
            if code not in RETRIABLE:
                return answer, tries
            await self.recover(code)

    async def recover(self, code: ErrorCode, group: str = "") -> None:
        """What a client does about a retriable error before it tries again. It may fail as well."""
        await self.pause()
        try:
            if code in STALE_METADATA:
                await self.refresh_metadata()
            elif code in STALE_COORDINATOR:
                await self.find_coordinator(group or self.name)
        except ConnectionGoneError:
            await self.pause()

    async def refresh_metadata(self, *topics: str) -> MetadataResponse:
        """Of these topics, or of all. ConnectionGoneError."""
        wanted = [MetadataRequestTopic(name=name) for name in topics] if topics else None
        request = MetadataRequest(topics=wanted, allow_auto_topic_creation=False)
        return await self.ask(request, 12, MetadataResponse)

    async def find_coordinator(self, group: str) -> None:
        """ConnectionGoneError."""
        if self._cluster is not None:
            await self._cluster.find_coordinator(group)
            return
        request = FindCoordinatorRequest(coordinator_keys=[group])
        answer = (await self.ask(request, 6, FindCoordinatorResponse)).coordinators[0]
        if answer.error_code == 0 and (answer.host, answer.port) != self.world.machine.address:
            raise InvariantError(f"the coordinator of {group} is at {answer.host}:{answer.port}")


def must_be(code: int, *allowed: ErrorCode, who: str, what: str) -> ErrorCode:
    """The code, which is one of these or NONE; InvariantError else."""
    found = ErrorCode(code)
    if found is not ErrorCode.NONE and found not in allowed:
        raise InvariantError(f"{who}: {what} was answered {found.name}")
    return found
