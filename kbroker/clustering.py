"""What a broker is to the others of its cluster: member, follower, leader of followers, controller.

Made where the metadata store is shared, and by nobody else; the parts know nothing of each other,
this puts them together. Counterpart: `broker`, which starts and stops it with the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from kbroker.broker_clients import BrokerClients, Endpoint, endpoint_in
from kbroker.cluster.controller import Controller
from kbroker.cluster.controller_duties import ControllerDuties
from kbroker.cluster.lease_file import LEASE_FILE, LeaseFile
from kbroker.cluster.membership import Membership
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import MetadataDelta, TopicImage
from kbroker.cluster.metadata_store import MetadataStore, MetadataStoreError
from kbroker.cluster.store_history import NOTE_INTERVAL_MS, StoreHistory, StoreRestoredError
from kbroker.config.running_config import RunningConfig
from kbroker.dependencies import Dependencies
from kbroker.forwarding import Forwarder
from kbroker.registration import registration_of
from kbroker.replication.fetchers import Fetchers
from kbroker.replication.isr_changes import IsrChanges
from kbroker.replication.partition import Partition
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.replication.replica_reading import FollowerNotes
from kbroker.tasks import TaskSupervisor, every
from kbroker.topic_lookup import TopicLookup
from kbroker.topics import Topics
from log.log_directory import LogDirectory

if TYPE_CHECKING:
    from kbroker.server import Server

logger = logging.getLogger(__name__)

FRAME_ROOM = 64 << 20
"""Beyond what requests may have: an answer holds what its partitions' largest batches take."""


class ForHandlers(TypedDict, total=False):
    """The parts that requests meet (`services.Services`)."""

    internal_listener: str | None
    isr_changes: FollowerNotes | None
    topic_lookup: TopicLookup | None
    membership_state: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a broker has by the time it joins the others. `loop_time`: seconds that never step
    back."""

    store: MetadataStore
    history: StoreHistory
    controller: Controller
    metadata: MetadataCache
    topics: Topics
    replicas: ReplicaManager
    directory: LogDirectory
    running_config: RunningConfig
    server: Server
    dependencies: Dependencies
    loop_time: Callable[[], float]
    tasks: TaskSupervisor


class Clustering:
    """`start` it, tell it what has `changed`, `drain` it while it still serves, `leave` at last."""

    def __init__(
        self,
        parts: Parts,
        *,
        storage_failed: Callable[[OSError], None],
        request_stop: Callable[[str], None],
    ) -> None:
        self._parts = parts
        parts.history.reached = self._reached
        self.on_lost: Callable[[], None] = lambda: None
        """Told after this broker leads nothing any more."""
        self.internal_listener = parts.running_config.now.parsed_listeners().inter_broker_name
        self.membership = self._make_membership(request_stop)
        self._duties = ControllerDuties(
            parts.controller,
            parts.metadata,
            self.membership,
            is_unclean_enabled=self._is_unclean_enabled,
            rebalance_interval_s=self._rebalance_interval_s,
        )
        # A parked Fetch blocks its connection: each purpose has its own.
        self._asking = self._make_clients("admin")
        self._fetching = self._make_clients("fetcher")
        self.fetchers = Fetchers(
            node_id=parts.controller.node_id,
            clients=self._fetching,
            spawn=parts.tasks.spawn_essential,
            config=lambda: parts.running_config.now,
            clock=parts.dependencies.clock,
            broker_epoch=self._broker_epoch,
            storage_failed=storage_failed,
        )
        self.isr_changes = IsrChanges(
            parts.store,
            parts.controller.keys,
            node_id=parts.controller.node_id,
            broker_epoch=self._broker_epoch,
            active=self._active_brokers,
            partitions=lambda: iter(parts.replicas),
            spawn=parts.tasks.spawn,
            now=parts.loop_time,
            lag_max_ms=lambda: parts.running_config.now.replica_lag_time_max_ms,
        )
        self.forwarder = self._make_forwarder()
        parts.topics.create_elsewhere = self.forwarder.create_topic
        self.topic_lookup = TopicLookup(
            parts.store, parts.controller.keys, parts.metadata, parts.loop_time
        )

    def _make_membership(self, request_stop: Callable[[str], None]) -> Membership:
        parts = self._parts
        path = f"{parts.directory.path}/{LEASE_FILE}"
        membership = Membership(
            parts.controller,
            parts.metadata,
            is_shared=True,
            make_registration=lambda incarnation: registration_of(
                parts.running_config.now, parts.server, parts.directory, incarnation
            ),
            is_lossy=lambda topic_id, index: parts.replicas.is_lossy(
                topic_id, index, parts.metadata.image
            ),
            is_missing=lambda topic_id, index: parts.replicas.is_missing(
                topic_id, index, parts.metadata.image
            ),
            lease_file=LeaseFile(parts.dependencies.file_system, path),
            random=parts.dependencies.random,
            ttl_ms=parts.running_config.now.broker_session_timeout_ms,
            check_store=parts.history.check,
        )
        membership.on_lost = self._lost
        membership.on_refused = request_stop
        return membership

    def _make_forwarder(self) -> Forwarder:
        parts = self._parts
        return Forwarder(
            node_id=parts.controller.node_id,
            internal_listener=self.internal_listener,
            metadata=parts.metadata,
            clients=self._asking,
            holds_office=lambda: parts.controller.epoch != 0,
            timeout_s=lambda: parts.running_config.now.request_timeout_ms / 1000,
            loop_time=parts.loop_time,
        )

    def _make_clients(self, purpose: str) -> BrokerClients:
        parts = self._parts
        config = parts.running_config.now

        def look_up(broker_id: int) -> Endpoint | None:
            return endpoint_in(parts.metadata.image, broker_id, self.internal_listener)

        return BrokerClients(
            look_up,
            client_id=f"broker-{config.node_id}-{purpose}",
            timeout_ms=lambda: parts.running_config.now.request_timeout_ms,
            max_frame_bytes=config.socket_request_max_bytes + FRAME_ROOM,
        )

    async def join(self) -> None:
        """Become a member, admitted by whoever is the controller by then. KafkaError."""
        self._parts.tasks.spawn_essential(self._duties.run(), "controller duties")
        await self.membership.join()
        self._parts.directory.damaged.told()
        self._parts.tasks.spawn_essential(self.membership.run(), "membership")
        await self._parts.history.note()
        looking = every(lambda: NOTE_INTERVAL_MS, self._look_at_store)
        self._parts.tasks.spawn(looking, "metadata seen")

    def follow_partitions(self) -> None:
        """From now on partitions led elsewhere are fetched, and ISRs are looked after."""
        self._parts.replicas.on_partition = self.fetchers.follow
        self._parts.replicas.on_partition_gone = self.fetchers.remove

        def half_the_lag() -> int:
            return max(1, self._parts.running_config.now.replica_lag_time_max_ms // 2)

        self._parts.tasks.spawn(every(half_the_lag, self.isr_changes.look_for_lag), "lag")

    def services(self) -> ForHandlers:
        """What handlers may use of it."""
        return {
            "internal_listener": self.internal_listener,
            "isr_changes": self.isr_changes,
            "topic_lookup": self.topic_lookup,
            "membership_state": lambda: self.membership.state.value,
        }

    def changed(self, delta: MetadataDelta) -> None:
        """The metadata have changed."""
        if delta.changed_brokers:
            self._asking.endpoints_changed()
            self._fetching.endpoints_changed()
            self.isr_changes.brokers_changed()

    async def drain(self, timeout_s: float) -> None:
        """Give away what this broker leads, while it still serves; returns early once that is so,
        and after `timeout_s` however far it came."""
        await self.membership.drain(timeout_s)

    def close(self) -> None:
        """Fetch and ask nothing any more."""
        self.fetchers.close()
        self._fetching.close()
        self._asking.close()

    async def leave(self) -> None:
        """Give up the registration: whatever was to be written is written."""
        await self._parts.history.note()
        await self.membership.leave()

    def _lost(self) -> None:
        logger.warning("this broker is no longer a member of the cluster: it leads nothing now")
        for partition in self._parts.replicas:
            self._step_down(partition)
        self.on_lost()

    def _step_down(self, partition: Partition) -> None:
        partition.step_down()
        self.fetchers.follow(partition)

    async def _look_at_store(self) -> None:
        """Whether it is the one that this broker knows: one that was away for a moment may have
        been replaced, and a lease may be in a backup, too."""
        try:
            await self._parts.history.check()
        except StoreRestoredError as error:
            self.membership.lost("the metadata store was restored from a backup")
            self.membership.on_refused(error.detail)
        except MetadataStoreError:
            return  # the next time will do
        else:
            await self._parts.history.note()

    def _reached(self) -> tuple[int, int]:
        image = self._parts.metadata.image
        return image.revision, image.controller_epoch

    def _broker_epoch(self) -> int | None:
        return self.membership.broker_epoch or None

    def _active_brokers(self) -> Mapping[int, int]:
        brokers = self._parts.metadata.image.brokers
        return {each: broker.broker_epoch for each, broker in brokers.items() if broker.is_active}

    def _is_unclean_enabled(self, topic: TopicImage) -> bool:
        return self._parts.topics.config_of(topic).unclean_leader_election_enable

    def _rebalance_interval_s(self) -> float:
        config = self._parts.running_config.now
        if not config.auto_leader_rebalance_enable:
            return 0
        return config.leader_imbalance_check_interval_seconds
