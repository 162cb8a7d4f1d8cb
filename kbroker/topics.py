"""Topics as the shell creates and deletes them: checks, defaults, and waiting until they serve.

A topic is usable when `create` has returned: this broker's metadata shows it, and its partitions
here are open. (Kafka answers earlier; its users poll.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import TopicImage
from kbroker.cluster.topic_creation import CreatedTopic, NewTopic
from kbroker.cluster.topic_growth import GrownTopic, TopicGrowth
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import ConfigError
from kbroker.config.topic_config import TopicConfig, topic_config
from log.log_config import LogConfig
from wire.errors import ErrorCode, KafkaError

GROUP_TOPIC = "__consumer_offsets"
TRANSACTION_TOPIC = "__transaction_state"
MAX_KEPT_CONFIGS = 1_000
"""Of topics with different settings."""
INTERNAL_TOPICS = (GROUP_TOPIC, TRANSACTION_TOPIC)


class Topics:
    """What is known of topics, and the way to change it."""

    def __init__(
        self,
        *,
        running_config: RunningConfig,
        controller: Controller,
        metadata: MetadataCache,
        settled: Callable[[Collection[bytes]], Awaitable[None]],
    ) -> None:
        """`settled` waits until this broker's partitions of the topics (ids) are made."""
        self._running_config = running_config
        self._controller = controller
        self._metadata = metadata
        self._settled = settled
        self.create_elsewhere: Callable[[NewTopic], Awaitable[bool]] | None = None
        """Has the controller create a topic, where that is another broker; False: it is not."""
        self._log_configs: dict[frozenset[tuple[str, str]], LogConfig] = {}
        self._log_configs_of = running_config.now

    def partition_count(self, name: str) -> int:
        """0 where there is no such topic."""
        topic = self._metadata.image.topic_by_name(name)
        return 0 if topic is None else len(topic.partitions)

    def leader_of(self, name: str, index: int) -> int | None:
        """The broker that leads a partition; None: nobody who is there, as far as is known."""
        image = self._metadata.image
        topic = image.topic_by_name(name)
        record = None if topic is None else topic.partitions.get(index)
        return None if record is None or record.leader not in image.brokers else record.leader

    def is_led_here(self, name: str, index: int) -> bool:
        return self.leader_of(name, index) == self._controller.node_id

    def led_here(self, name: str) -> list[int]:
        """The partitions of the topic that this broker leads, in order."""
        return [each for each in range(self.partition_count(name)) if self.is_led_here(name, each)]

    def config_of(self, topic: TopicImage) -> TopicConfig:
        """What holds for the topic: its own settings, else the broker's."""
        return topic_config(self._running_config.now, topic.configs)

    def log_config_of(self, topic: TopicImage) -> LogConfig:
        """The same, as the log wants it. Many topics have the same settings: one answer is for all
        of them, so that a change of the broker's reaches thousands of topics in one turn.
        """
        if self._log_configs_of is not self._running_config.now:
            self._log_configs.clear()
            self._log_configs_of = self._running_config.now
        key = frozenset(topic.configs.items())
        if key not in self._log_configs:
            if len(self._log_configs) >= MAX_KEPT_CONFIGS:
                self._log_configs.clear()
            self._log_configs[key] = self.config_of(topic).to_log_config(self._log_configs_of)
        return self._log_configs[key]

    async def create(
        self, topics: Sequence[NewTopic], *, validate_only: bool
    ) -> list[CreatedTopic | KafkaError]:
        """One answer for each topic; those created are usable on return."""
        answers = await self._controller.create_topics(
            topics, validate_only=validate_only, check_configs=self._check_configs
        )
        created = [each for each in answers if isinstance(each, CreatedTopic)]
        if created and not validate_only:
            await self._metadata.wait_until(max(each.revision for each in created))
            await self._settled([each.topic_id for each in created])
        return answers

    async def create_partitions(
        self, growths: Sequence[TopicGrowth], *, validate_only: bool
    ) -> list[GrownTopic | KafkaError]:
        """One answer for each topic; its new partitions are usable on return."""
        answers = await self._controller.create_partitions(growths, validate_only=validate_only)
        grown = [each for each in answers if isinstance(each, GrownTopic)]
        if grown and not validate_only:
            await self._metadata.wait_until(max(each.revision for each in grown))
            await self._settled([each.topic_id for each in grown])
        return answers

    async def create_automatically(self, name: str) -> None:
        """Create a topic that a client asked about, with the broker's defaults. KafkaError."""
        if name in INTERNAL_TOPICS:
            await self.create_internal(name)
            return
        await self._create_one(NewTopic(name))

    async def create_internal(self, name: str) -> None:
        """Create `__consumer_offsets`, with what Kafka sets on it. KafkaError."""
        config = self._running_config.now
        if name != GROUP_TOPIC:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        await self._create_one(
            NewTopic(
                name,
                partition_count=config.offsets_topic_num_partitions,
                replication_factor=config.offsets_topic_replication_factor,
                configs={
                    "cleanup.policy": "compact",
                    "compression.type": "producer",
                    "segment.bytes": str(config.offsets_topic_segment_bytes),
                },
            )
        )

    async def delete(self, topic_id: bytes) -> None:
        """Delete a topic; on return nobody here serves it any more. KafkaError."""
        await self._metadata.wait_until(await self._controller.delete_topic(topic_id))

    async def _create_one(self, topic: NewTopic) -> None:
        try:
            is_created = False
            if self.create_elsewhere is not None and not self._controller.epoch:
                is_created = await self.create_elsewhere(topic)
            if not is_created:
                (answer,) = await self.create([topic], validate_only=False)
                if isinstance(answer, KafkaError):
                    raise answer
        except KafkaError as error:
            if error.code != ErrorCode.TOPIC_ALREADY_EXISTS:
                raise
        if self.partition_count(topic.name) == 0:
            # It existed in the store before this broker's metadata showed it.
            await self._metadata.catch_up()
        await self.made(topic.name)

    async def made(self, name: str) -> None:
        """Wait until this broker's partitions of a topic that exists are made."""
        topic_id = self._metadata.image.topic_ids.get(name)
        if topic_id is not None:
            await self._settled([topic_id])

    def _check_configs(self, configs: Mapping[str, str]) -> None:
        try:
            topic_config(self._running_config.now, configs)
        except ConfigError as error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from None
