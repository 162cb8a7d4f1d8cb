"""A broker is ready when it says its address, and nothing of it is left afterwards."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from bench.targets import PAGE_CACHE, BrokerError, Target, kbroker, running

TALKATIVE = """
import signal, sys
print("warning: --listen 127.0.0.1:0 takes a free port", flush=True)
print("kbroker is ready on 127.0.0.1:4711 (cluster x)", flush=True)
print("more", flush=True)
signal.pause()
"""


def target(source: str) -> Target:
    command = (sys.executable, "-c", source)
    return Target("fake", command, command)


def test_the_first_real_port_is_the_address(tmp_path: pathlib.Path) -> None:
    with running(target(TALKATIVE), str(tmp_path), is_flushed=False, core=None) as broker:
        assert broker.address == "127.0.0.1:4711"
        assert broker.resident_bytes() >= 0
        process = broker.process
    assert process.returncode is not None
    assert os.listdir(tmp_path) == []


def test_a_broker_that_ends_gives_its_last_word(tmp_path: pathlib.Path) -> None:
    dying = target("import sys; sys.exit('no such key: speed')")
    with (
        pytest.raises(BrokerError, match="no such key: speed"),
        running(dying, str(tmp_path), is_flushed=False, core=None),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_only_the_page_cache_class_turns_flushing_off() -> None:
    measured = kbroker(["num.partitions=3"])
    assert PAGE_CACHE in measured.command("/data", is_flushed=False)
    assert PAGE_CACHE not in measured.command("/data", is_flushed=True)
    assert measured.command("/data", is_flushed=True)[-2:] == ["--data", "/data"]
