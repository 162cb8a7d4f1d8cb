"""Keys and what they parse to."""

import pytest

from kbroker.cluster.keys import KeyKind, Keys, ParsedKey

KEYS = Keys("main")
ID = bytes(range(16))


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        (KEYS.cluster, ParsedKey(KeyKind.CLUSTER)),
        (KEYS.controller, ParsedKey(KeyKind.CONTROLLER)),
        (KEYS.producer_id_block, ParsedKey(KeyKind.PRODUCER_ID_BLOCK)),
        (KEYS.broker(7), ParsedKey(KeyKind.BROKER, broker_id=7)),
        (KEYS.admission(7), ParsedKey(KeyKind.ADMISSION, broker_id=7)),
        (KEYS.topic(ID), ParsedKey(KeyKind.TOPIC, topic_id=ID)),
        (KEYS.topic_name("a.b"), ParsedKey(KeyKind.TOPIC_NAME, name="a_b")),
        (KEYS.partition(ID, 12), ParsedKey(KeyKind.PARTITION, topic_id=ID, partition=12)),
        (KEYS.deleted_topic(ID), ParsedKey(KeyKind.DELETED_TOPIC, topic_id=ID)),
        (KEYS.broker_config(None), ParsedKey(KeyKind.BROKER_CONFIG, name="default")),
        (KEYS.broker_config(3), ParsedKey(KeyKind.BROKER_CONFIG, name="3")),
    ],
)
def test_keys_parse_to_what_they_were_made_of(key: str, parsed: ParsedKey) -> None:
    assert key.startswith("/kbroker/main/")
    assert KEYS.parse(key) == parsed


@pytest.mark.parametrize(
    "key",
    [
        "/kbroker/other/meta",
        "/kbroker/main/",
        "/kbroker/main/t/short",
        "/kbroker/main/brokers/x",
        "/kbroker/main/something/new",
        KEYS.partition(ID, 1) + "/2",
    ],
)
def test_foreign_and_future_keys_parse_to_nothing(key: str) -> None:
    assert KEYS.parse(key) is None


def test_a_topics_partitions_have_a_prefix_of_their_own() -> None:
    assert KEYS.partition(ID, 1).startswith(KEYS.partitions(ID))
    assert not KEYS.partition(bytes(16), 1).startswith(KEYS.partitions(ID))


@pytest.mark.parametrize("cluster", ["", "a/b", "a b", "x" * 101])
def test_a_cluster_name_cannot_break_out_of_its_prefix(cluster: str) -> None:
    with pytest.raises(ValueError, match="not a cluster name"):
        Keys(cluster)
