"""No answer leaves before the flush that covers it, whatever else is going on.

The flusher waits for the test here, so the order is not a matter of luck. What the operating system
sees of the real process is checked as well, where strace is there to look.
"""

import re
import select
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.disk import SimulatedDisk
from tests.process.broker_process import started
from tests.process.broker_thread import DATA, DEADLINE_S, BrokerThread, GatedFlusher
from tests.process.raw_client import (
    COMMIT_VERSION,
    PRODUCE_VERSION,
    RawClient,
    batch,
    commit_request,
    produce_request,
    values_in,
)
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.produce import ProduceResponse

LOG = f"{DATA}/orders-0/00000000000000000000.log"
PAGE_CACHE = f"log.flush.interval.messages={2**63 - 1}"


class Scene:
    """A broker whose flushes wait, with topic "orders"; the topic's own flushes are done."""

    def __init__(self, broker: BrokerThread) -> None:
        self.broker = broker
        self.gate: GatedFlusher = broker.flusher  # type: ignore[assignment]

    def client(self) -> RawClient:
        return RawClient(self.broker.address)

    def await_flush(self) -> None:
        """Until a flush waits at the gate."""
        self.gate.submitted.get(timeout=DEADLINE_S)

    def release(self) -> None:
        self.broker.run(self.gate.release)

    def assert_silent(self, *clients: RawClient) -> None:
        """Nothing has been answered, though the broker serves others meanwhile."""
        with self.client() as other:
            for _ in range(3):
                other.metadata("orders")
        readable, _, _ = select.select(clients, [], [], 0)
        assert not readable, "answered before the flush"

    def durable(self) -> bytes:
        return self.broker.run(lambda: self.broker.disk.durable_content(LOG))

    def produce(self, client: RawClient, value: bytes, *, acks: int) -> None:
        client.send(produce_request("orders", 0, batch(value), acks=acks), PRODUCE_VERSION)


def answer(client: RawClient, cls=ProduceResponse, version: int = PRODUCE_VERSION):
    frames: list[bytes] = []
    while not frames:
        frames = client.read_frames()
    (frame,) = frames
    return client.decode(cls, version, frame)


def error_code(response: ProduceResponse) -> int:
    return response.responses[0].partition_responses[0].error_code


@pytest.fixture
def scene(tmp_path):
    broker = BrokerThread(
        SimulatedDisk(),
        str(tmp_path / "metadata.sqlite"),
        "offsets.topic.num.partitions=1",
        make_flusher=GatedFlusher,
    )
    with broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.find_coordinator("group") == 0
        yield Scene(broker)


@pytest.mark.parametrize("acks", [1, -1])
def test_a_produce_is_answered_after_the_flush_that_covers_it(scene, acks):
    with scene.client() as client:
        scene.produce(client, b"value", acks=acks)
        scene.await_flush()
        scene.assert_silent(client)
        assert b"value" not in scene.durable()
        scene.release()
        assert error_code(answer(client)) == 0
        assert b"value" in scene.durable()


def test_a_flush_answers_only_for_what_was_there_when_it_began(scene):
    with scene.client() as early, scene.client() as late:
        scene.produce(early, b"early", acks=-1)
        scene.await_flush()
        scene.produce(late, b"late", acks=1)
        scene.assert_silent(early, late)
        scene.release()
        assert error_code(answer(early)) == 0
        scene.await_flush()
        scene.assert_silent(late)
        scene.release()
        assert error_code(answer(late)) == 0
        assert b"late" in scene.durable()


def test_one_flush_answers_all_connections(scene):
    clients = [scene.client() for _ in range(5)]
    with scene.client() as first:
        scene.produce(first, b"first", acks=-1)
        scene.await_flush()
        for number, client in enumerate(clients):
            scene.produce(client, f"value {number}".encode(), acks=-1 if number % 2 else 1)
        scene.assert_silent(first, *clients)
        scene.release()
        scene.await_flush()
        scene.release()
        for client in (first, *clients):
            assert error_code(answer(client)) == 0
            client.close()


def test_a_record_without_acknowledgement_is_flushed_all_the_same(scene):
    with scene.client() as client:
        scene.produce(client, b"value", acks=0)
        scene.await_flush()
        scene.release()
        assert b"value" in scene.durable()


def test_a_consumer_sees_nothing_that_a_power_loss_could_take(scene):
    with scene.client() as producer, scene.client() as consumer:
        scene.produce(producer, b"value", acks=1)
        scene.await_flush()
        seen = consumer.fetch("orders", 0, 0)
        assert (seen.high_watermark, values_in(seen.records)) == (0, [])
        scene.release()
        answer(producer)
        assert consumer.read_all("orders", 0) == [(0, b"value")]


def test_a_retry_of_what_is_not_yet_durable_waits_as_well(scene):
    with scene.client() as client, scene.client() as again:
        data = batch(b"value", producer=client.init_producer(), sequence=0)
        client.send(produce_request("orders", 0, data), PRODUCE_VERSION)
        scene.await_flush()
        again.send(produce_request("orders", 0, data), PRODUCE_VERSION)
        scene.assert_silent(client, again)
        scene.release()
        for each in (client, again):
            response = answer(each)
            assert error_code(response) == 0
            assert response.responses[0].partition_responses[0].base_offset == 0


def test_a_committed_offset_is_answered_after_its_flush(scene):
    with scene.client() as client:
        client.send(commit_request("group", "orders", 0, 5), COMMIT_VERSION)
        scene.await_flush()
        scene.assert_silent(client)
        scene.release()
        response = answer(client, OffsetCommitResponse, COMMIT_VERSION)
        assert response.topics[0].partitions[0].error_code == 0
        assert client.committed_offset("group", "orders", 0) == 5


def test_with_page_cache_durability_nothing_waits_for_a_flush(tmp_path):
    broker = BrokerThread(
        SimulatedDisk(),
        str(tmp_path / "metadata.sqlite"),
        PAGE_CACHE,
        make_flusher=GatedFlusher,
    )
    with broker, RawClient(broker.address) as client:
        client.create_topic("orders")
        assert client.produce("orders", 0, batch(b"value")).error_code == 0
        assert b"value" not in broker.run(lambda: broker.disk.durable_content(LOG))


def test_a_topic_may_choose_the_page_cache_by_itself(scene):
    with scene.client() as client:
        client.create_topic("fast", flush_messages=str(2**63 - 1))
        assert client.produce("fast", 0, batch(b"value")).error_code == 0


# The real process, as the operating system sees it.

STRACE = shutil.which("strace")
REQUESTS = 40
CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class SystemCall:
    """`began` and `ended` are the places of its two ends in the order of all such."""

    name: str
    text: str
    began: int
    ended: int


def read_trace(path: Path) -> list[SystemCall]:
    """The calls of an strace with -f, in the order in which they began."""
    calls: list[SystemCall] = []
    open_calls: dict[str, SystemCall] = {}
    for number, line in enumerate(path.read_text().splitlines()):
        resumed = RESUMED.match(line)
        if resumed is not None:
            call = open_calls.pop(resumed["thread"])
            call.text += resumed["rest"]
            call.ended = number
            continue
        began = CALL.match(line)
        if began is None:
            continue  # a signal, or an exit
        unfinished = began["rest"].endswith("<unfinished ...>")
        call = SystemCall(began["name"], began["rest"], number, 1 << 62 if unfinished else number)
        calls.append(call)
        if unfinished:
            open_calls[began["thread"]] = call
    return calls


def answers_in(calls: list[SystemCall]) -> list[int]:
    """When each answer of a connection left: the beginnings of the calls that sent its end."""
    stream = bytearray()
    left: list[int] = []
    for call in calls:
        for text in TEXT.findall(call.text):
            stream += bytes.fromhex(text.replace("\\x", ""))
        while len(stream) >= 4 and len(stream) >= 4 + int.from_bytes(stream[:4], "big"):
            del stream[: 4 + int.from_bytes(stream[:4], "big")]
            left.append(call.began)
    return left


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("acks", [1, -1])
def test_the_process_answers_no_record_before_an_fdatasync_that_began_after_its_write(
    tmp_path, acks
):
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,pwritev,fdatasync,sendto,sendmsg,write,writev"
    # -D: the tracer is the grandchild, so that signals reach the broker.
    prefix = (str(STRACE), "-D", "-f", "-yy", "-xx", "-s", "100000", "-e", calls, "-o", str(trace))
    with started(tmp_path / "data", prefix=prefix) as broker:
        broker.wait_until_ready()
        with RawClient(broker.address) as client:
            client.create_topic("orders")
        with RawClient(broker.address) as client:
            port = client.socket.getsockname()[1]
            for number in range(REQUESTS):
                client.send(
                    produce_request("orders", 0, batch(b"%d" % number), acks=acks), PRODUCE_VERSION
                )
                if number % 7 == 6:
                    while client.in_flight > 3:
                        take(client)
            while client.in_flight:
                take(client)
            peer = f"->127.0.0.1:{port}]"
        # The end of its output: the tracer has ended as well, and the trace is whole.
        assert broker.stop() == 0
    seen = read_trace(trace)
    # -xx shows paths in hexadecimal, but addresses as they are.
    directory = "".join(f"\\x{byte:02x}" for byte in b"/orders-0/")
    on_log = [call for call in seen if directory in call.text.split(">")[0]]
    writes = [call for call in on_log if call.name.startswith("pwrite")]
    flushes = [call for call in on_log if call.name == "fdatasync"]
    to_client = [call for call in seen if call.name[0] in "sw" and peer in call.text.split(">,")[0]]
    answered = answers_in(to_client)
    assert len(answered) == REQUESTS
    assert len(writes) >= REQUESTS
    for write, answer_began in zip(writes, answered, strict=False):
        assert any(
            write.ended < flush.began and flush.ended < answer_began and flush.text.endswith("= 0")
            for flush in flushes
        ), f"{write} was answered at {answer_began} without a flush between"


def take(client: RawClient) -> None:
    for frame in client.read_frames():
        assert error_code(client.decode(ProduceResponse, PRODUCE_VERSION, frame)) == 0
