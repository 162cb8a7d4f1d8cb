"""The HTTP listener of the real process: what only a process has, and how it ends."""

import re
import urllib.error
import urllib.request
from pathlib import Path

from tests.kbroker.observability.http_client import Scrape
from tests.process.broker_process import BrokerProcess, running
from tests.process.raw_client import RawClient, batch

HTTP = ("--http", "127.0.0.1:0")
PLACE = re.compile(r"http +(http://127\.0\.0\.1:\d+)/metrics")


def ask(broker: BrokerProcess, path: str) -> tuple[int, str]:
    match = PLACE.search(broker.output)
    assert match is not None, broker.output
    try:
        with urllib.request.urlopen(match[1] + path, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_process_tells_of_its_loop_and_of_itself(tmp_path: Path) -> None:
    with running(tmp_path / "data", *HTTP) as broker:
        with RawClient(broker.address) as client:
            client.create_topic("orders")
            for _ in range(10):
                assert client.produce("orders", 0, batch(b"value")).error_code == 0
        assert ask(broker, "/readyz") == (200, "ok\n")
        status, text = ask(broker, "/metrics")
        assert status == 200
        found = Scrape(text)
        assert found.value("kbroker_loop_turn_seconds_count") > 20
        assert found.value("kbroker_request_seconds_count", api="Produce") == 10
        assert found.value("kbroker_flush_seconds_count") >= 10
        assert found.value("process_resident_memory_bytes") > 1 << 20
        assert "kbroker_loop_slow_turns_total" in found.names
        assert broker.stop() == 0


def test_the_probe_of_a_broker_that_was_killed_is_no_harm(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, *HTTP) as broker:
        broker.kill()
    (data / "readiness.probe").write_bytes(bytes(100))
    with running(data, *HTTP) as broker:
        assert ask(broker, "/readyz") == (200, "ok\n")
        assert broker.stop() == 0
    assert not (data / "readiness.probe").exists()


def test_without_http_nothing_of_it_is_imported(tmp_path: Path) -> None:
    environment = {"PYTHONPROFILEIMPORTTIME": "1"}
    with running(tmp_path / "data", **environment) as broker:
        assert "http://" not in broker.output
        assert broker.stop() == 0
    for module in ("prometheus_client", "h11", "pythonjsonlogger", "kbroker.observability"):
        assert f" {module}" not in broker.errors, module
    assert " kbroker.dispatch" in broker.errors
