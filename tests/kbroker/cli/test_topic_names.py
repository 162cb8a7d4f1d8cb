"""Topics and partitions as they are typed. Whether they exist: tests/process/test_cli."""

import uuid

import pytest

from kbroker.cli.connection import CommandError
from kbroker.cli.topic_names import id_text, split_partition
from log.checkpoints import encode_uuid


@pytest.mark.parametrize(
    ("text", "found"),
    [("t", ("t", ())), ("t:0", ("t", (0,))), ("t:2,0,2", ("t", (0, 2)))],
)
def test_partitions_behind_a_colon(text, found):
    assert split_partition(text) == found


@pytest.mark.parametrize("text", ["t:", "t:x", "t:1,", "t:0-2"])
def test_what_is_no_partition(text):
    with pytest.raises(CommandError, match=r"expected TOPIC or TOPIC:PARTITION,\.\.\."):
        split_partition(text)


def test_a_topics_id_is_spelled_as_kafka_does():
    value = uuid.UUID("36166921-c316-4e13-a0fd-b354c16f7ccd")
    assert id_text(str(value)) == encode_uuid(value.bytes) == "NhZpIcMWThOg_bNUwW98zQ"
