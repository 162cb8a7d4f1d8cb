"""Values: their canonical form, reading back, and what is refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cluster import metadata_records as records
from kbroker.cluster.metadata_records import (
    AdmissionState,
    BrokerAdmission,
    BrokerRegistration,
    ClusterRecord,
    ConfigRecord,
    ControllerRecord,
    DeletedTopic,
    ListenerRecord,
    PartitionRecord,
    ProducerIdBlock,
    TopicNameRecord,
    TopicRecord,
    decode_partition,
    encode_partition,
)

ID = bytes(range(16))
EXAMPLES = [
    ("cluster", ClusterRecord("PoH9zvkWSv2hJj4Gw8gAYA", 1, {"group.version": 1})),
    (
        "registration",
        BrokerRegistration(
            2, ID, (ID, bytes(16)), (ListenerRecord("L", "::1", 9092, "SSL"),), "r", False
        ),
    ),
    ("registration", BrokerRegistration(0, ID)),
    ("registration", BrokerRegistration(0, ID, lossy_topics=(ID, bytes(16)), leaving=True)),
    (
        "registration",
        BrokerRegistration(
            0,
            ID,
            lossy_partitions=((ID, (0, 7)),),
            missing_partitions=((bytes(16), ()), (ID, (7,))),
        ),
    ),
    ("admission", BrokerAdmission(17, AdmissionState.DRAINING)),
    ("controller", ControllerRecord(3)),
    ("topic_name", TopicNameRecord(ID, "a.b")),
    ("topic", TopicRecord("a.b", 3, {"retention.ms": "1"}, 2)),
    ("producer_id_block", ProducerIdBlock(2000)),
    ("config", ConfigRecord({"ü": "ö"})),
    ("deleted_topic", DeletedTopic("a", (1, 2))),
]


@pytest.mark.parametrize(("kind", "record"), EXAMPLES)
def test_records_read_back_and_ignore_a_newer_brokers_fields(kind: str, record: object) -> None:
    encode = getattr(records, f"encode_{kind}")
    decode = getattr(records, f"decode_{kind}")
    value = encode(record)
    assert decode(value) == record
    document = json.loads(value)
    assert value == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert decode(json.dumps(document | {"from_the_future": 1}).encode()) == record


@pytest.mark.parametrize(("kind", "record"), EXAMPLES)
def test_values_that_make_no_sense_are_one_kind_of_error(kind: str, record: object) -> None:
    encode = getattr(records, f"encode_{kind}")
    decode = getattr(records, f"decode_{kind}")
    for bad in (b"", b"[]", b"{}", b"\xff", encode(record)[:-1], b"[" * 3000):
        with pytest.raises(ValueError):  # the kind is the point
            decode(bad)


def test_a_registration_without_anything_rare_is_what_an_older_broker_writes() -> None:
    document = json.loads(records.encode_registration(BrokerRegistration(0, ID)))
    rare = {"lossy_topics", "lossy_partitions", "missing_partitions", "leaving"}
    assert not rare & document.keys()


brokers = st.lists(st.integers(0, 9), max_size=4).map(tuple)
partition_records = st.builds(
    PartitionRecord,
    replicas=brokers,
    leader=st.integers(-1, 9),
    leader_epoch=st.integers(0, 2**31 - 1),
    isr=brokers,
    elr=brokers,
    last_known_leader=st.integers(-1, 9),
    min_isr=st.integers(1, 5),
    adding=brokers,
    removing=brokers,
    partition_epoch=st.integers(0, 2**31 - 1),
    mod_revision=st.integers(0, 2**62),
)


@given(partition_records)
def test_a_partitions_revision_is_its_keys_not_its_values(record: PartitionRecord) -> None:
    value = encode_partition(record)
    assert decode_partition(value, record.mod_revision) == record
    assert encode_partition(replace(record, mod_revision=0)) == value


def test_no_more_in_sync_replicas_are_asked_for_than_there_are_replicas() -> None:
    record = PartitionRecord(replicas=(0,), leader=0, leader_epoch=0, isr=(0,), min_isr=2)
    assert record.effective_min_isr == 1
