"""One client of a cluster: it learns who leads what, and sends each part of a request there.

As real clients do: metadata from any broker, taken only where they are not older than what is known
(KIP-320), and asked for again after an answer that says they are stale; a connection to each
leader; the coordinator of a group from whoever tells. Counterparts: `routing` (what goes where),
`client` (one connection), `workload.caller` (whoever uses this).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from simulator.client import ConnectionGoneError, WireClient, connect
from simulator.routing import NO_LEADER, NOBODY, Partition, group_of, merged, refused, split
from wire.errors import ErrorCode
from wire.messages.fetch import FetchResponse
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from wire.messages.list_offsets import ListOffsetsResponse
from wire.messages.metadata import MetadataRequest, MetadataResponse
from wire.messages.produce import ProduceResponse
from wire.schema import Request, Response

if TYPE_CHECKING:
    from simulator.probes_clients import ClientProbe
    from simulator.world import World

ResponseT = TypeVar("ResponseT", bound=Response)

CONNECT_S = 2.0
"""How long a client waits for a connection."""
AWAY_S = 3.0
"""How long it leaves a broker alone that it could not reach."""
METADATA_AGE_S = 20.0
STALE = frozenset(
    [
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
    ]
)
MOVED = frozenset(
    [
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    ]
)


class Coded(Protocol):
    """A part of an answer."""

    error_code: int


class ClusterClient:
    """Mutable. `generation` changes with each way that a request may take: what was sent before
    may arrive after what is sent from now on."""

    def __init__(
        self,
        world: World,
        name: str,
        chance: random.Random,
        *,
        timeout_s: float,
        probe: ClientProbe,
    ) -> None:
        self.generation = 0
        self._world = world
        self._name = name
        self._chance = chance
        self._timeout_s = timeout_s
        self._probe = probe
        self._addresses = {each: machine.address for each, machine in world.machines.items()}
        self._connections: dict[int, WireClient] = {}
        self._away_until: dict[int, float] = {}
        self._leaders: dict[Partition, tuple[int, int]] = {}
        """(leader epoch, broker)."""
        self._asked_at = -METADATA_AGE_S
        self._is_stale = True
        self._coordinators: dict[str, int] = {}
        self._wanted: dict[str, None] = {}
        """Groups whose coordinators are to be found."""

    @property
    def is_open(self) -> bool:
        return any(each.is_open for each in self._connections.values())

    async def open(self) -> None:
        """Be ready to send: know the leaders, have connections to those that can be reached.
        ConnectionGoneError: nobody can be."""
        old_s = self._world.loop.now - self._asked_at
        if self._is_stale or old_s > METADATA_AGE_S:
            await self._refresh()
        leaders = {broker for _, broker in self._leaders.values()} | {*self._coordinators.values()}
        for broker in sorted(leaders - {NOBODY}):
            await self._reach(broker)
        for group in list(self._wanted):
            del self._wanted[group]
            await self.find_coordinator(group)
        if not self.is_open:
            raise ConnectionGoneError("no broker is reached")

    async def find_coordinator(self, group: str) -> None:
        """ConnectionGoneError."""
        self._coordinators.pop(group, None)
        client = await self._anybody()
        request = FindCoordinatorRequest(coordinator_keys=[group])
        answer = await client.send(request, 6, FindCoordinatorResponse, CONNECT_S)
        found = answer.coordinators[0]
        if found.error_code == ErrorCode.NONE:
            self._coordinators[group] = found.node_id
            await self._reach(found.node_id)

    def send(
        self, request: Request, version: int, cls: type[ResponseT], timeout_s: float | None = None
    ) -> asyncio.Future[ResponseT]:
        """Send it now to whom it is for; who cannot be reached answers that it is not the one."""
        parts = split(request, self._leader)
        if parts is None:
            client = self._client_for(request)
            if client is None:
                return _gone()
            return self._heard(client.send(request, version, cls, timeout_s), request)
        answers: list[asyncio.Future[ResponseT]] = []
        for broker, part in parts.items():
            client = self._connections.get(broker)
            if client is not None and client.is_open:
                answers.append(client.send(part, version, cls, timeout_s))
            else:
                self._is_stale = True
                answers.append(_told(cast(ResponseT, refused(part))))
        return self._heard(_together(answers), request)

    def send_unanswered(self, request: Request, version: int) -> None:
        """A Produce with acks=0, to the leaders that are connected."""
        for broker, part in (split(request, self._leader) or {}).items():
            client = self._connections.get(broker)
            if client is not None:
                client.send_unanswered(part, version)

    def pause_taking(self) -> None:
        for each in self._connections.values():
            each.pause_taking()

    def resume_taking(self) -> None:
        for each in self._connections.values():
            each.resume_taking()

    def close(self) -> None:
        for each in self._connections.values():
            each.close()
        self._connections.clear()

    # --- whom ---

    def _leader(self, partition: Partition) -> int:
        return self._leaders.get(partition, (0, NOBODY))[1]

    def _client_for(self, request: Request) -> WireClient | None:
        group = group_of(request)
        if not group:
            there = [each for _, each in sorted(self._connections.items()) if each.is_open]
            return self._chance.choice(there) if there else None
        client = self._connections.get(self._coordinators.get(group, NOBODY))
        if client is None or not client.is_open:
            self._wanted[group] = None
            return None
        return client

    def _heard(
        self, answer: asyncio.Future[ResponseT], request: Request
    ) -> asyncio.Future[ResponseT]:
        """What is stale is asked for again before anything else is sent. Nobody has the answer
        before it was looked at, not even who asks for one that is there already."""
        heard: asyncio.Future[ResponseT] = asyncio.get_running_loop().create_future()

        def hear(done: asyncio.Future[ResponseT]) -> None:
            self._take_codes(done, group_of(request))
            if heard.done():
                return
            if done.cancelled():
                heard.cancel()
            elif (error := done.exception()) is not None:
                heard.set_exception(error)
                heard.exception()  # whoever does not wait for it need not hear of it
            else:
                heard.set_result(done.result())

        answer.add_done_callback(hear)
        return heard

    def _take_codes(self, done: asyncio.Future[ResponseT], group: str) -> None:
        if done.cancelled() or done.exception() is not None:
            if group:
                self._wanted[group] = None
            return
        codes = codes_in(done.result())
        if isinstance(done.result(), ProduceResponse | FetchResponse | ListOffsetsResponse):
            codes = _not_known_yet(done.result())
        if not STALE.isdisjoint(codes):
            self._is_stale = True
        if group and not MOVED.isdisjoint(codes):
            self._wanted[group] = None

    # --- connections ---

    async def _refresh(self) -> None:
        """ConnectionGoneError."""
        client = await self._anybody()
        request = MetadataRequest(topics=None, allow_auto_topic_creation=False)
        answer = await client.send(request, 12, MetadataResponse, CONNECT_S)
        self._asked_at = self._world.loop.now
        self._is_stale = False
        self._addresses |= {each.node_id: (each.host, each.port) for each in answer.brokers}
        for topic in answer.topics:
            for part in topic.partitions:
                key = topic.name or "", part.partition_index
                known = self._leaders.get(key, (-1, NOBODY))
                if part.leader_epoch >= known[0] and known != (part.leader_epoch, part.leader_id):
                    self._leaders[key] = part.leader_epoch, part.leader_id
                    self.generation += 1

    async def _anybody(self) -> WireClient:
        """An open connection to some broker. ConnectionGoneError."""
        order = sorted(self._addresses)
        self._chance.shuffle(order)
        for broker in order:
            client = await self._reach(broker)
            if client is not None:
                return client
        raise ConnectionGoneError("no broker is reached")

    async def _reach(self, broker: int) -> WireClient | None:
        """A connection to this one; None: not now."""
        client = self._connections.get(broker)
        if client is not None and client.is_open:
            return client
        address = self._addresses.get(broker)
        if address is None or self._world.loop.now < self._away_until.get(broker, 0.0):
            return None
        try:
            async with asyncio.timeout(CONNECT_S):
                client = await connect(
                    address, self._name, timeout_s=self._timeout_s, probe=self._probe
                )
        except (ConnectionGoneError, TimeoutError):
            self._away_until[broker] = self._world.loop.now + AWAY_S
            self._is_stale = True
            return None
        self._connections[broker] = client
        self.generation += 1
        return client


def codes_in(answer: Response) -> set[int]:
    """Every error code in it, at any depth."""
    return {each.error_code for each in _with_codes(answer)}


def _not_known_yet(answer: Response) -> set[int]:
    """A broker may hear of a topic after its clients: real ones then ask for metadata again, as
    they do where it is not the leader. So that is what is told on; the codes then."""
    for each in _with_codes(answer):
        if each.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            each.error_code = NO_LEADER
    return codes_in(answer)


def _with_codes(answer: Response) -> Iterator[Coded]:
    queue: list[object] = [answer]
    while queue:
        each = queue.pop()
        if hasattr(each, "error_code"):
            yield cast(Coded, each)
        for name in ("responses", "topics", "partitions", "partition_responses", "groups"):
            queue += getattr(each, name, None) or ()


def _together(answers: Sequence[asyncio.Future[ResponseT]]) -> asyncio.Future[ResponseT]:
    """Done when all are; it fails as soon as one does."""
    if len(answers) == 1:
        return answers[0]
    whole: asyncio.Future[ResponseT] = asyncio.get_running_loop().create_future()

    def one_done(done: asyncio.Future[ResponseT]) -> None:
        if whole.done():
            return
        error = done.exception()
        if error is not None:
            whole.set_exception(error)
            whole.exception()  # whoever does not wait for it need not hear of it
        elif all(each.done() and each.exception() is None for each in answers):
            whole.set_result(merged([each.result() for each in answers]))

    for each in answers:
        each.add_done_callback(one_done)
    return whole


def _told(answer: ResponseT) -> asyncio.Future[ResponseT]:
    done: asyncio.Future[ResponseT] = asyncio.get_running_loop().create_future()
    done.set_result(answer)
    return done


def _gone() -> asyncio.Future[ResponseT]:
    done: asyncio.Future[ResponseT] = asyncio.get_running_loop().create_future()
    done.set_exception(ConnectionGoneError("not reached"))
    done.exception()  # whoever does not wait for it need not hear of it
    return done
