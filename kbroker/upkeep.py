"""What a broker does from time to time, in tasks of its own, while it serves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_store import MetadataStoreError
from kbroker.config.broker_config import BrokerConfig
from kbroker.coordination import GroupCoordinator
from kbroker.replication.replica_manager import ReplicaManager
from kbroker.server import IDLE_LOOKS, Server
from kbroker.tasks import TaskSupervisor, every

DELETED_TOPICS_INTERVAL_MS = 1_000


def start_upkeep(
    tasks: TaskSupervisor,
    *,
    config: BrokerConfig,
    replicas: ReplicaManager,
    controller: Controller,
    metadata: MetadataCache,
    coordinator: GroupCoordinator,
    server: Server,
    on_checkpoints: Callable[[], None],
) -> None:
    """Start all of it. `on_checkpoints`: told after each time that they were written."""
    tasks.spawn_essential(replicas.make_partitions(), "partitions")

    async def write_checkpoints() -> None:
        await replicas.write_checkpoints()
        on_checkpoints()

    async def flush_overdue() -> None:
        replicas.flush_overdue()

    async def remove_deleted() -> None:
        replicas.make_unmade(metadata.image)
        deleted = [
            topic_id
            for topic_id, topic in sorted(metadata.image.deleted_topics.items())
            if controller.node_id in topic.replicas
        ]
        await replicas.remove_deleted()
        with contextlib.suppress(MetadataStoreError):  # the next time will do
            for topic_id in deleted:
                await controller.confirm_deletion(topic_id)

    upkeep = (
        ("retention", config.log_retention_check_interval_ms, replicas.apply_retention),
        ("checkpoints", config.log_flush_offset_checkpoint_interval_ms, write_checkpoints),
        ("overdue flushes", min(config.log_flush_scheduler_interval_ms, 1_000), flush_overdue),
        ("deleted topics", DELETED_TOPICS_INTERVAL_MS, remove_deleted),
        (
            "expired offsets",
            config.offsets_retention_check_interval_ms,
            coordinator.expire_offsets,
        ),
        (
            "idle connections",
            config.connections_max_idle_ms // IDLE_LOOKS,
            server.look_after_connections,
        ),
    )
    for name, interval_ms, work in upkeep:
        if interval_ms >= 0:  # less is Kafka's way to say never
            tasks.spawn(every(lambda interval_ms=interval_ms: interval_ms, work), name)  # type: ignore[misc]
