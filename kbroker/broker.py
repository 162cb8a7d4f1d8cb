"""One broker: puts the parts together, starts them in order, and stops them in order.

`process` is what stands around it: event loop, signals, the ready line. A simulation makes a
`Broker` of its own, with other dependencies, in a loop that many share.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import MetadataDelta
from kbroker.cluster.metadata_store import (
    MetadataStoreError,
)
from kbroker.cluster.topic_ids import random_id
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.running_config import RunningConfig
from kbroker.config_admin import ConfigAdmin
from kbroker.coordination import GroupCoordinator
from kbroker.dependencies import Dependencies
from kbroker.dispatch import Dispatcher
from kbroker.flusher import Flusher, FlushScheduler
from kbroker.handlers import HANDLERS
from kbroker.live_configs import follow_changes, take_stored_configs, topic_defaults
from kbroker.opening import Opening, StartError
from kbroker.producer_ids import ProducerIds
from kbroker.registration import registration_of
from kbroker.replication.fetch_session import FetchSessions
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.server import Server
from kbroker.services import Services
from kbroker.tasks import StoppedError, TaskSupervisor, before
from kbroker.topics import GROUP_TOPIC, Topics
from kbroker.upkeep import start_upkeep
from kbroker.watch import Deadlines
from log.log_directory import LogDirectory
from log.recovery import LogDamagedError
from wire.errors import KafkaError

if TYPE_CHECKING:
    from kbroker.clustering import Clustering
    from kbroker.observability.monitoring import Monitoring

__all__ = ["Broker", "StartError"]

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
"""What the other brokers get to take over what this one leads, before it stops without that."""

GROUPS_FIRST_S = 1.0
"""How long clients are kept waiting for groups that load: ordinary ones are there when the broker
says that it is ready."""


class Broker:
    """`start` it, wait for `stopped`, `stop` it: cleanly where the disk allows."""

    def __init__(self, config: BrokerConfig, dependencies: Dependencies) -> None:
        self.running_config = RunningConfig(config)
        self.stopped = asyncio.Event()
        self.failure = ""
        self._dependencies = dependencies
        self._loop = asyncio.get_running_loop()
        self._opening = Opening(config, dependencies)
        self._flusher: Flusher | None = None
        self._monitoring: Monitoring | None = None
        self.clustering: Clustering | None = None
        """What this broker is to others, where there are others."""
        self.replicas: ReplicaManager
        self.server: Server
        self._logs_are_sound = False
        self._is_refused = False
        self._is_admitted = False
        self._storage_errno: int | None = None

    @property
    def config(self) -> BrokerConfig:
        """What holds now."""
        return self.running_config.now

    @property
    def cluster_id(self) -> str:
        """Empty until the metadata were reached."""
        return self._opening.cluster_id

    @property
    def http_address(self) -> tuple[str, int] | None:
        """Where metrics are, if anywhere."""
        return None if self._monitoring is None else self._monitoring.http.address

    async def start(self, tasks: TaskSupervisor) -> None:
        """Open the disk, learn the metadata, take up leadership, then listen. StartError."""
        config = self.config
        paths = config.data_directories
        if len(paths) > 1:
            raise StartError("several log.dirs are not served yet: give one")
        path = os.path.abspath(paths[0])
        await self._bind()
        if config.kbroker_http_listener is not None:
            await self._listen_http(config.kbroker_http_listener, path, tasks)
        try:
            controller = await self._opening.open(path, stopped=self.stopped)
            await self._start_on(controller, tasks)
        except LogDamagedError as error:
            self._is_refused = True
            raise StartError(
                f"{error}. To accept the loss, start once with "
                "--set kbroker.accept.damaged.logs=true"
            ) from error
        except MetadataStoreError as error:
            raise StartError(error.detail) from error
        except KafkaError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(f"{error.filename or path}: {error.strerror or error}") from error

    async def _start_on(self, controller: Controller, tasks: TaskSupervisor) -> None:
        config = self.config
        dependencies = self._dependencies
        directory, store = self._opening.directory, self._opening.store
        assert directory is not None
        assert store is not None
        store.on_broken = self._metadata_broken
        metadata = MetadataCache(store, controller.keys)
        await self._opening.patiently(metadata.load, stopped=self.stopped)
        take_stored_configs(self.running_config, metadata.image)
        controller.defaults = topic_defaults(self.config)
        topics = Topics(
            running_config=self.running_config,
            controller=controller,
            metadata=metadata,
            settled=lambda topic_ids: self.replicas.settled(topic_ids),
        )
        self._flushes = flushes = self._make_flushes(directory)
        self.replicas = replicas = ReplicaManager(
            node_id=config.node_id,
            directory=directory,
            flushes=flushes,
            clock=dependencies.clock,
            random=dependencies.random,
            config_of=topics.log_config_of,
            on_storage_error=self.storage_failed,
            closing_threads=dependencies.closing_threads,
        )
        replicas.open_logs(metadata.image, accept_damage=config.kbroker_accept_damaged_logs)
        self._logs_are_sound = True
        tasks.spawn_essential(metadata.run(), "metadata")
        if store.is_shared:
            await self._join_others(controller, metadata, topics, tasks)
        else:
            await self._join(directory, controller, metadata)
        replicas.start(metadata.image)
        coordinator = self._serve(metadata, topics, controller, tasks)
        follow_changes(
            self.running_config, metadata.image, controller=controller, replicas=replicas
        )
        metadata.on_change(lambda delta: self._changed(delta, metadata, coordinator, tasks))
        await coordinator.start(wait_s=GROUPS_FIRST_S)
        cluster = self.clustering
        dispatcher = Dispatcher(
            self.services,
            handlers=HANDLERS if cluster is None else cluster.forwarder.wrap(HANDLERS),
            spawn=tasks.spawn,
            abort=dependencies.abort,
            meters=None if self._monitoring is None else self._monitoring.requests,
            max_elements=config.kbroker_request_partitions,
        )
        await self.server.serve(dispatcher.dispatch)
        start_upkeep(
            tasks,
            config=config,
            replicas=replicas,
            controller=controller,
            metadata=metadata,
            coordinator=coordinator,
            server=self.server,
            on_checkpoints=self._disk_works,
        )
        if self._monitoring is not None:
            self._monitoring.serving(self.services)

    def _make_flushes(self, directory: LogDirectory) -> FlushScheduler:
        self._flusher = self._dependencies.make_flusher(os.path.basename(directory.path))
        if self._monitoring is not None:
            self._flusher = self._monitoring.measured(self._flusher)
        return FlushScheduler(
            self._flusher,
            call_soon=self._loop.call_soon,
            on_error=self.storage_failed,
            on_failed_flush=self.flush_failed,
            call_later=self._loop.call_later,
            note_flushed=directory.flushed_ends.note,
        )

    async def _join(
        self, directory: LogDirectory, controller: Controller, metadata: MetadataCache
    ) -> None:
        """Register, be admitted, and see it: every partition led here has a new leader epoch."""
        config = self.config
        incarnation = random_id(self._dependencies.random)
        registration = registration_of(config, self.server, directory, incarnation)
        await controller.start_broker(
            registration,
            is_lossy=lambda topic_id, index: self.replicas.is_lossy(
                topic_id, index, metadata.image
            ),
        )
        directory.damaged.told()
        self._is_admitted = True
        if controller.epoch:
            # The last start may have been one with another min.insync.replicas.
            await controller.spread_min_isr(metadata.image)
        await metadata.load()

    async def _join_others(
        self,
        controller: Controller,
        metadata: MetadataCache,
        topics: Topics,
        tasks: TaskSupervisor,
    ) -> None:
        """Become one of several brokers, who lead what this one does not."""
        # Imported here: who is alone does not wait for it.
        from kbroker.clustering import Clustering, Parts

        directory, store = self._opening.directory, self._opening.store
        history = self._opening.history
        assert directory is not None
        assert store is not None
        assert history is not None
        parts = Parts(
            store=store,
            history=history,
            controller=controller,
            metadata=metadata,
            topics=topics,
            replicas=self.replicas,
            directory=directory,
            running_config=self.running_config,
            server=self.server,
            dependencies=self._dependencies,
            loop_time=self._loop.time,
            tasks=tasks,
        )
        self.clustering = Clustering(
            parts, storage_failed=self.storage_failed, request_stop=self.request_stop
        )
        try:
            await before(self.stopped, self.clustering.join())
        except StoppedError:
            raise StartError("stopped before the cluster has admitted this broker") from None
        self._is_admitted = True
        self.clustering.follow_partitions()

    def _serve(
        self,
        metadata: MetadataCache,
        topics: Topics,
        controller: Controller,
        tasks: TaskSupervisor,
    ) -> GroupCoordinator:
        config = self.config
        dependencies = self._dependencies
        deadlines = Deadlines(self._loop)
        coordinator = GroupCoordinator(
            config=config,
            clock=dependencies.clock,
            random=dependencies.random,
            deadlines=deadlines,
            loop_time=self._loop.time,
            replicas=self.replicas,
            topics=topics,
            storage_failed=self.storage_failed,
            spawn=tasks.spawn,
        )
        self.services = Services(
            running_config=self.running_config,
            listeners=config.parsed_listeners(),
            cluster_id=self.cluster_id,
            node_id=config.node_id,
            clock=dependencies.clock,
            deadlines=deadlines,
            metadata=metadata,
            controller=controller,
            topics=topics,
            configs=ConfigAdmin(
                running_config=self.running_config, controller=controller, metadata=metadata
            ),
            replicas=self.replicas,
            flushes=self._flushes,
            fetch_sessions=FetchSessions(
                max_sessions=config.max_incremental_fetch_session_cache_slots,
                random=dependencies.random,
            ),
            producer_ids=ProducerIds(
                controller.allocate_producer_id_block,
                spawn=None if self.clustering is None else tasks.spawn,
            ),
            group_coordinator=coordinator,
            advertised_apis=[(int(key), row.advertised) for key, row in sorted(HANDLERS.items())],
            storage_failed=self.storage_failed,
            **({} if self.clustering is None else self.clustering.services()),
        )
        if self.clustering is not None:
            self.clustering.on_lost = coordinator.leadership_changed
        self.services.producer_ids.reserve_ahead()
        return coordinator

    async def _bind(self) -> None:
        """Take the addresses before anything is written: a taken port leaves nothing behind."""
        self.server = Server(
            loop=self._loop,
            running_config=self.running_config,
            max_connections=self._dependencies.max_connections,
        )
        for listener in self.config.parsed_listeners().opened:
            try:
                await self.server.bind([listener])
            except OSError as error:
                place = f"{listener.host}:{listener.port}"
                raise StartError(f"cannot listen on {place}: {_reason(error)}") from None

    async def _listen_http(self, address: str, path: str, tasks: TaskSupervisor) -> None:
        # Imported here: who asks for nothing of it does not wait for it.
        from kbroker.observability.monitoring import Monitoring

        self._monitoring = Monitoring(
            self._loop,
            server=self.server,
            file_system=self._dependencies.file_system,
            directory=path,
            turns=self._dependencies.turns,
            spawn=tasks.spawn,
        )
        try:
            await self._monitoring.listen(address)
        except OSError as error:
            raise StartError(f"cannot listen on {address}: {_reason(error)}") from None

    def _changed(
        self,
        delta: MetadataDelta,
        metadata: MetadataCache,
        coordinator: GroupCoordinator,
        tasks: TaskSupervisor,
    ) -> None:
        if delta.changed_broker_configs:
            take_stored_configs(self.running_config, metadata.image)
        if self.clustering is not None:
            self.clustering.changed(delta)
        self.replicas.apply(metadata.image, delta)
        group_topic_id = metadata.image.topic_ids.get(GROUP_TOPIC)
        if any(topic.name == GROUP_TOPIC for topic in delta.created_topics) or any(
            topic_id == group_topic_id for topic_id, _ in delta.changed_partitions
        ):
            coordinator.leadership_changed()
        if delta.deleted_topics:
            # A topic made anew under the name must not start from the old one's checkpoints.
            tasks.spawn(self.replicas.write_checkpoints(), "checkpoints")
        for topic in delta.deleted_topics:
            coordinator.forget_topic(topic.name)

    def _disk_works(self) -> None:
        """Its next failure is news again."""
        self._storage_errno = None

    def flush_failed(self, error: OSError) -> None:
        """What the kernel has dropped it will not report again: never retried, whatever it was."""
        self.replicas.take_offline()
        self.storage_failed(error)

    def storage_failed(self, error: OSError) -> None:
        """The disk refused. A full disk passes; the rest ends the broker, whose only log directory
        is offline: the next start checks what is there."""
        if error.errno != self._storage_errno:
            self._storage_errno = error.errno  # once, not for each request that meets it
            logger.error("the disk failed: %s", error)
        self.replicas.storage_failed(error)
        if self.replicas.offline:
            self.request_stop(f"the log directory is offline: {error}")

    def _metadata_broken(self, error: MetadataStoreError) -> None:
        """Whether a change was written nobody knows before the next start reads it: until then no
        topic, no setting and no producer id could be given out."""
        logger.error("the metadata store failed: %s", error.detail)
        self.request_stop(f"the metadata store is broken: {error.detail}")

    def request_stop(self, failure: str = "") -> None:
        """Ask the broker to end; `failure` is why it has to."""
        self.failure = self.failure or failure
        self.stopped.set()

    @property
    def _loss_is_told(self) -> bool:
        """Whether a possible loss at the last stop, if any, is on record: by the admission."""
        directory = self._opening.directory
        return self._is_admitted or (directory is not None and directory.was_clean)

    async def drain(self) -> None:
        """Answer what has taken effect, start nothing more."""
        if self._monitoring is not None:
            self._monitoring.stopping()
        if self.clustering is not None and self.config.controlled_shutdown_enable:
            await self.clustering.drain(DRAIN_S)
        await self.server.drain()

    async def stop(self) -> None:
        """Stop serving, flush, write the checkpoints, and say last of all that it was clean."""
        directory = self._opening.directory
        if hasattr(self, "server"):
            await self.server.close()
        if hasattr(self, "services"):
            self.services.group_coordinator.close()
        if self._monitoring is not None:
            await self._monitoring.close()
        if self.clustering is not None:
            self.clustering.close()
        if self._flusher is not None:
            self._flusher.close()
        clean = False
        if hasattr(self, "replicas"):
            await self.replicas.settle()
            # No word that all is well from a start that has told no controller yet that the stop
            # before it may have cost records. One that found damage leaves what it found: after a
            # clean stop more is damage than after a crash, also to the start after this one.
            clean = self._logs_are_sound or self._is_refused
            clean = clean and not self.failure and self._loss_is_told
            clean = self.replicas.close(clean=clean)
        elif directory is not None:
            # Nothing was opened: what it was left as, it still is.
            directory.close(clean=directory.was_clean, high_watermarks={})
        if self.clustering is not None:
            await self.clustering.leave()
        if self._opening.store is not None:
            await self._opening.store.close()
        if self._logs_are_sound:
            logger.info("stopped%s", "" if clean else " uncleanly: the next start checks the logs")


def _reason(error: OSError) -> str:
    """Why, in the system's words; a name that cannot be resolved has its own numbers."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
