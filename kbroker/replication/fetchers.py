"""Which partitions are fetched from whom: one fetcher for each leader that this broker follows.

Driven by the metadata: `follow` looks at what a partition is now. Counterpart: `fetcher`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

from kbroker.broker_clients import BrokerClients
from kbroker.config.broker_config import BrokerConfig
from kbroker.dependencies import WallClock
from kbroker.replication.fetcher import Fetcher
from kbroker.replication.fetcher_session import PartitionKey
from kbroker.replication.partition import Partition


class Spawn(Protocol):
    """Starts a task without which the broker must not go on (`tasks.TaskSupervisor`)."""

    def __call__(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]: ...


class Fetchers:
    """All fetchers of a broker. Mutable. `clients` are nobody else's: a Fetch that waits at its
    leader holds up what is sent behind it. `broker_epoch`: None while this is no member."""

    def __init__(
        self,
        *,
        node_id: int,
        clients: BrokerClients,
        spawn: Spawn,
        config: Callable[[], BrokerConfig],
        clock: WallClock,
        broker_epoch: Callable[[], int | None],
        storage_failed: Callable[[OSError], None],
    ) -> None:
        self._node_id = node_id
        self._clients = clients
        self._spawn = spawn
        self._config = config
        self._clock = clock
        self._broker_epoch = broker_epoch
        self._storage_failed = storage_failed
        self._leaders: dict[PartitionKey, int] = {}
        self._fetchers: dict[int, tuple[Fetcher, asyncio.Task[None]]] = {}
        self._is_closed = False

    @property
    def leader_ids(self) -> list[int]:
        """Whom this broker fetches from."""
        return sorted(self._fetchers)

    def follow(self, partition: Partition) -> None:
        """The partition is new, or its record changed: fetch it from its leader, if that is another
        broker."""
        if self._is_closed:
            return
        key = _key(partition)
        leader_id = partition.record.leader if partition.is_follower else None
        if self._leaders.get(key) != leader_id:
            self._leave(key)
        if leader_id is not None:
            self._leaders[key] = leader_id
            self._fetcher(leader_id).follow(key, partition)

    def remove(self, partition: Partition) -> None:
        """The partition is gone from this broker."""
        self._leave(_key(partition))

    def close(self) -> None:
        """Fetch nothing any more."""
        self._is_closed = True
        self._leaders.clear()
        fetchers, self._fetchers = self._fetchers, {}
        for _, task in fetchers.values():
            task.cancel()

    def _fetcher(self, leader_id: int) -> Fetcher:
        found = self._fetchers.get(leader_id)
        if found is not None:
            return found[0]
        fetcher = Fetcher(
            leader_id,
            node_id=self._node_id,
            clients=self._clients,
            config=self._config,
            clock=self._clock,
            broker_epoch=self._broker_epoch,
            storage_failed=self._storage_failed,
        )
        task = self._spawn(fetcher.run(), f"fetching from broker {leader_id}")
        self._fetchers[leader_id] = fetcher, task
        return fetcher

    def _leave(self, key: PartitionKey) -> None:
        leader_id = self._leaders.pop(key, None)
        if leader_id is None:
            return
        fetcher, task = self._fetchers[leader_id]
        fetcher.remove(key)
        if not len(fetcher):
            del self._fetchers[leader_id]
            task.cancel()


def _key(partition: Partition) -> PartitionKey:
    return partition.log.topic_id, partition.index
