"""Command lines of kcat's that the documentation shows."""

from __future__ import annotations

import json
import subprocess

from interop_tests.client import Client
from interop_tests.clients import Feature
from interop_tests.drivers.protocol import OPERATION_TIMEOUT_S, Record
from interop_tests.scenarios import scenario
from interop_tests.targets import Target


def kcat(broker: Target, *arguments: str, stdin: str = "") -> str:
    """What `kcat -b ADDRESS ARGUMENTS` prints."""
    command = ["kcat", "-b", broker.address, *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=OPERATION_TIMEOUT_S
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@scenario("`kcat -P` and `kcat -C -e`, on a topic that does not exist yet", Feature.COMMAND_LINE)
def test_produce_and_consume(client: Client, broker: Target, topic_name: str) -> None:
    kcat(broker, "-P", "-t", topic_name, stdin="one\ntwo\nthree\n")
    assert kcat(broker, "-C", "-e", "-t", topic_name) == "one\ntwo\nthree\n"
    assert kcat(broker, "-C", "-e", "-o", "-1", "-t", topic_name) == "three\n"


@scenario("`kcat -C -J` shows key, headers, timestamp and offset", Feature.COMMAND_LINE)
def test_json_envelope(client: Client, broker: Target, topic: str) -> None:
    kcat(broker, "-P", "-t", topic, "-K", ":", "-H", "h=1", stdin="key:value\n")
    shown = json.loads(kcat(broker, "-C", "-e", "-J", "-t", topic))
    assert shown.pop("ts") > 0
    assert shown == {
        "topic": topic,
        "partition": 0,
        "offset": 0,
        "tstype": "create",
        "broker": shown["broker"],
        "headers": ["h", "1"],
        "key": "key",
        "payload": "value",
    }


@scenario(
    "`kcat -L` and `kcat -L -J` list brokers, topics, leaders and replicas", Feature.COMMAND_LINE
)
def test_list(client: Client, broker: Target, reference: Client, topic_name: str) -> None:
    reference.create_served_topic(topic_name, partitions=2)
    text = kcat(broker, "-L")
    addresses = broker.address.split(",")
    assert f" {len(addresses)} brokers:" in text
    assert all(f" at {address}" in text for address in addresses)
    assert f'topic "{topic_name}" with 2 partitions:' in text
    listing = json.loads(kcat(broker, "-L", "-J", "-t", topic_name))
    nodes = {entry["id"] for entry in listing["brokers"]}
    assert listing["controllerid"] in nodes
    [entry] = listing["topics"]
    assert sorted(part["partition"] for part in entry["partitions"]) == [0, 1]
    for part in entry["partitions"]:
        assert {each["id"] for each in part["replicas"]} == nodes
        assert {each["id"] for each in part["isrs"]} == nodes
        assert part["leader"] == part["replicas"][0]["id"]


@scenario("`kcat -Q` tells offsets by time, the end and the beginning", Feature.COMMAND_LINE)
def test_query(client: Client, broker: Target, reference: Client, topic: str) -> None:
    start_ms = 60_000 + 1_700_000_000_000
    reference.create_served_topic("forever-" + topic, configs={"retention.ms": "-1"})
    name = "forever-" + topic
    records = [Record(b"value", timestamp_ms=start_ms + number) for number in range(5)]
    reference.produce(name, records)
    assert kcat(broker, "-Q", "-t", f"{name}:0:{start_ms + 2}") == f"{name} [0] offset 2\n"
    assert kcat(broker, "-Q", "-t", f"{name}:0:-1") == f"{name} [0] offset 5\n"
    assert kcat(broker, "-Q", "-t", f"{name}:0:-2") == f"{name} [0] offset 0\n"


@scenario("`kcat -C -o s@TIME -o e@TIME` reads a range of times", Feature.COMMAND_LINE)
def test_time_range(client: Client, broker: Target, reference: Client, topic_name: str) -> None:
    start_ms = 1_700_000_000_000
    reference.create_served_topic(topic_name, configs={"retention.ms": "-1"})
    records = [Record(b"%d" % n, timestamp_ms=start_ms + 1000 * n) for n in range(10)]
    reference.produce(topic_name, records, batch_bytes=1)
    bounds = ["-o", f"s@{start_ms + 3000}", "-o", f"e@{start_ms + 6000}"]
    assert kcat(broker, "-C", "-e", "-t", topic_name, *bounds) == "3\n4\n5\n"


@scenario("`kcat -C -c 2` ends after two", Feature.COMMAND_LINE)
def test_count(client: Client, broker: Target, topic: str) -> None:
    kcat(broker, "-P", "-t", topic, "-z", "zstd", stdin="one\ntwo\nthree\n")
    assert kcat(broker, "-C", "-c", "2", "-t", topic) == "one\ntwo\n"
