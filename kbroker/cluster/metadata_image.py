"""Everything the metadata store says about the cluster, decoded (pure).

The image is mutable, and changes in `apply` and `replace_with` only. Both answer what changed, so
that a broker reacts to differences; what they answer is what `difference` finds between the
images before and after. Counterparts: `metadata_records.py` (the values), `metadata_cache.py`
(keeps an image current).

Rule: an event counts only if its revision is higher than what the image has seen, so that a
late, repeated or reordered answer never takes a broker back in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kbroker.cluster.keys import KeyKind, Keys, ParsedKey
from kbroker.cluster.metadata_records import (
    AdmissionState,
    BrokerAdmission,
    BrokerRegistration,
    ClusterRecord,
    DeletedTopic,
    PartitionRecord,
    ProducerIdBlock,
    TopicRecord,
    decode_admission,
    decode_cluster,
    decode_config,
    decode_controller,
    decode_deleted_topic,
    decode_partition,
    decode_producer_id_block,
    decode_registration,
    decode_topic,
)
from kbroker.cluster.metadata_store import KeyValue, Listing, WatchBatch


@dataclass(frozen=True, slots=True)
class TopicImage:
    """A topic that exists, with all its partitions: keys 0 to n-1, in order."""

    topic_id: bytes
    name: str
    configs: Mapping[str, str]
    partitions: Mapping[int, PartitionRecord]
    min_isr: int
    mod_revision: int  # of the topic's own key: its name, configs and partition count


@dataclass(frozen=True, slots=True)
class BrokerImage:
    """A registered broker. Only while `is_admitted` may it lead or join an ISR.

    The revisions are those of its two keys; `admission_revision` is 0 without an admission.
    """

    registration: BrokerRegistration
    broker_epoch: int
    admission: BrokerAdmission | None
    mod_revision: int
    admission_revision: int = 0

    @property
    def is_admitted(self) -> bool:
        return self.admission is not None and self.admission.broker_epoch == self.broker_epoch

    @property
    def is_active(self) -> bool:
        """Admitted, and not on its way out: may get leaders and new replicas."""
        return (
            self.is_admitted
            and self.admission is not None
            and self.admission.state is AdmissionState.ACTIVE
        )


@dataclass(frozen=True, slots=True)
class MetadataDelta:
    """What one step changed. Every tuple is sorted (topics by id).

    A topic deleted and created again under its name is in both lists: its id differs.
    """

    revision: int
    created_topics: tuple[TopicImage, ...] = ()
    deleted_topics: tuple[TopicImage, ...] = ()
    changed_partitions: tuple[tuple[bytes, int], ...] = ()  # new or changed, of existing topics
    changed_topic_configs: tuple[bytes, ...] = ()  # ids of existing topics
    changed_brokers: tuple[int, ...] = ()  # registered, admitted, changed or gone
    changed_broker_configs: tuple[str, ...] = ()  # a broker id as text, or "default"
    controller_changed: bool = False

    @property
    def is_empty(self) -> bool:
        return not (
            self.created_topics
            or self.deleted_topics
            or self.changed_partitions
            or self.changed_topic_configs
            or self.changed_brokers
            or self.changed_broker_configs
            or self.controller_changed
        )


@dataclass(slots=True)
class _Touched:
    """What a batch of events was about, before it is known what it means."""

    topics: set[bytes] = field(default_factory=set)
    brokers: set[int] = field(default_factory=set)
    broker_configs: set[str] = field(default_factory=set)


class MetadataImage:
    """Public attributes are for reading; only the two methods named above change them."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.revision = 0
        self.cluster: ClusterRecord | None = None
        self.topics: dict[bytes, TopicImage] = {}
        self.topic_ids: dict[str, bytes] = {}
        self.brokers: dict[int, BrokerImage] = {}
        self.controller_id: int | None = None
        self.controller_epoch = 0
        self.producer_id_block: ProducerIdBlock | None = None
        self.broker_configs: dict[str, Mapping[str, str]] = {}
        self.group_configs: dict[str, Mapping[str, str]] = {}
        self.client_metrics: dict[str, Mapping[str, str]] = {}
        self.deleted_topics: dict[bytes, DeletedTopic] = {}
        # What was read but does not show yet: partitions can arrive before their topic, an
        # admission before its registration.
        self._topic_records: dict[bytes, tuple[TopicRecord, int]] = {}
        self._partitions: dict[bytes, dict[int, PartitionRecord]] = {}
        self._admissions: dict[int, tuple[BrokerAdmission, int]] = {}
        self._registrations: dict[int, tuple[BrokerRegistration, int, int]] = {}

    def topic_by_name(self, name: str) -> TopicImage | None:
        topic_id = self.topic_ids.get(name)
        return None if topic_id is None else self.topics[topic_id]

    def partition(self, topic_id: bytes, partition: int) -> PartitionRecord | None:
        topic = self.topics.get(topic_id)
        return None if topic is None else topic.partitions.get(partition)

    def is_known(self, broker_id: int) -> bool:
        """Whether it is registered, or was admitted and has not been unregistered since."""
        return broker_id in self.brokers or broker_id in self._admissions

    def is_active(self, broker_id: int) -> bool:
        """Whether it may get leaders and be in sync now."""
        broker = self.brokers.get(broker_id)
        return broker is not None and broker.is_active

    def known_brokers(self) -> list[int]:
        """All of those, in order."""
        return sorted(self.brokers.keys() | self._admissions.keys())

    def apply(self, batch: WatchBatch) -> MetadataDelta:
        """Take over the events of whole revisions. ValueError: a value that cannot be read."""
        touched = _Touched()
        controller_before = (self.controller_id, self.controller_epoch)
        for event in batch.events:
            if event.kv.mod_revision > self.revision:
                self._take(event.kv, touched)
        self.revision = max(self.revision, batch.revision)
        return self._settle(touched, controller_before)

    def replace_with(self, listing: Listing) -> MetadataDelta:
        """Take over a full reading, unless the image is already past it."""
        if listing.revision < self.revision:
            return MetadataDelta(self.revision)
        fresh = MetadataImage(self.keys)
        touched = _Touched()
        for item in listing.items:
            fresh._take(item, touched)
        fresh.revision = listing.revision
        fresh._settle(touched, (None, 0))
        delta = difference(self, fresh)
        self.__dict__.update(fresh.__dict__)
        return delta

    def _take(self, kv: KeyValue, touched: _Touched) -> None:
        """Record one key's newest value; topics and brokers are put together in _settle."""
        key = self.keys.parse(kv.key)
        if key is None:
            return  # another cluster's, or a newer broker's
        present = kv.version > 0
        match key.kind:
            case KeyKind.PARTITION:
                self._take_partition(key, kv)
                touched.topics.add(key.topic_id)
            case KeyKind.TOPIC:
                touched.topics.add(key.topic_id)
                if present:
                    self._topic_records[key.topic_id] = (decode_topic(kv.value), kv.mod_revision)
                else:
                    self._topic_records.pop(key.topic_id, None)
            case KeyKind.BROKER | KeyKind.ADMISSION:
                self._take_broker(key, kv)
                touched.brokers.add(key.broker_id)
            case KeyKind.BROKER_CONFIG:
                touched.broker_configs.add(key.name)
                _take_config(self.broker_configs, key, kv)
            case KeyKind.GROUP_CONFIG:
                _take_config(self.group_configs, key, kv)
            case KeyKind.CLIENT_METRICS:
                _take_config(self.client_metrics, key, kv)
            case KeyKind.DELETED_TOPIC:
                if present:
                    self.deleted_topics[key.topic_id] = decode_deleted_topic(kv.value)
                else:
                    self.deleted_topics.pop(key.topic_id, None)
            case KeyKind.CONTROLLER:
                self.controller_id = decode_controller(kv.value).broker_id if present else None
                self.controller_epoch = kv.create_revision
            case KeyKind.CLUSTER:
                self.cluster = decode_cluster(kv.value) if present else None
            case KeyKind.PRODUCER_ID_BLOCK:
                self.producer_id_block = decode_producer_id_block(kv.value) if present else None
            case KeyKind.TOPIC_NAME:
                pass  # for the controller's compares; a topic's own key has its name

    def _take_partition(self, key: ParsedKey, kv: KeyValue) -> None:
        partitions = self._partitions.setdefault(key.topic_id, {})
        if kv.version > 0:
            partitions[key.partition] = decode_partition(kv.value, kv.mod_revision)
            return
        partitions.pop(key.partition, None)
        if not partitions:
            del self._partitions[key.topic_id]

    def _take_broker(self, key: ParsedKey, kv: KeyValue) -> None:
        if key.kind is KeyKind.ADMISSION:
            if kv.version > 0:
                self._admissions[key.broker_id] = decode_admission(kv.value), kv.mod_revision
            else:
                self._admissions.pop(key.broker_id, None)
        elif kv.version > 0:
            registration = decode_registration(kv.value)
            self._registrations[key.broker_id] = (
                registration,
                kv.create_revision,
                kv.mod_revision,
            )
        else:
            self._registrations.pop(key.broker_id, None)

    def _settle(
        self, touched: _Touched, controller_before: tuple[int | None, int]
    ) -> MetadataDelta:
        """Put together what was touched, and say what became of it."""
        before = {each: self.topics.get(each) for each in sorted(touched.topics)}
        after = {each: self._build_topic(each) for each in before}
        for topic_id, topic in before.items():
            if topic is not None and self.topic_ids.get(topic.name) == topic_id:
                del self.topic_ids[topic.name]
            if after[topic_id] is None:
                self.topics.pop(topic_id, None)
        for topic_id, topic in after.items():
            if topic is not None:
                self.topics[topic_id] = topic
                self.topic_ids[topic.name] = topic_id
        for broker_id in sorted(touched.brokers):
            self._settle_broker(broker_id)
        return MetadataDelta(
            revision=self.revision,
            created_topics=_created(before, after),
            deleted_topics=_created(after, before),
            changed_partitions=_changed_partitions(before, after),
            changed_topic_configs=_changed_configs(before, after),
            changed_brokers=tuple(sorted(touched.brokers)),
            changed_broker_configs=tuple(sorted(touched.broker_configs)),
            controller_changed=controller_before != (self.controller_id, self.controller_epoch),
        )

    def _build_topic(self, topic_id: bytes) -> TopicImage | None:
        if topic_id not in self._topic_records:
            return None
        record, mod_revision = self._topic_records[topic_id]
        partitions = self._partitions.get(topic_id, {})
        # The controller writes partitions before, and removes them with, what counts them.
        missing = [n for n in range(record.partition_count) if n not in partitions]
        assert not missing, f"topic {record.name} lacks partitions {missing}"
        return TopicImage(
            topic_id=topic_id,
            name=record.name,
            configs=record.configs,
            partitions={n: partitions[n] for n in range(record.partition_count)},
            min_isr=record.min_isr,
            mod_revision=mod_revision,
        )

    def _settle_broker(self, broker_id: int) -> None:
        if broker_id not in self._registrations:
            self.brokers.pop(broker_id, None)
            return
        registration, broker_epoch, mod_revision = self._registrations[broker_id]
        admission, admission_revision = self._admissions.get(broker_id, (None, 0))
        self.brokers[broker_id] = BrokerImage(
            registration, broker_epoch, admission, mod_revision, admission_revision
        )


def _take_config(configs: dict[str, Mapping[str, str]], key: ParsedKey, kv: KeyValue) -> None:
    if kv.version > 0:
        configs[key.name] = decode_config(kv.value).configs
    else:
        configs.pop(key.name, None)


def difference(before: MetadataImage, after: MetadataImage) -> MetadataDelta:
    """What happened between two images, however many steps it took."""
    topic_ids = sorted(before.topics.keys() | after.topics.keys())
    topics_before = {each: before.topics.get(each) for each in topic_ids}
    topics_after = {each: after.topics.get(each) for each in topic_ids}
    brokers = before.brokers.keys() | after.brokers.keys()
    configs = before.broker_configs.keys() | after.broker_configs.keys()
    return MetadataDelta(
        revision=after.revision,
        created_topics=_created(topics_before, topics_after),
        deleted_topics=_created(topics_after, topics_before),
        changed_partitions=_changed_partitions(topics_before, topics_after),
        changed_topic_configs=_changed_configs(topics_before, topics_after),
        changed_brokers=tuple(
            sorted(each for each in brokers if before.brokers.get(each) != after.brokers.get(each))
        ),
        changed_broker_configs=tuple(
            sorted(
                each
                for each in configs
                if before.broker_configs.get(each) != after.broker_configs.get(each)
            )
        ),
        controller_changed=(before.controller_id, before.controller_epoch)
        != (after.controller_id, after.controller_epoch),
    )


_Topics = dict[bytes, TopicImage | None]


def _created(before: _Topics, after: _Topics) -> tuple[TopicImage, ...]:
    return tuple(
        topic for each, topic in after.items() if topic is not None and before[each] is None
    )


def _changed_partitions(before: _Topics, after: _Topics) -> tuple[tuple[bytes, int], ...]:
    changed = []
    for topic_id, topic in after.items():
        former = before[topic_id]
        if topic is None or former is None:
            continue
        for partition, record in topic.partitions.items():
            # The revision decides: equal values written twice are still a change.
            known = former.partitions.get(partition)
            if known is not record and known != record:
                changed.append((topic_id, partition))
    return tuple(changed)


def _changed_configs(before: _Topics, after: _Topics) -> tuple[bytes, ...]:
    changed = []
    for topic_id, topic in after.items():
        former = before[topic_id]
        if topic is not None and former is not None and former.configs != topic.configs:
            changed.append(topic_id)
    return tuple(changed)
