"""The brokers that are measured together: found, asked, and gone afterwards."""

import os
import socket
import threading

import pytest

from bench import local_cluster
from bench.targets import BrokerError
from wire.frame import response_frame
from wire.messages.metadata import MetadataRequest, MetadataResponse


def test_one_request_over_a_connection_of_its_own():
    answer = MetadataResponse(brokers=[], topics=[], cluster_id="c")
    frame = b"".join(bytes(part) for part in response_frame(answer, 9, 1))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                for start in range(0, len(frame), 3):  # however it is cut
                    connection.sendall(frame[start : start + 3])

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        found = local_cluster.ask(address, MetadataRequest(topics=[]), 9, MetadataResponse)
        thread.join()
    assert found.cluster_id == "c"


def test_nobody_there_is_an_error_of_the_system():
    address = f"127.0.0.1:{local_cluster.free_port()}"
    with pytest.raises(OSError, match="refused"):
        local_cluster.ask(address, MetadataRequest(topics=[]), 9, MetadataResponse)


def test_processor_time_is_told_of_who_lives():
    assert local_cluster.cpu_seconds_of(os.getpid()) > 0
    assert local_cluster.cpu_seconds_of(2**22 + 1) == 0


def test_what_is_not_reached_in_time_is_said(monkeypatch):
    monkeypatch.setattr(local_cluster, "PATIENCE_S", 0.02)
    cluster = local_cluster.LocalCluster("/nowhere", 1, is_flushed=True)
    with pytest.raises(BrokerError, match="not reached"):
        cluster.until(lambda: False)
    with pytest.raises(BrokerError, match="nobody knows"):
        cluster.partition("t")
