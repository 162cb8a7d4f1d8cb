"""Starting, stopping and refusing to start, as the person at the terminal sees it.

The plainest cases (a signal, the ready text) are in tests/kbroker/test_start_and_stop.py.
"""

import os
import re
import shutil
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kbroker.cluster.topic_ids import topic_id_text
from log.log_directory import CLEAN_SHUTDOWN, META_PROPERTIES
from tests.process.broker_process import BrokerProcess, running, started
from tests.process.raw_client import (
    FETCH_VERSION,
    RawClient,
    batch,
    commit_request,
    delete_topic_request,
    fetch_request,
)
from wire.errors import ErrorCode
from wire.messages.offset_commit import OffsetCommitResponse

FEW_OFFSETS = ("--set", "offsets.topic.num.partitions=1")


def refused(data: Path, *arguments: str, status: int, **environment: str) -> str:
    """The one line with which a start on `data` is refused."""
    log_path = data.parent / "refused.stderr"
    log_path.unlink(missing_ok=True)
    # A later --listen wins, so that a test may give its own.
    broker = BrokerProcess(
        *("--data", str(data), "--listen", "127.0.0.1:0", *arguments),
        log_path=log_path,
        **environment,
    )
    try:
        assert broker.wait() == status, broker.errors
        assert broker.output == ""
        return broker.refusal
    finally:
        broker.close()


# Refused.


def test_a_port_that_is_taken(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path / "data", "--listen", f"127.0.0.1:{port}", status=1)
    assert line == f"kbroker: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_after_a_refused_start_the_next_one_finds_all_in_order(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.produce("orders", 0, batch(b"value")).error_code == 0
        assert broker.stop() == 0
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        refused(data, "--listen", f"127.0.0.1:{taken.getsockname()[1]}", status=1)
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.read_all("orders", 0) == [(0, b"value")]


def test_an_address_that_is_not_ours(tmp_path):
    line = refused(tmp_path / "data", "--listen", "192.0.2.1:9092", status=1)
    assert line.startswith("kbroker: cannot listen on 192.0.2.1:9092: ")


def test_a_data_directory_in_use_harms_neither(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert refused(data, status=1) == f"kbroker: {data} is in use by another broker"
        assert client.produce("orders", 0, batch(b"value")).error_code == 0
        assert broker.stop() == 0


def test_a_file_in_place_of_the_data_directory(tmp_path):
    (tmp_path / "data").write_text("")
    line = refused(tmp_path / "data", status=1)
    assert re.fullmatch(rf"kbroker: {tmp_path}/data cannot be used: .+", line)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_directory_that_is_not_writable(tmp_path):
    (tmp_path / "data").mkdir(mode=0o500)
    line = refused(tmp_path / "data", status=1)
    assert line == f"kbroker: {tmp_path}/data cannot be used: Permission denied"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "num.partitions=2\n# a comment\nlog.segment.byte=5\n",
            "{file}:3: unknown key log.segment.byte; the nearest valid key is log.segment.bytes",
        ),
        ("\n\nnum.partitions=many\n", "{file}:3: Invalid value many for configuration"),
        ("log.segment.bytes=1\n", "{file}:1: Invalid value 1 for configuration log.segment.bytes"),
    ],
)
def test_a_bad_line_in_a_file(tmp_path, text, line):
    file = tmp_path / "server.properties"
    file.write_text(text)
    shown = refused(tmp_path / "data", "--config", str(file), status=2)
    assert shown.startswith("kbroker: " + line.format(file=file))
    assert not (tmp_path / "data").exists(), "nothing is touched before the configuration is good"


def test_a_bad_variable_and_a_bad_option(tmp_path):
    data = tmp_path / "data"
    line = refused(data, status=2, KAFKA_NUM_PARTITION="3")
    assert line == (
        "kbroker: environment variable KAFKA_NUM_PARTITION: unknown key num.partition;"
        " the nearest valid key is num.partitions"
    )
    line = refused(data, "--set", "num.partitions=0", status=2)
    assert line.startswith("kbroker: --set: Invalid value 0 for configuration num.partitions")


def test_metadata_of_another_cluster(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for data in (one, other):
        with running(data) as broker:
            assert broker.stop() == 0
    for name in [path.name for path in one.iterdir() if path.name.startswith("metadata.sqlite")]:
        (one / name).unlink()
    for path in other.glob("metadata.sqlite*"):
        shutil.copy(path, one / path.name)
    line = refused(one, status=1)
    ids = [re.search(r"cluster\.id=(\S+)", (d / META_PROPERTIES).read_text()) for d in (one, other)]
    own, foreign = (match[1] for match in ids if match is not None)
    assert line == f"kbroker: {one} belongs to cluster {own}, its metadata to {foreign}"


def test_another_node_id(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker:
        assert broker.stop() == 0
    line = refused(data, "--set", "node.id=2", status=1)
    assert line == f"kbroker: {data} belongs to node 1, this broker is node 2"


def test_a_damaged_metadata_store(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker:
        assert broker.stop() == 0
    for path in data.glob("metadata.sqlite*"):
        path.write_bytes(b"not a database, whatever its name says" * 100)
    assert "metadata.sqlite" in refused(data, status=1)


def test_a_damaged_log_is_refused_with_the_way_out_and_left_as_it_is(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        for number in range(3):
            assert client.produce("orders", 0, batch(b"value %d" % number)).error_code == 0
        broker.kill()
    path = data / "orders-0" / "00000000000000000000.log"
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"value 1")] ^= 0xFF
    path.write_bytes(damaged)
    for _ in range(2):
        line = refused(data, status=1)
        assert f"{path} (offset 1) is not valid" in line
        assert f"Restore {path} from a copy" in line
    assert path.read_bytes() == damaged


def test_a_torn_tail_is_cut_and_said(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.produce("orders", 0, batch(b"value")).error_code == 0
        broker.kill()
    path = data / "orders-0" / "00000000000000000000.log"
    with path.open("ab") as file:
        file.write(bytes(batch(b"torn"))[:-3])
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.read_all("orders", 0) == [(0, b"value")]
        assert client.produce("orders", 0, batch(b"next")).base_offset == 1
    assert re.search(r"WARNING \S+: orders-0: cut a torn tail", broker.errors)


# Stopped.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_whoever_is_connected(tmp_path, number):
    data = tmp_path / "data"
    with running(data) as broker:
        clients = [RawClient(broker.address) for _ in range(4)]
        clients[0].create_topic("orders")
        for client in clients[1:3]:
            # Parked: nobody produces, and the wait is longer than this test.
            client.metadata("orders")
            client.send(fetch_request("orders", {0: 0}, wait_ms=300_000), FETCH_VERSION)
        with socket.create_connection(broker.address) as half_a_request:
            half_a_request.sendall(b"\0\0\1\0\0")
            assert broker.stop(number) == 0
        for client in clients:
            client.close()
    assert (data / CLEAN_SHUTDOWN).exists()
    assert "Traceback" not in broker.errors
    assert "ERROR" not in broker.errors


def test_a_second_signal_does_not_spoil_a_stop(tmp_path):
    with running(tmp_path / "data") as broker:
        broker.process.send_signal(signal.SIGTERM)
        broker.process.send_signal(signal.SIGINT)
        assert broker.wait() == 0
    assert (tmp_path / "data" / CLEAN_SHUTDOWN).exists()


def test_what_was_sent_before_the_signal_is_stored_or_unanswered(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.produce("orders", 0, batch(b"value"), acks=1).error_code == 0
        assert broker.stop() == 0
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.read_all("orders", 0) == [(0, b"value")]
        assert "torn" not in broker.errors


def test_killed_and_stopped_brokers_leave_different_traces(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker:
        assert not (data / CLEAN_SHUTDOWN).exists(), "it goes before anything is written"
        broker.kill()
    assert not (data / CLEAN_SHUTDOWN).exists()
    with running(data) as broker:
        assert broker.stop() == 0
    assert (data / CLEAN_SHUTDOWN).exists()


# Configured.


def test_what_is_nearer_to_the_person_wins(tmp_path):
    file = tmp_path / "server.properties"
    file.write_text("num.partitions=2\nlog.retention.ms=1000000\n")

    def partitions(name: str, *arguments: str, **environment: str) -> int:
        data = tmp_path / name
        with running(data, *arguments, **environment) as broker, RawClient(broker.address) as one:
            created = one.try_create_topic("orders", partitions=-1).topics[0]
            retention = {each.name: each.value for each in created.configs or ()}["retention.ms"]
            assert retention == ("1000000" if arguments[:1] == ("--config",) else "604800000")
            return created.num_partitions

    assert partitions("default") == 1
    assert partitions("environment", KAFKA_NUM_PARTITIONS="3") == 3
    config = ("--config", str(file))
    assert partitions("file", *config) == 2
    assert partitions("over the file", *config, KAFKA_NUM_PARTITIONS="3") == 3
    assert (
        partitions("over all", *config, "--set", "num.partitions=4", KAFKA_NUM_PARTITIONS="3") == 4
    )


def test_a_key_of_kafkas_without_meaning_is_one_warning(tmp_path):
    file = tmp_path / "server.properties"
    file.write_text("process.roles=broker,controller\nnum.network.threads=8\n")
    with running(tmp_path / "data", "--config", str(file)) as broker:
        assert broker.stop() == 0
    for line, key in ((1, "process.roles"), (2, "num.network.threads")):
        shown = [each for each in broker.errors.splitlines() if key in each]
        assert len(shown) == 1
        assert "WARNING" in shown[0]
        assert f"{file}:{line}: {key} is ignored" in shown[0]


def test_each_listener_tells_its_own_address(tmp_path):
    listeners = "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0,PLAIN://127.0.0.1:0"
    settings = (
        f"listeners={listeners}",
        "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,PLAIN:PLAINTEXT",
        "advertised.listeners=INSIDE://inside.example:1234,OUTSIDE://outside.example:0",
        "inter.broker.listener.name=INSIDE",
    )
    arguments = [word for setting in settings for word in ("--set", setting)]
    with running(tmp_path / "data", *arguments) as broker:
        inside, outside, plain = broker.addresses
        told = []
        for address in broker.addresses:
            with RawClient(address) as client:
                (node,) = client.metadata().brokers
                told.append((node.host, node.port))
        assert told == [("inside.example", 1234), ("outside.example", outside[1]), plain]
        assert len({inside, outside, plain}) == 3


# Started again.


def test_a_restart_keeps_topics_offsets_and_producers(tmp_path):
    data = tmp_path / "data"
    with running(data, *FEW_OFFSETS) as broker, RawClient(broker.address) as client:
        # Of today: a producer that wrote nothing for a day is forgotten, here as in Kafka.
        topic_id = client.create_topic(
            "orders", partitions=2, message_timestamp_type="LogAppendTime"
        )
        cluster_id = client.metadata().cluster_id
        producer = client.init_producer()
        first = batch(b"one", producer=producer, sequence=0)
        assert client.produce("orders", 1, first).base_offset == 0
        assert client.find_coordinator("group") == 0
        commit = client.ask(commit_request("group", "orders", 1, 1), 9, OffsetCommitResponse)
        assert commit.topics[0].partitions[0].error_code == 0
        assert broker.stop() == 0
    for stop in (BrokerProcess.kill, BrokerProcess.stop, BrokerProcess.kill):
        with running(data, *FEW_OFFSETS) as broker, RawClient(broker.address) as client:
            assert client.topic_id("orders") == topic_id
            assert client.metadata().cluster_id == cluster_id
            assert client.committed_offset("group", "orders", 1) == 1
            # Known as sent before, and not taken twice.
            assert client.produce("orders", 1, first).base_offset == 0
            gap = batch(b"gap", producer=producer, sequence=5)
            refused_gap = client.produce("orders", 1, gap).error_code
            assert refused_gap == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
            assert client.read_all("orders", 1) == [(0, b"one")]
            assert client.init_producer()[0] > producer[0]
            stop(broker)


def test_the_leader_epoch_rises_with_every_start(tmp_path):
    data = tmp_path / "data"
    epochs = []
    for stop in (BrokerProcess.stop, BrokerProcess.kill, BrokerProcess.stop):
        with running(data) as broker, RawClient(broker.address) as client:
            if not epochs:
                client.create_topic("orders")
            epochs.append(client.metadata("orders").topics[0].partitions[0].leader_epoch)
            stop(broker)
    assert epochs == sorted(set(epochs))


def test_a_directory_of_a_topic_that_is_gone_is_left_alone(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.produce("orders", 0, batch(b"old")).error_code == 0
        assert broker.stop() == 0
    left = tmp_path / "copy"
    shutil.copytree(data / "orders-0", left)
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.delete_topic("orders") == 0
        assert broker.stop() == 0
    assert not (data / "orders-0").exists()
    shutil.copytree(left, data / "orders-0")
    with running(data) as broker, RawClient(broker.address) as client:
        assert [topic.name for topic in client.metadata().topics] == []
        assert "orders-0 is not opened: there is no topic orders" in broker.errors
        # The name is free: a new topic does not get the old one's records.
        client.create_topic("orders")
        assert client.read_all("orders", 0) == []
        assert client.produce("orders", 0, batch(b"new")).base_offset == 0
        broker.kill()
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.read_all("orders", 0) == [(0, b"new")]


def test_a_topic_made_anew_under_its_name_has_another_id_and_no_records(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        old_id = client.create_topic("orders")
        assert client.produce("orders", 0, batch(b"old")).error_code == 0
        assert client.delete_topic("orders") == 0
        new_id = client.create_topic("orders")
        assert new_id != old_id
        broker.kill()
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.topic_id("orders") == new_id
        assert client.read_all("orders", 0) == []


@pytest.mark.parametrize("partitions", [1, 20])
def test_a_broker_killed_while_it_deletes_a_topic(tmp_path, partitions):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("kept")
        client.create_topic("orders", partitions=partitions)
        assert client.produce("orders", 0, batch(b"old")).error_code == 0
        # Killed at once: the request may have been read, decided, or carried out in part.
        client.send(delete_topic_request("orders"), 6)
        broker.kill()
    with running(data) as broker, RawClient(broker.address) as client:
        names = [topic.name for topic in client.metadata().topics]
        assert "kept" in names
        if "orders" in names:
            assert client.read_all("orders", 0) == [(0, b"old")]
            assert client.delete_topic("orders") == 0
        client.create_topic("orders", partitions=partitions)
        assert client.read_all("orders", 0) == []
        assert client.produce("orders", 0, batch(b"new")).base_offset == 0
        assert broker.stop() == 0


def test_a_topic_whose_deletion_was_answered_stays_deleted(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders", partitions=5)
        assert client.delete_topic("orders") == 0
        broker.kill()
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.metadata().topics == []
        assert broker.stop() == 0
    assert not [path.name for path in data.iterdir() if path.name.startswith("orders")]


def test_a_topic_whose_creation_was_answered_is_there_after_a_kill(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        topic_id = client.create_topic("orders", partitions=3)
        broker.kill()
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.topic_id("orders") == topic_id
        for index in range(3):
            assert client.produce("orders", index, batch(b"value")).base_offset == 0


def test_partition_directories_that_were_lost_are_made_again_or_told(tmp_path):
    """Metadata that is ahead of the directory: the kill came between the two."""
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        topic_id = client.create_topic("orders")
        broker.kill()
    shutil.rmtree(data / "orders-0")
    with running(data) as broker, RawClient(broker.address) as client:
        assert client.produce("orders", 0, batch(b"value")).base_offset == 0
    metadata = (data / "orders-0" / "partition.metadata").read_text()
    assert topic_id_text(topic_id) in metadata


def test_the_metadata_store_can_be_looked_into_after_a_stop(tmp_path):
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert broker.stop() == 0
    with closing(sqlite3.connect(data / "metadata.sqlite")) as store:
        keys = [key for (key,) in store.execute("SELECT k FROM kv ORDER BY k")]
    assert any(key.endswith("/tname/orders") for key in keys)


def test_python_without_asserts_is_refused_before_the_data_is_touched(tmp_path):
    with started(tmp_path / "data", PYTHONOPTIMIZE="1") as broker:
        assert broker.wait() == 2
        assert "python -O removes assertions" in broker.refusal
    assert not (tmp_path / "data").exists()
