"""All changes of the cluster's metadata that a broker makes or asks for, in one place.

Every broker has one of these; what only the controller may do is refused (NOT_CONTROLLER) unless
this broker holds the office. The work is done in `controller_term.py` (the office),
`broker_admission.py`, `topic_creation.py` and `topic_changes.py`.
"""

from __future__ import annotations

import asyncio
import random as random_module
from collections.abc import Mapping, Sequence

from kbroker.cluster.broker_admission import (
    Admission,
    IsLossy,
    admit_broker,
    register_broker,
    unregister_broker,
)
from kbroker.cluster.config_changes import change_configs, spread_min_isr
from kbroker.cluster.controller_term import MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    FORMAT_VERSION,
    BrokerRegistration,
    ClusterRecord,
    ProducerIdBlock,
    decode_cluster,
    decode_producer_id_block,
    encode_cluster,
    encode_producer_id_block,
)
from kbroker.cluster.metadata_store import Get, MetadataStore, Put, key_absent, modified_at
from kbroker.cluster.placement import PlacementStart
from kbroker.cluster.requested_elections import Asked, elect_leaders
from kbroker.cluster.requested_reassignments import (
    IsUncleanEnabled,
    Reassignment,
    reassign_partitions,
)
from kbroker.cluster.topic_changes import (
    ConfigChange,
    change_topic_configs,
    confirm_deletion,
    delete_topic,
    finish_interrupted_changes,
)
from kbroker.cluster.topic_creation import (
    ConfigCheck,
    CreatedTopic,
    NewTopic,
    TopicDefaults,
    create_topic,
)
from kbroker.cluster.topic_growth import GrownTopic, TopicGrowth, grow_topic
from kbroker.cluster.topic_ids import random_id, topic_id_text
from wire.errors import ErrorCode, KafkaError

PRODUCER_ID_BLOCK_SIZE = 1000  # Kafka's
MAX_PRODUCER_ID = 2**63 - 1
MAX_PARTITIONS_PER_REQUEST = 10_000  # Kafka's


def accept_any_configs(configs: Mapping[str, str]) -> None:
    """The ConfigCheck of a caller that has checked already."""


class Controller:
    """`defaults` is for the caller to replace when the broker's own configs change."""

    def __init__(
        self,
        store: MetadataStore,
        cluster: str,
        node_id: int,
        random: random_module.Random,
        *,
        defaults: TopicDefaults | None = None,
    ) -> None:
        self.keys = Keys(cluster)
        self.node_id = node_id
        self.defaults = defaults or TopicDefaults()
        self._store = store
        self._random = random
        self._term = ControllerTerm(store, self.keys, node_id)
        self._growing = asyncio.Lock()

    @property
    def epoch(self) -> int:
        """The controller epoch while this broker is the controller as far as it knows; else 0."""
        return self._term.epoch

    @property
    def store(self) -> MetadataStore:
        return self._store

    @property
    def term(self) -> ControllerTerm:
        """The present term of office, or one without any; not to be kept."""
        return self._term

    def step_down(self) -> None:
        """The office is lost, or about to be: what was begun in it fails with NOT_CONTROLLER."""
        self._term.epoch = 0

    # What every broker does

    async def create_cluster(
        self, *, cluster_id: str | None = None, features: Mapping[str, int] | None = None
    ) -> ClusterRecord:
        """The cluster's identity: the one that is there, else one made from the arguments.

        `cluster_id`: what the data directories say already; None draws a new one. The caller
        compares it with the answer. KafkaError(UNSUPPORTED_VERSION): a newer kbroker's cluster;
        KafkaError(INVALID_REQUEST): one is being moved there, and this would be another.
        """
        new = ClusterRecord(
            cluster_id=cluster_id or topic_id_text(random_id(self._random)),
            features=features or {},
        )
        key = self.keys.cluster
        result = await self._store.transact(
            [key_absent(key), key_absent(self.keys.migration)],
            [Put(key, encode_cluster(new))],
            [Get(key)],
        )
        if result.succeeded:
            return new
        (kv,) = result.values
        if kv is None:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"metadata are being moved to {self.keys.prefix}: that has to end first"
                " (kbroker metadata migrate)",
            )
        existing = decode_cluster(kv.value)
        if existing.format_version > FORMAT_VERSION:
            raise KafkaError(
                ErrorCode.UNSUPPORTED_VERSION,
                f"the cluster's metadata has format version {existing.format_version}; "
                f"this broker knows versions up to {FORMAT_VERSION}",
            )
        return existing

    async def register_broker(self, registration: BrokerRegistration, *, lease: int = 0) -> int:
        """Announce this broker; returns its broker epoch. It counts once it is admitted.

        `lease` 0 is for a store that lives and dies with this process; elsewhere it is the
        lease that the caller keeps alive. KafkaError(DUPLICATE_BROKER_REGISTRATION).
        """
        return await register_broker(self._term, registration, lease)

    async def become_controller(self, *, lease: int = 0) -> bool:
        """Run for the office; the winner first finishes what its predecessor left half done.

        Until then it does nothing else as the controller: what is half done would be its own.
        """
        if self._term.epoch:
            return True
        term = ControllerTerm(self._store, self.keys, self.node_id)
        if not await term.win(lease):
            return False
        await finish_interrupted_changes(term)
        self._term = term
        return True

    async def start_broker(
        self, registration: BrokerRegistration, *, is_lossy: IsLossy, lease: int = 0
    ) -> int:
        """Register, run for controller, and as the controller admit oneself: the broker epoch.

        Otherwise another controller admits this broker. Either way the caller waits until its
        metadata cache shows the broker admitted in this epoch, and only then serves.
        """
        broker_epoch = await self.register_broker(registration, lease=lease)
        if await self.become_controller(lease=lease):
            await self.admit_broker(self.node_id, is_lossy=is_lossy)
        return broker_epoch

    async def allocate_producer_id_block(self, size: int = PRODUCER_ID_BLOCK_SIZE) -> range:
        """Producer ids that nobody else was given or ever will be."""
        assert size > 0
        key = self.keys.producer_id_block
        for _ in range(MAX_ATTEMPTS):
            kv = await self._store.get(key)
            first = decode_producer_id_block(kv.value).next_producer_id if kv else 0
            if first + size - 1 > MAX_PRODUCER_ID:
                raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "Exhausted all producerIds")
            value = encode_producer_id_block(ProducerIdBlock(first + size))
            seen = modified_at(key, kv.mod_revision if kv else 0)
            if (await self._store.transact([seen], [Put(key, value)])).succeeded:
                return range(first, first + size)
        raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "producer ids are in demand")

    async def confirm_deletion(self, topic_id: bytes) -> None:
        """This broker has removed every file of the deleted topic."""
        await confirm_deletion(self._term, topic_id, self.node_id)

    # What only the controller does

    async def admit_broker(self, broker_id: int, *, is_lossy: IsLossy | None = None) -> Admission:
        """Let a registered broker in; first its partitions elect (`elections.py`).

        `is_lossy` None: what its registration says.
        """
        return await admit_broker(self._term, broker_id, is_lossy)

    async def unregister_broker(self, broker_id: int) -> int:
        """Forget a broker for good; returns the revision. KafkaError(BROKER_ID_NOT_REGISTERED)."""
        return await unregister_broker(self._term, broker_id)

    async def elect_leaders(
        self, partitions: Sequence[Asked], *, unclean: bool
    ) -> dict[Asked, KafkaError | int]:
        """By topic id and partition the revision of its election, or why there was none."""
        return await elect_leaders(self._term, partitions, unclean=unclean)

    async def reassign_partitions(
        self,
        asked: Sequence[Reassignment],
        *,
        is_unclean_enabled: IsUncleanEnabled,
        may_change_factor: bool = True,
    ) -> list[KafkaError | int]:
        """For each, in order, the revision at which it has begun (0: it is so), or why not."""
        return await reassign_partitions(
            self._term,
            asked,
            is_unclean_enabled=is_unclean_enabled,
            may_change_factor=may_change_factor,
        )

    async def create_topics(
        self,
        topics: Sequence[NewTopic],
        *,
        validate_only: bool = False,
        check_configs: ConfigCheck = accept_any_configs,
    ) -> list[CreatedTopic | KafkaError]:
        """One answer per topic, in order. The topics are created one after the other, and others
        have their turn between two.
        """
        wanted = sum(topic.partitions_wanted(self.defaults) for topic in topics)
        if wanted > MAX_PARTITIONS_PER_REQUEST:
            message = "Excessively large number of partitions per request."
            return [KafkaError(ErrorCode.POLICY_VIOLATION, message) for _ in topics]
        answers: list[CreatedTopic | KafkaError] = []
        for topic in topics:
            await asyncio.sleep(0)
            start = PlacementStart(self._random.getrandbits(16), self._random.getrandbits(16))
            try:
                created = await create_topic(
                    self._term,
                    topic,
                    topic_id=random_id(self._random),
                    start=start,
                    defaults=self.defaults,
                    check_configs=check_configs,
                    validate_only=validate_only,
                )
            except KafkaError as error:
                answers.append(error)
            else:
                answers.append(created)
        return answers

    async def create_partitions(
        self, growths: Sequence[TopicGrowth], *, validate_only: bool = False
    ) -> list[GrownTopic | KafkaError]:
        """One answer per topic, in order; together they add at most as many as one request may."""
        left = MAX_PARTITIONS_PER_REQUEST
        answers: list[GrownTopic | KafkaError] = []
        for growth in growths:
            await asyncio.sleep(0)  # others have their turn between two
            start = PlacementStart(self._random.getrandbits(16), self._random.getrandbits(16))
            try:
                async with self._growing:
                    grown = await grow_topic(
                        self._term,
                        growth,
                        start=start,
                        max_partitions=left,
                        validate_only=validate_only,
                    )
            except KafkaError as error:
                answers.append(error)
            else:
                answers.append(grown)
                left -= grown.partitions_added
        return answers

    async def delete_topic(self, topic_id: bytes) -> int:
        """Returns the revision of the deletion. KafkaError(UNKNOWN_TOPIC_ID)."""
        return await delete_topic(self._term, topic_id)

    async def set_topic_configs(self, topic_id: bytes, configs: Mapping[str, str]) -> int:
        """Replace all configs of a topic; returns the revision to wait for."""
        return await self.change_topic_configs(topic_id, lambda _: configs)

    async def change_topic_configs(self, topic_id: bytes, change: ConfigChange) -> int:
        """Read, change and write back, without losing anybody's change in between.

        KafkaError(UNKNOWN_TOPIC_OR_PARTITION), and whatever `change` raises.
        """
        return await change_topic_configs(self._term, topic_id, change, self.defaults.min_isr_of)

    async def change_configs(self, key: str, change: ConfigChange) -> int:
        """The same for what is set on a broker, group or subscription, under its key. What is set
        on this broker it may change itself, whoever is the controller."""
        is_own = key == self.keys.broker_config(self.node_id)
        return await change_configs(self._term, key, change, is_own=is_own)

    async def spread_min_isr(self, image: MetadataImage) -> int:
        """After `defaults` changed; returns the revision to wait for."""
        topics = sorted(image.topics.values(), key=lambda topic: topic.topic_id)
        return await spread_min_isr(self._term, topics, self.defaults.min_isr_of)
