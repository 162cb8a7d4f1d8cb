"""What administration has changed is there after kill -9 of the real process."""

from __future__ import annotations

from pathlib import Path

from tests.kbroker.handlers.admin_requests import create_partitions, delete_records
from tests.kbroker.handlers.requests import Target
from tests.process.broker_process import running
from tests.process.raw_client import RawClient, batch
from wire.messages.create_partitions import CreatePartitionsResponse
from wire.messages.delete_records import DeleteRecordsResponse

ROUNDS = 2


def test_deleted_records_and_new_partitions_survive_kill_9_right_after_the_answer(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    target = Target("t", bytes(16))
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("t")
    for number in range(ROUNDS):
        with running(data) as broker, RawClient(broker.address) as client:
            for value in range(3):
                client.produce("t", 0, batch(b"%d" % (3 * number + value)))
            deleted = client.ask(
                delete_records(target, 2, offset=3 * number + 1), 2, DeleteRecordsResponse
            )
            assert deleted.topics[0].partitions[0].low_watermark == 3 * number + 1
            grown = client.ask(
                create_partitions(target, 3, count=number + 2), 3, CreatePartitionsResponse
            )
            assert grown.results[0].error_code == 0
            client.produce("t", number + 1, batch(b"new"))
            broker.kill()
        with running(data) as broker, RawClient(broker.address) as client:
            left = client.read_all("t", 0, 3 * number + 1)
            assert left == [(at, b"%d" % at) for at in range(3 * number + 1, 3 * number + 3)]
            below = client.fetch("t", 0, 3 * number)
            assert below.log_start_offset in (-1, 3 * number + 1)
            assert below.error_code == 1, "OFFSET_OUT_OF_RANGE"
            assert client.read_all("t", number + 1) == [(0, b"new")]
            assert len(client.metadata("t").topics[0].partitions) == number + 2
