"""The image: what shows when, and that every step says truly what it changed."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import MetadataDelta, MetadataImage, difference
from kbroker.cluster.metadata_records import (
    BrokerAdmission,
    BrokerRegistration,
    ClusterRecord,
    ConfigRecord,
    ControllerRecord,
    PartitionRecord,
    ProducerIdBlock,
    TopicRecord,
    encode_admission,
    encode_cluster,
    encode_config,
    encode_controller,
    encode_partition,
    encode_producer_id_block,
    encode_registration,
    encode_topic,
)
from kbroker.cluster.metadata_store import (
    Delete,
    DeletePrefix,
    Listing,
    Operation,
    Put,
    WatchBatch,
)
from kbroker.cluster.revisioned_map import RevisionedMap

KEYS = Keys("main")
A, B = bytes([1]) * 16, bytes([2]) * 16


class Store:
    """A map whose transactions come back as the batches that a watch would deliver."""

    def __init__(self) -> None:
        self.map = RevisionedMap()

    def write(self, *operations: Operation) -> WatchBatch:
        self.map.apply(self.map.plan([], operations, []))
        return self.map.batch_after("", self.map.revision, 1)

    def listing(self) -> Listing:
        return self.map.list_prefix("")


def topic(topic_id: bytes, name: str, count: int, **configs: str) -> Put:
    return Put(KEYS.topic(topic_id), encode_topic(TopicRecord(name, count, configs)))


def partition(topic_id: bytes, number: int, leader_epoch: int = 0) -> Put:
    record = PartitionRecord(replicas=(0,), leader=0, leader_epoch=leader_epoch, isr=(0,))
    return Put(KEYS.partition(topic_id, number), encode_partition(record))


def test_partitions_show_when_their_topic_does_and_not_before() -> None:
    store, image = Store(), MetadataImage(KEYS)
    assert image.apply(store.write(partition(A, 0), partition(A, 1))).is_empty
    assert not image.topics
    delta = image.apply(store.write(topic(A, "a", 2)))
    assert [each.name for each in delta.created_topics] == ["a"]
    assert delta.changed_partitions == ()
    found = image.topic_by_name("a")
    assert found is not None
    assert found.topic_id == A
    assert list(found.partitions) == [0, 1]
    assert image.partition(A, 1) == found.partitions[1]
    assert found.partitions[0].mod_revision == 2
    assert image.partition(A, 2) is None
    assert image.partition(B, 0) is None


def test_growth_shows_when_the_topic_counts_it() -> None:
    store, image = Store(), MetadataImage(KEYS)
    image.apply(store.write(topic(A, "a", 1), partition(A, 0)))
    assert image.apply(store.write(partition(A, 1))).is_empty
    assert image.partition(A, 1) is None
    delta = image.apply(store.write(topic(A, "a", 2)))
    assert delta.changed_partitions == ((A, 1),)
    assert delta.created_topics == ()


def test_one_partition_changes() -> None:
    store, image = Store(), MetadataImage(KEYS)
    image.apply(store.write(topic(A, "a", 2), partition(A, 0), partition(A, 1)))
    delta = image.apply(store.write(partition(A, 1, leader_epoch=1)))
    assert delta == MetadataDelta(3, changed_partitions=((A, 1),))
    record = image.partition(A, 1)
    assert record is not None
    assert (record.leader_epoch, record.mod_revision) == (1, 3)


def test_a_topic_deleted_and_created_again_under_its_name_is_another() -> None:
    store, image = Store(), MetadataImage(KEYS)
    image.apply(store.write(topic(A, "a", 1), partition(A, 0)))
    delta = image.apply(
        store.write(
            Delete(KEYS.topic(A)),
            DeletePrefix(KEYS.partitions(A)),
            topic(B, "a", 1),
            partition(B, 0),
        )
    )
    assert [each.topic_id for each in delta.deleted_topics] == [A]
    assert [each.topic_id for each in delta.created_topics] == [B]
    assert image.topic_ids == {"a": B}


def test_an_old_or_repeated_event_takes_nobody_back_in_time() -> None:
    store, image = Store(), MetadataImage(KEYS)
    first = store.write(topic(A, "a", 1), partition(A, 0))
    earlier = store.listing()
    second = store.write(partition(A, 0, leader_epoch=1))
    image.apply(first)
    image.apply(second)
    assert image.apply(first).is_empty
    assert image.apply(second).is_empty
    assert image.replace_with(earlier).is_empty
    record = image.partition(A, 0)
    assert record is not None
    assert record.leader_epoch == 1
    assert image.revision == 3


def test_a_broker_counts_only_for_the_epoch_that_was_admitted() -> None:
    store, image = Store(), MetadataImage(KEYS)
    registration = Put(KEYS.broker(0), encode_registration(BrokerRegistration(0, A)))
    image.apply(store.write(registration))
    assert not image.brokers[0].is_admitted
    admission = Put(KEYS.admission(0), encode_admission(BrokerAdmission(2)))
    assert image.apply(store.write(admission)).changed_brokers == (0,)
    assert image.brokers[0].is_active
    image.apply(store.write(Delete(KEYS.broker(0))))
    assert image.brokers == {}
    image.apply(store.write(registration))
    assert image.brokers[0].broker_epoch == 5
    assert not image.brokers[0].is_admitted


def test_everything_else_is_decoded() -> None:
    store, image = Store(), MetadataImage(KEYS)
    delta = image.apply(
        store.write(
            Put(KEYS.cluster, encode_cluster(ClusterRecord("id"))),
            Put(KEYS.controller, encode_controller(ControllerRecord(3))),
            Put(KEYS.producer_id_block, encode_producer_id_block(ProducerIdBlock(1000))),
            Put(KEYS.broker_config(None), encode_config(ConfigRecord({"a": "b"}))),
            Put("/kbroker/other/meta", b"junk"),
            Put(f"{KEYS.prefix}news", b"junk"),
        )
    )
    assert image.cluster == ClusterRecord("id")
    assert (image.controller_id, image.controller_epoch) == (3, 2)
    assert image.producer_id_block == ProducerIdBlock(1000)
    assert image.broker_configs == {"default": {"a": "b"}}
    assert delta.controller_changed
    assert delta.changed_broker_configs == ("default",)


# Random histories: whatever route leads to a revision, the image and the deltas agree


@dataclass(frozen=True)
class Step:
    kind: str
    topic: int
    number: int


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["create", "delete", "elect", "grow", "config", "broker", "cfg"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=20,
)


def operations_of(step: Step, image: MetadataImage) -> list[Operation]:
    topic_id = bytes([step.topic]) * 16
    known = image.topics.get(topic_id)
    match step.kind:
        case "create" if known is None:
            parts = [partition(topic_id, n) for n in range(step.number + 1)]
            return [*parts, topic(topic_id, f"t{step.topic}", step.number + 1)]
        case "delete" if known is not None:
            return [Delete(KEYS.topic(topic_id)), DeletePrefix(KEYS.partitions(topic_id))]
        case "elect" if known is not None:
            return [partition(topic_id, step.number % len(known.partitions), step.number)]
        case "grow" if known is not None:
            count = len(known.partitions)
            return [partition(topic_id, count), topic(topic_id, known.name, count + 1)]
        case "config" if known is not None:
            count = len(known.partitions)
            return [topic(topic_id, known.name, count, k=str(step.number))]
        case "broker" if step.topic in image.brokers:
            return [Delete(KEYS.broker(step.topic))]
        case "broker":
            value = encode_registration(BrokerRegistration(step.topic, A))
            return [Put(KEYS.broker(step.topic), value)]
        case "cfg":
            value = encode_config(ConfigRecord({"k": str(step.number)}))
            return [Put(KEYS.broker_config(step.topic), value)]
    return []


@settings(max_examples=60, deadline=None)
@given(program=steps)
def test_each_delta_is_the_difference_between_the_images(program: list[Step]) -> None:
    store, image = Store(), MetadataImage(KEYS)
    for step in program:
        before = MetadataImage(KEYS)
        before.replace_with(store.listing())
        operations = operations_of(step, image)
        if not operations:
            continue
        delta = image.apply(store.write(*operations))
        after = MetadataImage(KEYS)
        after.replace_with(store.listing())
        assert_equal(image, after)
        found = difference(before, after)
        # A key put again with the same value counts as changed only where its revision shows.
        if step.kind == "cfg":
            assert delta.changed_broker_configs == (str(step.topic),)
        else:
            assert delta == found


def assert_equal(one: MetadataImage, other: MetadataImage) -> None:
    assert one.topics == other.topics
    assert one.topic_ids == other.topic_ids
    assert one.brokers == other.brokers
    assert one.broker_configs == other.broker_configs
