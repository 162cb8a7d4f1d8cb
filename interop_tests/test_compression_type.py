"""A topic's own compression."""

from __future__ import annotations

import pytest

from interop_tests.batch_probe import CODECS, stored_batches
from interop_tests.client import Client
from interop_tests.drivers.protocol import Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target

VALUES = [b"%d " % number + b"z" * 200 for number in range(100)]
RECORDS = [Record(value, key=b"key", headers=(("h", b"1"),)) for value in VALUES]


@scenario("compression.type={stored}: batches of any codec are stored so, and read back the same")
@pytest.mark.parametrize("stored", ["uncompressed", *CODECS[1:]])
def test_the_broker_compresses(
    client: Client, broker: Target, reference: Client, topic_name: str, stored: str
) -> None:
    reference.create_served_topic(topic_name, configs={"compression.type": stored})
    for codec in CODECS:
        client.produce(topic_name, RECORDS, codec=codec)
    batches = stored_batches(broker.address, topic_name)
    assert {batch.codec for batch in batches} == {"none" if stored == "uncompressed" else stored}
    received = client.consume(topic_name, {0: "earliest"}, len(RECORDS) * len(CODECS))
    assert [record.value for record in received] == VALUES * len(CODECS)
    assert [record.offset for record in received] == list(range(len(received)))
    assert {(record.key, record.headers) for record in received} == {(b"key", (("h", b"1"),))}
