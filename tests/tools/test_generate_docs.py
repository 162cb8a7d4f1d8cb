"""Generated documents are what the code declares."""

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.group_config import GroupConfig
from kbroker.config.ignored_keys import IGNORED
from kbroker.config.topic_config import TopicConfig
from tools.generate_docs import configs, stale_documents


def test_no_document_is_stale():
    assert stale_documents() == [], "run `make docs`"


def test_every_key_has_its_row():
    rows = [line for line in configs().splitlines() if line.startswith("| `")]
    for name in (*BrokerConfig.KEYS, *TopicConfig.KEYS, *GroupConfig.KEYS):
        assert any(row.startswith(f"| `{name}` |") for row in rows), name
    for names in IGNORED.values():
        assert any(all(f"`{name}`" in row for name in names) for row in rows), names
