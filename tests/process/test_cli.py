"""The commands against a broker process: as calls, in pipes, and in a real terminal."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbroker.__main__ import main
from tests.process.broker_process import DEADLINE_S, ROOT, BrokerProcess, running
from tests.process.terminal import PROGRAM, terminal

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[BrokerProcess]:
    data = tmp_path_factory.mktemp("broker") / "data"
    with running(data, "--dev", "--set", "offsets.topic.num.partitions=1") as process:
        yield process


@pytest.fixture
def run(broker: BrokerProcess, monkeypatch, capsys):
    """Calls a command; its standard output, or with `status` the one line of its failure."""
    monkeypatch.setenv("KBROKER_BOOTSTRAP", "{}:{}".format(*broker.address))

    def call(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        found = main(arguments)
        shown = capsys.readouterr()
        assert found == status, shown
        if status:
            assert shown.err.startswith("kbroker: "), shown
            assert shown.err.count("\n") == 1, shown
            return shown.err
        return shown.out

    return call


@pytest.fixture
def environment(broker: BrokerProcess) -> dict[str, str]:
    address = "{}:{}".format(*broker.address)
    return {**os.environ, "KBROKER_BOOTSTRAP": address, "TERM": "xterm", "COLUMNS": "80"}


@pytest.fixture
def topic(run, request) -> str:
    """A topic of the test's own."""
    name = request.node.name.removeprefix("test_").replace("[", ".").strip("]")
    run("topics", "create", name)
    return name


def write_lines(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def read_json(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_topics_from_creation_to_deletion(run):
    assert run(
        "topics", "create", "life", "--partitions", "2", "--config", "retention.ms=9000"
    ) == ("created life with 2 partitions\n")
    assert "TOPIC_ALREADY_EXISTS" in run("topics", "create", "life", status=1)
    assert run("topics", "create", "life", "--if-not-exists") == ""
    assert run("topics", "alter", "life", "--partitions", "3") == "life has 3 partitions\n"
    (listed,) = [
        each for each in json.loads(run("topics", "list", "--json")) if each["name"] == "life"
    ]
    assert listed == {"name": "life", "partitions": 3, "replication_factor": 1, "internal": False}
    (described,) = json.loads(run("topics", "describe", "life", "--json"))
    assert [each["partition"] for each in described["partitions"]] == [0, 1, 2]
    assert described["settings"] == {"retention.ms": "9000"}
    shown = run("topics", "describe", "life")
    assert shown.splitlines()[1:4] == [
        "Settings: retention.ms=9000",
        "PARTITION  LEADER  EPOCH  REPLICAS  IN SYNC",
        "        0       1      0  1         1",
    ]
    assert run("topics", "delete", "life") == "deleted life\n"
    assert run("topics", "delete", "life", status=1) == "kbroker: there is no topic life\n"
    assert run("topics", "delete", "life", "--if-exists") == ""
    assert "life" not in run("topics", "list")


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_is_produced_is_consumed(run, topic, tmp_path, codec):
    path = write_lines(tmp_path / "lines", "k1:v1", "k2:v:2", ":")
    run("produce", topic, "-f", path, "-k", ":", "-H", "from=test", "--codec", codec)
    assert run("consume", topic) == "v1\nv:2\n\n"
    assert run("consume", topic, "--format", "key-value") == "k1\tv1\nk2\tv:2\n\t\n"
    found = read_json(run("consume", topic, "--json"))
    assert [(each["offset"], each["key"], each["value"]) for each in found] == [
        (0, "k1", "v1"),
        (1, "k2", "v:2"),
        (2, "", ""),
    ]
    assert found[0]["headers"] == [["from", "test"]]


def test_any_bytes_go_through_json_and_back(run, topic, tmp_path):
    values = [{"base64": "/wA="}, "text", "two\nlines", None]
    lines = [json.dumps({"key": "k", "value": value, "timestamp": 1000}) for value in values]
    run("produce", topic, "--format", "json", "-f", write_lines(tmp_path / "lines", *lines))
    printed = run("consume", topic, "--json")
    assert [each["value"] for each in read_json(printed)] == values
    assert {each["timestamp"] for each in read_json(printed)} == {1000}
    (tmp_path / "again").write_text(printed)
    run("produce", topic, "--format", "json", "-f", str(tmp_path / "again"), "--acks", "1")
    assert [each["value"] for each in read_json(run("consume", topic, "--json"))] == values * 2


def test_consuming_from_a_place(run, topic, tmp_path):
    lines = [json.dumps({"value": str(n), "timestamp": 1000 * n}) for n in range(1, 6)]
    run("produce", topic, "--format", "json", "-f", write_lines(tmp_path / "lines", *lines))
    assert run("consume", topic, "--from", "3") == "4\n5\n"
    assert run("consume", topic, "--from", "-1") == "5\n"
    assert run("consume", topic, "--from", "@2500", "--max", "2") == "3\n4\n"
    assert run("consume", f"{topic}:0", "--from", "1970-01-01T00:00:05Z") == "5\n"
    assert run("consume", topic, "--from", "end") == ""
    assert run("offsets", "get", topic, "--at", "@2500").split() == [
        *("TOPIC", "PARTITION", "OFFSET"),
        *(topic, "0", "2"),
    ]


def test_offsets_and_deleting_records(run, topic, tmp_path):
    run("produce", topic, "-f", write_lines(tmp_path / "lines", "1", "2", "3"))
    assert json.loads(run("offsets", "get", topic, "--json")) == [
        {"topic": topic, "partition": 0, "beginning": 0, "end": 3, "span": 3}
    ]
    assert run("offsets", "delete-records", topic, "--before", "2").splitlines()[1].split() == [
        *(topic, "0", "2")
    ]
    assert run("consume", topic) == "3\n"
    assert "OFFSET_OUT_OF_RANGE" in run(
        "offsets", "delete-records", topic, "--before", "9", status=1
    )


def test_a_group_reads_on_and_is_moved(run, topic, tmp_path):
    run("produce", topic, "-f", write_lines(tmp_path / "lines", "1", "2", "3"))
    group = ("--group", "readers")
    assert run("consume", topic, *group, "--max", "2") == "1\n2\n"
    assert run("consume", topic, *group) == "3\n"
    run("produce", topic, "-f", write_lines(tmp_path / "lines", "4", "5"))
    ((described),) = json.loads(run("groups", "describe", "readers", "--json"))
    assert described["state"] == "Empty"
    (progress,) = described["offsets"]
    assert (progress["committed"], progress["end"], progress["lag"]) == (3, 5, 2)
    assert {"name": "readers", "state": "Empty"}.items() <= next(
        each for each in json.loads(run("groups", "list", "--json")) if each["name"] == "readers"
    ).items()
    moving = ("groups", "reset-offsets", "readers", "--topic", topic, "--to", "1", "--json")
    planned = [{"topic": topic, "partition": 0, "committed": 3, "new": 1}]
    assert json.loads(run(*moving)) == planned
    assert json.loads(run(*moving)) == planned, "a plan is no deed"
    assert json.loads(run(*moving, "--execute")) == planned
    assert run("consume", topic, *group, "--max", "2") == "2\n3\n"
    assert run("groups", "delete", "readers") == "deleted readers\n"
    assert run("groups", "describe", "readers", status=1) == "kbroker: there is no group readers\n"


def test_settings_are_changed_and_taken_back(run, topic):
    where = ("topic", topic)
    run("configs", "set", *where, "retention.ms=5000", "--dry-run")
    assert json.loads(run("configs", "describe", *where, "--json")) == []
    run("configs", "set", *where, "retention.ms=5000", "segment.bytes=1048576")
    (one, two) = json.loads(run("configs", "describe", *where, "--json"))
    assert (one["name"], one["value"], one["source"]) == ("retention.ms", "5000", "topic")
    assert [topic, "segment.bytes", "1048576"] == [
        *next(
            line.split()[1:]
            for line in run("configs", "list", "--type", "topic").splitlines()
            if topic in line and "segment" in line
        )
    ]
    assert run("configs", "delete", *where, "retention.ms").startswith("deleted retention.ms")
    assert [each["name"] for each in json.loads(run("configs", "describe", *where, "--json"))] == [
        two["name"]
    ]
    assert "KEY" in run("configs", "describe", "broker", "1", "log.dirs", "--docs")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("topics describe nosuch", "there is no topic nosuch"),
        ("topics alter nosuch --partitions 2", "there is no topic nosuch"),
        ("topics create bad/name", "INVALID_TOPIC_EXCEPTION"),
        ("topics create other --config retention.m=1", "INVALID_CONFIG"),
        ("consume nosuch", "there is no topic nosuch"),
        ("consume nosuch:x", "expected TOPIC or TOPIC:PARTITION"),
        ("produce nosuch -f /dev/null", "there is no topic nosuch; to create it add --create"),
        ("offsets get nosuch", "there is no topic nosuch"),
        (
            "offsets get __consumer_offsets:9",
            "topic __consumer_offsets has no partition 9; it has 1",
        ),
        ("groups describe nosuch", "there is no group nosuch"),
        ("groups delete nosuch", "there is no group nosuch"),
        ("groups reset-offsets nosuch --all-topics --to end", "there is no group nosuch"),
        ("configs describe topic nosuch", "there is no topic nosuch"),
        ("configs set topic nosuch retention.ms=1", "there is no topic nosuch"),
        ("configs describe broker 7", "there is no broker 7; there is 1"),
        ("configs describe broker b", "expected a broker's id"),
        ("configs describe broker 1 no.such.key", "a broker has no setting no.such.key"),
    ],
)
def test_a_wrong_name_is_one_line_and_status_1(run, arguments, words):
    # The groups' topic is there as soon as somebody asked for a group.
    run("groups", "list")
    if "__consumer_offsets" in arguments:
        run(
            "groups", "reset-offsets", "any", "--topic", _any_topic(run), "--to", "end", "--execute"
        )
    assert words in run(*arguments.split(), status=1)


def _any_topic(run) -> str:
    run("topics", "create", "any", "--if-not-exists")
    return "any"


@pytest.mark.parametrize(
    "arguments",
    [
        "topics list",
        "groups list",
        "configs list",
        "offsets get t",
        "produce t -f /dev/null",
        "consume t",
    ],
)
def test_a_dead_broker_is_one_line_and_status_1(run, arguments):
    line = run(*arguments.split(), "--bootstrap", NOBODY, "--timeout", "0.2", status=1)
    assert line == f"kbroker: no broker answers at {NOBODY}\n"


def test_a_line_that_is_no_record_is_named_and_only_those_before_it_are_sent(run, topic, tmp_path):
    path = write_lines(tmp_path / "lines", "k:v", "novalue", "k:w")
    line = run("produce", topic, "-k", ":", "-f", path, status=1)
    assert line == f"kbroker: {path}, line 2: has no key separator ':'\n"
    assert run("consume", topic) == "v\n"


def test_a_topic_is_created_where_that_is_asked_for(run, tmp_path):
    path = write_lines(tmp_path / "lines", "1")
    run("produce", "made", "--create", "-f", path)
    run("produce", "made", "--create", "-f", path)
    assert run("consume", "made") == "1\n1\n"


def test_the_files_of_the_broker_are_read_without_it(run, broker, topic, tmp_path):
    run("produce", topic, "-f", write_lines(tmp_path / "lines", "1", "2"))
    data = broker.log_path.parent / broker.log_path.name.removesuffix(".stderr")
    shown = run("dump-log", "--records", str(data / f"{topic}-0"))
    assert "offsets 0 to 1, 2 records" in shown
    assert shown.count("value=") == 2
    run("groups", "reset-offsets", "dumped", "--topic", topic, "--to", "1", "--execute")
    stored = run("dump-log", "--offsets", str(data / "__consumer_offsets-0"))
    assert f"group dumped, {topic}:0: committed 1" in stored


def test_standard_input_to_standard_output(run, topic, environment):
    done = subprocess.run(
        [*PROGRAM, "produce", topic],
        input=b"one\ntwo\r\nthree",
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert run("consume", topic) == "one\ntwo\nthree\n"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, "consume", topic],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
        timeout=DEADLINE_S,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b""), "whoever reads may go away"


def test_names_are_completed(run, topic, environment):
    def complete(line: str, **changes: str) -> list[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        done = subprocess.run(
            PROGRAM,
            cwd=ROOT,
            env={**environment, "_KBROKER_COMPLETE": "bash_complete", **words, **changes},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        assert done.stderr == ""
        return [each.removeprefix("plain,") for each in done.stdout.split()]

    assert complete(f"kbroker consume {topic[:8]}") == [topic]
    assert complete(f"kbroker topics describe {topic} {topic[:8]}") == [], "named already"
    assert complete("kbroker consume n", KBROKER_BOOTSTRAP=NOBODY) == []
    assert "dump-log" in complete("kbroker d")


def test_in_a_terminal_lines_go_from_one_to_another_until_ctrl_c_and_ctrl_d(topic, environment):
    following = ("consume", topic, "--follow", "--group", "watchers")
    with (
        terminal(environment, *following) as reader,
        terminal(environment, "produce", topic) as writer,
    ):
        writer.type("hello\n")
        reader.read_until("hello\r\n")
        writer.type("again\n")
        reader.read_until("again\r\n")
        reader.type("\x03")
        assert reader.finish() == 130
        assert "Traceback" not in reader.shown
        assert "kbroker:" not in reader.shown
        writer.type("\x04")
        assert writer.finish() == 0
        assert f"2 records are in {topic}" in writer.shown


def test_a_member_that_was_interrupted_has_left_and_committed(run, topic, environment, tmp_path):
    run("produce", topic, "-f", write_lines(tmp_path / "lines", "1", "2"))
    with terminal(environment, "consume", topic, "--follow", "--group", "gone") as reader:
        reader.read_until("2\r\n")
        reader.type("\x03")
        assert reader.finish() == 130
    (described,) = json.loads(run("groups", "describe", "gone", "--json"))
    assert (described["state"], described["members"]) == ("Empty", [])
    assert described["offsets"][0]["lag"] == 0


def test_a_terminal_sees_a_table_as_wide_as_it_is_and_a_bar(run, environment, tmp_path):
    name = "wide." * 30
    run("topics", "create", name)
    with terminal(environment, "topics", "list") as program:
        assert program.finish() == 0
    lines = program.shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "wide." in program.shown
    path = write_lines(tmp_path / "lines", *["x" * 100] * 1000)
    with terminal(environment, "produce", name, "-f", path) as program:
        assert program.finish() == 0
    assert "━" in program.shown
    assert "1000 records are in" in program.shown
