"""`kbroker health`, as a health check calls it, against a socket that plays a broker."""

import socket
import threading
from contextlib import contextmanager

import pytest

from kbroker.__main__ import main
from wire.frame import response_frame
from wire.messages.metadata import MetadataResponse

VERSION = 12


@contextmanager
def answering(answer: bytes):
    """A server that takes one connection, reads a little, answers, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


def metadata(controller_id: int) -> bytes:
    response = MetadataResponse(
        brokers=[], cluster_id="c", controller_id=controller_id, topics=[], error_code=0
    )
    return b"".join(response_frame(response, VERSION, 1))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    monkeypatch.delenv("KAFKA_LISTENERS", raising=False)


def test_a_broker_that_serves(capsys):
    with answering(metadata(1)) as port:
        assert main(["health", "--bootstrap", f"127.0.0.1:{port}"]) == 0
    assert capsys.readouterr().out == f"the broker at 127.0.0.1:{port} serves\n"


def test_a_broker_that_has_no_controller_yet(capsys):
    with answering(metadata(-1)) as port:
        assert main(["health", "--bootstrap", f"127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == (
        f"kbroker: the broker at 127.0.0.1:{port} has no controller yet\n"
    )


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0\0\0\4\0\0\0\1"])
def test_something_that_is_no_broker(capsys, answer):
    with answering(answer) as port:
        assert main(["health", "--bootstrap", f"127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == f"kbroker: no Kafka broker answers at 127.0.0.1:{port}\n"


def test_nobody(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert main(["health", "--bootstrap", f"127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == (
        f"kbroker: no broker answers at 127.0.0.1:{port}: Connection refused\n"
    )


def test_silence_has_an_end(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert main(["health", "--bootstrap", f"127.0.0.1:{port}", "--timeout", "0.1"]) == 1
    assert "timed out" in capsys.readouterr().err


def test_the_broker_that_the_environment_describes(monkeypatch):
    """A listener open on every interface is reached on loopback; the first one counts."""
    with answering(metadata(1)) as port:
        monkeypatch.setenv("KAFKA_LISTENERS", f"A://0.0.0.0:{port},B://0.0.0.0:1")
        monkeypatch.setenv("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "A:PLAINTEXT,B:PLAINTEXT")
        monkeypatch.setenv("KAFKA_INTER_BROKER_LISTENER_NAME", "A")
        assert main(["health"]) == 0


def test_the_broker_that_a_file_describes(tmp_path):
    with answering(metadata(1)) as port:
        file = tmp_path / "server.properties"
        file.write_text(f"listeners=PLAINTEXT://:{port}\n")
        assert main(["--config", str(file), "health"]) == 0


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "none"), "health"]) == 1
    assert "cannot read" in capsys.readouterr().err
