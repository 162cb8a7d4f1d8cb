"""Where cluster metadata are: the forms of `kbroker.metadata`, and what is refused, in one line."""

import pytest

from kbroker.cluster import keys
from kbroker.config import metadata_keys
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.describing import describe_broker
from kbroker.config.metadata_keys import MetadataUrl, parse_metadata
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import ConfigError, ConfigType


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite", None),
        ("etcd://h:2379", MetadataUrl((("h", 2379),))),
        ("etcd://h:2379/", MetadataUrl((("h", 2379),))),
        ("etcd://a:1,b.c:2/blue", MetadataUrl((("a", 1), ("b.c", 2)), "blue")),
        ("etcds://[::1]:2, 10.0.0.1:3", MetadataUrl((("::1", 2), ("10.0.0.1", 3)), has_tls=True)),
    ],
)
def test_forms(text: str, expected: MetadataUrl | None) -> None:
    assert parse_metadata(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected sqlite or etcd://"),
        ("mysql://h:1", "expected sqlite or etcd://"),
        ("etcd:h:1", "expected sqlite or etcd://"),
        ("etcd://", "expected HOST:PORT"),
        ("etcd://h", "usually 2379"),
        ("etcd://h:x", "expected HOST:PORT"),
        ("etcd://h:0", "expected"),
        ("etcd://h:65536", "expected HOST:PORT"),
        ("etcd://h:1,,i:2", "expected HOST:PORT"),
        ("etcd://h:1,h:1", "twice"),
        ("etcd://h h:1", "expected"),
        ("etcd://h:1\r\nX: y/name", "expected"),
        ("etcd://h:1/a/b", "is no name"),
        ("etcd://h:1/ä", "is no name"),
        ("etcd://me:secret@h:1", "kbroker.metadata.etcd.user"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)^Invalid value .*kbroker\.metadata: ") as refusal:
        BrokerConfig.parse({"kbroker.metadata": text})
    assert words in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_the_name_of_a_cluster_is_one_for_its_keys_too() -> None:
    assert metadata_keys.CLUSTER_NAME.pattern == keys.CLUSTER_NAME.pattern
    assert keys.Keys(metadata_keys.DEFAULT_CLUSTER).prefix == "/kbroker/kbroker/"


def test_a_password_is_described_without_its_value() -> None:
    config = BrokerConfig.parse({"kbroker.metadata.etcd.password": "secret"})
    assert config.kbroker_metadata_etcd_password == "secret"
    described = {each.name: each for each in describe_broker(RunningConfig(config))}
    found = described["kbroker.metadata.etcd.password"]
    assert (found.type, found.is_sensitive, found.value) == (ConfigType.PASSWORD, True, None)
    assert [each.value for each in found.synonyms] == [None, None]  # given, and default
    assert "secret" not in repr(described)
    assert not described["kbroker.metadata.etcd.user"].is_sensitive
