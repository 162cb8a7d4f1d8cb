"""Produced by one client, consumed by another."""

from __future__ import annotations

import pytest

from interop_tests.batch_probe import CODECS
from interop_tests.client import Client, Drivers
from interop_tests.clients import CLIENTS, by_name
from interop_tests.drivers.protocol import Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target


@scenario("reads every codec, key and header that {producer} wrote")
@pytest.mark.parametrize("producer", [spec.name for spec in CLIENTS])
def test_cross_client(
    client: Client,
    drivers: Drivers,
    broker: Target,
    reference: Client,
    topic_name: str,
    producer: str,
) -> None:
    reference.create_served_topic(topic_name, partitions=len(CODECS))
    writer = drivers.client(by_name(producer), broker.address, role=" as producer")
    headers = (("written-by", producer.encode()),)
    for partition, codec in enumerate(CODECS):
        records = [
            Record(b"%d " % number + b"y" * 300, b"key", headers, partition) for number in range(50)
        ]
        writer.produce(topic_name, records, codec=codec)
    positions = dict.fromkeys(range(len(CODECS)), "earliest")
    received = client.consume(topic_name, positions, 50 * len(CODECS))
    for partition in positions:
        mine = [record for record in received if record.partition == partition]
        assert [record.value for record in mine] == [b"%d " % n + b"y" * 300 for n in range(50)]
        assert {(record.key, record.headers) for record in mine} == {(b"key", headers)}
