"""The command as a process: ready line, signals, and the one line when it cannot start."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
READY = re.compile(r"kbroker is ready on (\S+)")


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kbroker", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def broker(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running broker and the text that says it is ready; killed at the end if it still runs."""
    process = command("--listen", "127.0.0.1:0", *arguments, **environment)
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("  python"):  # its last line
                break
        yield process, "".join(lines)
    finally:
        process.kill()
        process.communicate(timeout=60)


def address_in(ready: str) -> str:
    match = READY.search(ready)
    assert match is not None, f"not ready: {ready}"
    return match[1]


def stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(tmp_path, number):
    data = tmp_path / "data"
    with broker("--data", str(data)) as (process, ready):
        status, err = stop(process, number)
    assert status == 0
    assert "Traceback" not in err
    assert re.fullmatch(r"127\.0\.0\.1:[1-9][0-9]*", address_in(ready))
    assert str(data) in ready
    assert "fsync" in ready
    assert (data / ".kafka_cleanshutdown").exists()


def test_page_cache_durability_shows_when_ready(tmp_path):
    with broker("--data", str(tmp_path), "--dev") as (_, ready):
        assert "page cache" in ready


def test_a_key_without_meaning_is_one_warning_line(tmp_path):
    with broker("--data", str(tmp_path), KAFKA_PROCESS_ROLES="broker,controller") as (process, _):
        _, err = stop(process, signal.SIGTERM)
    assert len([line for line in err.splitlines() if "process.roles is ignored" in line]) == 1


def test_what_prevents_the_start_is_one_line_and_status_1(tmp_path):
    (tmp_path / "a file").write_text("")
    with broker("--data", str(tmp_path / "data")) as (_, ready):
        address = address_in(ready)
        refusals = [
            command("--data", str(tmp_path / "other"), "--listen", address),
            command("--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"),
            command("--data", str(tmp_path / "a file"), "--listen", "127.0.0.1:0"),
        ]
        for process, words in zip(
            refusals, (f"cannot listen on {address}", "is in use", "cannot be used"), strict=True
        ):
            _, err = process.communicate(timeout=60)
            assert process.returncode == 1
            assert "Traceback" not in err
            (line,) = [line for line in err.splitlines() if line.startswith("kbroker: ")]
            assert words in line


def test_lines_are_json_where_that_is_asked_for(tmp_path):
    arguments = ("--data", str(tmp_path / "data"), "--log-format", "json", "--dev")
    with broker(*arguments, KBROKER_LOG_LEVEL="debug") as (process, _):
        _, errors = stop(process, signal.SIGTERM)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert {"level": "INFO", "logger": "kbroker.broker", "message": "stopped"}.items() <= lines[
        -1
    ].items()
    assert any(line["level"] == "DEBUG" for line in lines)


def test_one_part_may_tell_more_than_the_others(tmp_path):
    levels = ("--log-level", "error", "--log-level", "kbroker.broker=info")
    with broker("--data", str(tmp_path / "data"), *levels) as (process, _):
        _, errors = stop(process, signal.SIGTERM)
    assert [line.split(" ", 2)[2] for line in errors.splitlines()] == [
        "INFO kbroker.broker: stopped"
    ]
