"""Apache Kafka's own command-line tools print with kbroker what they print with Apache Kafka.

The transcripts beside this file were written with `--target kafka --write-transcripts`; every run,
whatever its target, is compared with them. Skips by name where Java or Maven is missing.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop_tests.conftest import start_target
from interop_tests.kafka_tools import Tools, transcript_path, why_no_tools
from interop_tests.targets import Target

pytestmark = [
    pytest.mark.skipif(why_no_tools() is not None, reason=str(why_no_tools())),
    pytest.mark.timeout(300),
]
SETTINGS = {"auto.create.topics.enable": "false", "offsets.topic.num.partitions": "1"}
ELR_DEFAULT = (r"Configs: min.insync.replicas=1$", "Configs:")
"""Kafka makes the minimum of in-sync replicas a setting of the cluster once ELR is on (KIP-966)."""


@pytest.fixture
def fresh_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """A broker for each transcript: some tools list everything that there is."""
    if request.config.getoption("--target") == "cluster":
        pytest.skip("the transcripts are of one broker")
    yield from start_target(request, tmp_path, SETTINGS)


@pytest.fixture
def tools(request: pytest.FixtureRequest, fresh_broker: Target, tmp_path: Path) -> Iterator[Tools]:
    """Kafka's tools; what they print must be what the transcript says."""
    tools = Tools(fresh_broker.address, tmp_path)
    yield tools
    path = transcript_path(request.node.name.removeprefix("test_"))
    if request.config.getoption("--write-transcripts"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(tools.transcript)
    assert tools.transcript == path.read_text()


def create(tools: Tools, topic: str, partitions: int = 1) -> None:
    tools.run("topics", "--create", "--topic", topic, "--partitions", str(partitions))


def produce(tools: Tools, topic: str, *lines: str) -> None:
    """Lines of "key:value", each a batch of its own at once."""
    tools.run(
        *("console-producer", "--topic", topic),
        *("--reader-property", "parse.key=true", "--reader-property", "key.separator=:"),
        stdin="".join(f"{line}\n" for line in lines),
    )


def test_topics(tools: Tools) -> None:
    create(tools, "tools-topics", 3)
    create(tools, "tools-topics", 3)
    create(tools, "tools.topics")
    tools.run("topics", "--list")
    tools.run("topics", "--describe", "--topic", "tools-topics", masks=(ELR_DEFAULT,))
    tools.run("topics", "--alter", "--topic", "tools-topics", "--partitions", "5")
    tools.run("topics", "--alter", "--topic", "tools-topics", "--partitions", "4")
    tools.run("topics", "--describe", "--topic", "tools-nothing")
    tools.run("topics", "--delete", "--topic", "tools-topics")
    tools.run("topics", "--list")


def test_configs(tools: Tools) -> None:
    create(tools, "tools-configs")
    of_topic = ("configs", "--entity-type", "topics", "--entity-name", "tools-configs")
    tools.run(*of_topic, "--alter", "--add-config", "retention.ms=86400000,max.message.bytes=2000")
    tools.run(*of_topic, "--describe")
    tools.run(*of_topic, "--alter", "--delete-config", "retention.ms")
    tools.run(*of_topic, "--alter", "--add-config", "retention.ms=soon")
    tools.run(*of_topic, "--describe")
    of_broker = ("configs", "--entity-type", "brokers")
    tools.run(
        *of_broker, "--entity-default", "--alter", "--add-config", "message.max.bytes=2000000"
    )
    tools.run(*of_broker, "--entity-name", "1", "--describe")
    tools.run(*of_broker, "--entity-name", "1", "--alter", "--add-config", "node.id=7")
    tools.run(*of_broker, "--entity-default", "--alter", "--delete-config", "message.max.bytes")
    of_group = ("configs", "--entity-type", "groups", "--entity-name", "tools-group")
    tools.run(*of_group, "--alter", "--add-config", "consumer.session.timeout.ms=50000")
    tools.run(*of_group, "--describe")


def test_records_and_offsets(tools: Tools) -> None:
    create(tools, "tools-records")
    produce(tools, "tools-records", "a:1", "b:2", "a:3")
    tools.run(
        *("console-consumer", "--topic", "tools-records", "--from-beginning"),
        *("--max-messages", "3", "--formatter-property", "print.key=true"),
        *("--formatter-property", "print.offset=true"),
    )
    tools.run("get-offsets", "--topic", "tools-records")
    tools.run("get-offsets", "--topic", "tools-records", "--time", "earliest")
    tools.run(
        *("get-offsets", "--topic", "tools-records", "--time", "max-timestamp"),
        masks=((r":\d$", ":ONE OF THREE"),),
    )
    plan = {"partitions": [{"topic": "tools-records", "partition": 0, "offset": 2}], "version": 1}
    tools.run("delete-records", "--offset-json-file", tools.file("plan.json", json.dumps(plan)))
    tools.run("get-offsets", "--topic", "tools-records", "--time", "earliest")
    tools.run("get-offsets", "--topic", "tools-nothing")


def test_groups(tools: Tools) -> None:
    create(tools, "tools-groups")
    produce(tools, "tools-groups", "a:1", "b:2", "a:3")
    read = ("console-consumer", "--topic", "tools-groups", "--group", "tools", "--from-beginning")
    tools.run(*read, "--max-messages", "3", "--command-property", "group.protocol=classic")
    tools.run("groups", "--list")
    tools.run("groups", "--list", "--state")
    tools.run("groups", "--describe", "--group", "tools")
    tools.run("groups", "--describe", "--group", "tools", "--state")
    tools.run("groups", "--describe", "--group", "nobody")
    reset = ("groups", "--reset-offsets", "--group", "tools", "--topic", "tools-groups")
    tools.run(*reset, "--to-offset", "1", "--execute")
    tools.run("groups", "--describe", "--group", "tools", "--offsets")
    tools.run("groups", "--delete-offsets", "--group", "tools", "--topic", "tools-groups")
    tools.run("groups", "--delete", "--group", "tools")
    tools.run("groups", "--delete", "--group", "tools")


def test_log_dirs(tools: Tools) -> None:
    create(tools, "tools-dirs")
    tools.run("log-dirs", "--describe", "--topic-list", "tools-dirs")


def test_verifiable(tools: Tools) -> None:
    create(tools, "tools-verifiable")
    tools.run(
        *("verifiable-producer", "--topic", "tools-verifiable", "--max-messages", "5"),
        masks=((r'"(target|avg)_throughput":[-\d.E]+', r'"\1_throughput":RATE'),),
    )
    tools.run(
        *("verifiable-consumer", "--topic", "tools-verifiable", "--max-messages", "5"),
        *("--group-id", "tools-verifiable", "--reset-policy", "earliest"),
        in_any_order=True,  # the shutdown is told by two threads
    )


def test_performance(tools: Tools) -> None:
    create(tools, "tools-performance")
    printed = tools.run(
        *("producer-perf", "--topic", "tools-performance", "--num-records", "20000"),
        *("--record-size", "100", "--throughput", "-1"),
        masks=((r"sent,.*", "sent"), (r"^(?!20000).*records sent\n", "")),
    )
    assert "20000 records sent" in printed
    tools.run(
        *("consumer-perf", "--topic", "tools-performance", "--num-records", "20000"),
        masks=((r"(TIME, TIME), .*", r"\1, NUMBERS"),),
    )


def test_what_one_broker_answers_about_a_cluster(tools: Tools) -> None:
    create(tools, "tools-cluster")
    plan = {"partitions": [{"topic": "tools-cluster", "partition": 0, "replicas": [1]}]}
    plan["version"] = 1
    tools.run("leader-election", "--election-type", "preferred", "--all-topic-partitions")
    tools.run("reassign-partitions", "--list")
    tools.run(
        *("reassign-partitions", "--verify", "--reassignment-json-file"),
        tools.file("moves.json", json.dumps(plan)),
    )
    tools.run("acls", "--list")


def test_api_versions(fresh_broker: Target, tmp_path: Path) -> None:
    """Every API that is served is served to the newest version that the tool knows."""
    printed = Tools(fresh_broker.address, tmp_path).run("api-versions")
    served = re.findall(r"^\t(\w+)\(\d+\): (\d+)(?: to (\d+))? \[usable: (\d+)\]", printed, re.M)
    assert len(served) > 35, printed
    assert [name for name, oldest, newest, usable in served if usable != (newest or oldest)] == []
