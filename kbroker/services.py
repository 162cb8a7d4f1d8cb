"""What handlers may use of the broker: one object, handed to each request's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kbroker.awaited_batches import AwaitedBatches
from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.listeners import Listeners
from kbroker.config.running_config import RunningConfig
from kbroker.config_admin import ConfigAdmin
from kbroker.connection import Connection
from kbroker.coordination import GroupCoordinator
from kbroker.dependencies import WallClock
from kbroker.flusher import FlushScheduler
from kbroker.producer_ids import ProducerIds
from kbroker.replication.fetch_session import FetchSessions
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.replication.replica_reading import FollowerNotes
from kbroker.topic_lookup import TopicLookup
from kbroker.topics import Topics
from kbroker.watch import Deadlines

FRESH, SUSPECT, LOST = MEMBERSHIP_STATES = "fresh", "suspect", "lost"
"""Of a broker in its cluster (`cluster.membership.MembershipState`)."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where clients of one listener find a broker."""

    node_id: int
    host: str
    port: int
    rack: str | None


@dataclass(frozen=True, slots=True)
class Services:
    """The broker as its handlers see it."""

    running_config: RunningConfig
    listeners: Listeners
    cluster_id: str
    node_id: int
    clock: WallClock
    deadlines: Deadlines
    metadata: MetadataCache
    controller: Controller
    topics: Topics
    configs: ConfigAdmin
    replicas: ReplicaManager
    flushes: FlushScheduler
    fetch_sessions: FetchSessions
    producer_ids: ProducerIds
    group_coordinator: GroupCoordinator
    advertised_apis: Sequence[tuple[int, range]]
    storage_failed: Callable[[OSError], None]
    membership_state: Callable[[], str] = lambda: FRESH
    """One of MEMBERSHIP_STATES; who is alone is always a member."""
    topic_lookup: TopicLookup | None = None
    """Where other brokers make topics too."""

    internal_listener: str | None = None
    """The name of the listener that brokers alone use; None: nobody is a follower here."""
    isr_changes: FollowerNotes | None = None
    awaited_batches: AwaitedBatches = field(default_factory=AwaitedBatches)

    @property
    def config(self) -> BrokerConfig:
        """What holds now: some keys change while the broker runs, so keep no copy."""
        return self.running_config.now

    def controller_id(self) -> int:
        """The broker that clients send administration to; -1 while there is none."""
        controller_id = self.metadata.image.controller_id
        return -1 if controller_id is None else controller_id

    def broker_addresses(
        self, connection: Connection, *, fenced: bool = False
    ) -> list[BrokerAddress]:
        """Every broker that serves, by the listener that `connection` came in on; or, `fenced`,
        those that have registered and are not admitted yet."""
        brokers = self.metadata.image.brokers
        found = (
            self.address_of(node_id, connection)
            for node_id in sorted(brokers)
            if brokers[node_id].is_admitted != fenced
        )
        return [address for address in found if address is not None]

    def address_of(self, node_id: int, connection: Connection) -> BrokerAddress | None:
        """Where clients of the same listener find a broker; None: it is gone, or has none such."""
        if node_id == self.node_id:
            return self.own_address(connection)
        broker = self.metadata.image.brokers.get(node_id)
        if broker is None:
            return None
        registration = broker.registration
        for each in registration.listeners:
            if each.name == connection.listener.name:
                return BrokerAddress(node_id, each.host, each.port, registration.rack)
        return None

    def own_address(self, connection: Connection) -> BrokerAddress:
        """What is advertised for the listener, else the address that the client has reached."""
        advertised = self.listeners.advertised_for(connection.listener.name)
        host, port = connection.local_address
        if advertised is not None:
            host, port = advertised.host, advertised.port or port
        return BrokerAddress(self.node_id, host, port, self.config.broker_rack)
