"""A disk that is full, or that fails: what clients are told, what goes on, and what the next start
finds."""

import asyncio
import contextlib
import errno
import os
import sys
from pathlib import Path

import pytest

from log.checkpoint_writer import RECOVERY_POINTS, RESERVE, RESERVE_BYTES
from log.checkpoints import decode_offsets
from log.log_directory import CLEAN_SHUTDOWN
from simulator.disk import SimulatedDisk
from tests.process.broker_process import BrokerProcess
from tests.process.broker_thread import DATA, BrokerThread
from tests.process.raw_client import (
    COMMIT_VERSION,
    PRODUCE_VERSION,
    Disconnected,
    RawClient,
    batch,
    commit_request,
    produce_request,
)
from wire.errors import ErrorCode
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.produce import ProduceResponse

ROOM = 10 << 20
STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR


class Scene:
    """A broker on a disk that does as it is told, with topic "orders" holding `before`."""

    def __init__(self, store: Path) -> None:
        self.disk = SimulatedDisk()
        self.store = store

    def broker(self) -> BrokerThread:
        return BrokerThread(self.disk, str(self.store), "offsets.topic.num.partitions=1")

    def fill(self, broker: BrokerThread, *, but: int = 0) -> None:
        """From now on the disk takes `but` bytes more."""

        def set_capacity() -> None:
            self.disk.capacity_bytes = self.disk.used_bytes + but

        broker.run(set_capacity)

    def make_room(self, broker: BrokerThread) -> None:
        self.fill(broker, but=ROOM)

    def fail(self, broker: BrokerThread, operation: str, pattern: str, **how: object) -> None:
        broker.run(lambda: self.disk.fail(operation, pattern, **how))  # type: ignore[arg-type]


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path / "metadata.sqlite")
    with scene.broker() as broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.find_coordinator("group") == 0
        assert client.produce("orders", 0, batch(b"before")).error_code == 0
    assert scene.disk.exists(f"{DATA}/{CLEAN_SHUTDOWN}")
    return scene


def values(client: RawClient, topic: str = "orders") -> list[bytes]:
    return [value for _, value in client.read_all(topic, 0)]


# Full.


@pytest.mark.parametrize("acks", [1, -1])
def test_a_full_disk_refuses_records_serves_readers_and_goes_on_when_there_is_room(scene, acks):
    with scene.broker() as broker, RawClient(broker.address) as client:
        scene.fill(broker)
        refused = client.produce("orders", 0, batch(b"refused"), acks=acks)
        assert (refused.error_code, refused.base_offset) == (STORAGE_ERROR, -1)
        assert values(client) == [b"before"]
        scene.make_room(broker)
        accepted = client.produce("orders", 0, batch(b"after"), acks=acks)
        assert (accepted.error_code, accepted.base_offset) == (0, 1)
        assert values(client) == [b"before", b"after"]
    assert broker.failure == ""
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert values(client) == [b"before", b"after"]


def test_of_several_partitions_only_what_finds_no_room_is_refused(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        client.create_topic("small")
        scene.fill(broker, but=1000)
        large = client.produce("orders", 0, batch(b"." * 2000))
        small = client.produce("small", 0, batch(b"fits"))
        assert (large.error_code, small.error_code) == (STORAGE_ERROR, 0)
        assert values(client, "small") == [b"fits"]


def test_an_idempotent_producer_goes_on_with_the_sequence_that_was_refused(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        producer = client.init_producer()
        first = client.produce("orders", 0, batch(b"one", producer=producer, sequence=0))
        assert first.error_code == 0
        scene.fill(broker)
        second = batch(b"two", producer=producer, sequence=1)
        assert client.produce("orders", 0, second).error_code == STORAGE_ERROR
        third = batch(b"three", producer=producer, sequence=2)
        scene.make_room(broker)
        refused = client.produce("orders", 0, third)
        assert refused.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        for data, offset in ((second, 2), (third, 3), (second, 2)):
            answer = client.produce("orders", 0, data)
            assert (answer.error_code, answer.base_offset) == (0, offset)
        assert values(client) == [b"before", b"one", b"two", b"three"]


def test_a_topic_that_finds_no_room_is_refused_or_comes_later_but_harms_nobody(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        scene.fill(broker)
        answer = client.try_create_topic("more", partitions=2, timeout_ms=1000).topics[0]
        assert values(client) == [b"before"], ErrorCode(answer.error_code).name
        scene.make_room(broker)
        assert client.produce("orders", 0, batch(b"after")).error_code == 0
        if answer.error_code:
            client.create_topic("more", partitions=2)
        assert client.produce("more", 1, batch(b"value")).error_code == 0
    assert broker.failure == ""


def test_a_topic_on_a_full_disk_is_there_after_a_restart_with_room(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        scene.fill(broker)
        with contextlib.suppress(Disconnected):
            client.try_create_topic("more", timeout_ms=1000)
    scene.disk.capacity_bytes = None
    with scene.broker() as broker, RawClient(broker.address) as client:
        if client.metadata("more").topics[0].error_code:
            client.create_topic("more")
        assert client.produce("more", 0, batch(b"value")).error_code == 0
        assert values(client) == [b"before"]


def test_a_commit_that_finds_no_room_is_refused_and_the_last_one_holds(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:

        def commit(offset: int) -> int:
            request = commit_request("group", "orders", 0, offset)
            answer = client.ask(request, COMMIT_VERSION, OffsetCommitResponse)
            return answer.topics[0].partitions[0].error_code

        assert commit(1) == 0
        scene.fill(broker)
        assert commit(2) != 0
        assert client.committed_offset("group", "orders", 0) == 1
        scene.make_room(broker)
        assert commit(3) == 0
        assert client.committed_offset("group", "orders", 0) == 3


def test_checkpoints_find_room_on_a_full_disk_in_the_reserve(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert broker.run(lambda: scene.disk.exists(f"{DATA}/{RESERVE}"))
        assert client.produce("orders", 0, batch(b"after")).error_code == 0
        scene.fill(broker)
        broker.checkpoint()
        path = f"{DATA}/{RECOVERY_POINTS}"
        offsets = decode_offsets(broker.run(lambda: scene.disk.read_file(path)), path)
        assert offsets["orders", 0] == 2
        # Records do not take it: what is left is there for the next time.
        reserve = broker.run(lambda: scene.disk.status(f"{DATA}/{RESERVE}").size)
        assert reserve > 0.9 * RESERVE_BYTES
        assert client.produce("orders", 0, batch(b"." * 5000)).error_code == STORAGE_ERROR


def test_a_full_disk_is_left_clean(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert client.produce("orders", 0, batch(b"after")).error_code == 0
        scene.fill(broker)
    assert scene.disk.exists(f"{DATA}/{CLEAN_SHUTDOWN}")
    # With no room at all it starts, and serves readers.
    scene.disk.capacity_bytes = scene.disk.used_bytes + 64 * 1024
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert values(client) == [b"before", b"after"]


def test_after_a_kill_on_a_full_disk_it_starts_serves_readers_and_a_topic_can_be_deleted(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        client.create_topic("large")
        large = batch(b"." * 100_000)
        assert client.produce("large", 0, large).error_code == 0
        assert client.produce("orders", 0, batch(b"after")).error_code == 0
        scene.fill(broker)
        broker.checkpoint()
        scene.disk = broker.run(scene.disk.kill)
    for _ in range(3):
        scene.disk.capacity_bytes = scene.disk.used_bytes
        with scene.broker() as broker, RawClient(broker.address) as client:
            assert values(client) == [b"before", b"after"]
            assert client.produce("large", 0, large).error_code == STORAGE_ERROR
            scene.disk = broker.run(scene.disk.kill)
    scene.disk.capacity_bytes = scene.disk.used_bytes
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert client.delete_topic("large") == 0
        removed = broker.broker.replicas.remove_deleted()
        asyncio.run_coroutine_threadsafe(removed, broker.loop).result(60)
        assert client.produce("orders", 0, batch(b"again")).error_code == 0


# Failing.


def orders_log(scene: Scene) -> str:
    (name,) = [name for name in scene.disk.list_directory(f"{DATA}/orders-0") if ".log" in name]
    return f"{DATA}/orders-0/{name}"


@pytest.mark.parametrize("torn", [False, True])
def test_a_write_error_ends_the_broker_and_the_next_one_has_all_that_was_acknowledged(scene, torn):
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert client.produce("orders", 0, batch(b"acknowledged")).error_code == 0
        scene.fail(broker, "append", orders_log(scene), count=1, torn=torn)
        assert produce_until_end(client, b"failed") in (STORAGE_ERROR, None)
        broker.wait()
    assert "Input/output error" in broker.failure
    assert not scene.disk.exists(f"{DATA}/{CLEAN_SHUTDOWN}")
    scene.disk = scene.disk.kill()
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert values(client) == [b"before", b"acknowledged"]
        assert client.produce("orders", 0, batch(b"after")).base_offset == 2


def produce_until_end(client: RawClient, value: bytes, *, acks: int = -1) -> int | None:
    """The error code of the answer; None if the broker ended without one."""
    try:
        return client.produce("orders", 0, batch(value), acks=acks).error_code
    except Disconnected:
        return None


@pytest.mark.parametrize("acks", [1, -1])
def test_a_failed_flush_acknowledges_nothing_and_ends_the_broker(scene, acks):
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert client.produce("orders", 0, batch(b"acknowledged")).error_code == 0
        scene.fail(broker, "flush", orders_log(scene), count=1)
        with RawClient(broker.address) as second:
            # Two wait for the flush; neither may be told that all is well.
            for each in (client, second):
                each.send(produce_request("orders", 0, batch(b"lost"), acks=acks), PRODUCE_VERSION)
            codes = [code_of_answer(each) for each in (client, second)]
        assert set(codes) <= {STORAGE_ERROR, None}
        assert STORAGE_ERROR in codes
        broker.wait()
    assert "Input/output error" in broker.failure
    assert not scene.disk.exists(f"{DATA}/{CLEAN_SHUTDOWN}")
    scene.disk = scene.disk.kill()
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert values(client)[:2] == [b"before", b"acknowledged"]
        assert client.produce("orders", 0, batch(b"after")).error_code == 0


def code_of_answer(client: RawClient) -> int | None:
    try:
        frames: list[bytes] = []
        while not frames:
            frames = client.read_frames()
    except Disconnected:
        return None
    answer = client.decode(ProduceResponse, PRODUCE_VERSION, frames[0])
    return answer.responses[0].partition_responses[0].error_code


def test_a_failed_flush_of_the_offsets_topic_refuses_the_commit(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        scene.fail(broker, "flush", f"{DATA}/__consumer_offsets-0/*.log", count=1)
        client.send(commit_request("group", "orders", 0, 1), COMMIT_VERSION)
        try:
            frames: list[bytes] = []
            while not frames:
                frames = client.read_frames()
            answer = client.decode(OffsetCommitResponse, COMMIT_VERSION, frames[0])
            code = answer.topics[0].partitions[0].error_code
            assert code == ErrorCode.NOT_COORDINATOR  # what Kafka makes of a storage error
        except Disconnected:
            pass
        broker.wait()
    assert broker.failure


def test_a_checkpoint_that_fails_costs_nothing_but_time(scene):
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert client.produce("orders", 0, batch(b"one")).error_code == 0
        scene.fail(broker, "append", f"{DATA}/*checkpoint*", count=1)
        broker.checkpoint()
        assert client.produce("orders", 0, batch(b"two")).error_code == 0
    assert broker.failure == ""
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert values(client) == [b"before", b"one", b"two"]


def test_a_read_error_takes_the_only_directory_offline_and_the_broker_ends(scene):
    """As in Kafka: whatever error the disk gives, no more is trusted to it."""
    with scene.broker() as broker, RawClient(broker.address) as client:
        scene.fail(broker, "read", orders_log(scene), count=1)
        with contextlib.suppress(Disconnected):
            assert client.fetch("orders", 0, 0).error_code == STORAGE_ERROR
        broker.wait()
    assert "Input/output error" in broker.failure
    scene.disk = scene.disk.kill()
    with scene.broker() as broker, RawClient(broker.address) as client:
        assert values(client) == [b"before"]


# The process: a real one, whose fdatasync fails once the file `trigger` is there.

FAILING = """
import errno, os, sys
real = os.fdatasync
def fdatasync(descriptor):
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if os.path.exists(sys.argv[1]) and path.endswith(".log"):
        raise OSError(errno.EIO, "Input/output error")
    real(descriptor)
os.fdatasync = fdatasync
from kbroker.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


class FailingProcess(BrokerProcess):
    """A broker process whose flushes fail from the moment that `trigger` exists."""

    def __init__(self, data: Path, trigger: Path) -> None:
        self.program = ["-c", FAILING, str(trigger)]
        super().__init__(
            *("--data", str(data), "--listen", "127.0.0.1:0"), log_path=data.parent / "stderr"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="finds the path of a descriptor in /proc")
def test_a_failed_fsync_ends_the_process_with_status_1_and_one_line(tmp_path):
    trigger, data = tmp_path / "trigger", tmp_path / "data"
    broker = FailingProcess(data, trigger)
    try:
        broker.wait_until_ready()
        with RawClient(broker.address) as client:
            client.create_topic("orders")
            assert client.produce("orders", 0, batch(b"acknowledged")).error_code == 0
            trigger.touch()
            assert produce_until_end(client, b"failed") in (STORAGE_ERROR, None)
        assert broker.wait() == 1
        assert "the log directory is offline" in broker.refusal
        assert os.strerror(errno.EIO) in broker.refusal
        assert not (data / CLEAN_SHUTDOWN).exists()
    finally:
        broker.close()
    trigger.unlink()
    again = FailingProcess(data, trigger)
    try:
        again.wait_until_ready()
        with RawClient(again.address) as client:
            assert values(client)[0] == b"acknowledged"
        assert again.stop() == 0
    finally:
        again.close()
