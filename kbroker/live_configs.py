"""Lets what is set on brokers while they run take effect: on the logs, on new topics, on minimums.

`config/running_config.py` says what holds; most readers ask it when they need a value. Here is who
has computed something from a value and must compute it anew.
"""

from __future__ import annotations

from kbroker.cluster.controller import Controller
from kbroker.cluster.keys import DEFAULT_BROKER
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.topic_creation import TopicDefaults
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.running_config import RunningConfig
from kbroker.replication.replica_manager import ReplicaManager


def topic_defaults(config: BrokerConfig) -> TopicDefaults:
    """What a topic gets that says nothing itself."""
    return TopicDefaults(
        partition_count=config.num_partitions,
        replication_factor=config.default_replication_factor,
        min_isr=config.min_insync_replicas,
    )


def take_stored_configs(running_config: RunningConfig, image: MetadataImage) -> None:
    """Go by what the metadata says was set on this broker, and on every broker."""
    running_config.take(
        every_broker=image.broker_configs.get(DEFAULT_BROKER, {}),
        this_broker=image.broker_configs.get(str(running_config.static.node_id), {}),
    )


def follow_changes(
    running_config: RunningConfig,
    image: MetadataImage,
    *,
    controller: Controller,
    replicas: ReplicaManager,
) -> None:
    """From now on each change reaches every log that follows the broker, and new topics.

    `image` is the one that is kept current. What it has told since it was first asked holds, too:
    a broker that joins others may wait for long.
    """

    def changed(before: BrokerConfig, now: BrokerConfig) -> None:
        controller.defaults = topic_defaults(now)
        for topic in image.topics.values():
            replicas.update_configs(topic)

    running_config.on_change(changed)
    take_stored_configs(running_config, image)
